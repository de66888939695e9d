"""Which large bodies are swept away, and which something still needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from blob_parts import blobs_in, body_of, files_in

from config.crypto import KeyTrouble
from router.blobs import Kept
from router.clock import now_ms
from router.envelope import BlobRef
from router.search import Delivery, Found, Story
from router.store import NotFound
from router.sweep import Sweep

DAY = 86_400_000
NOW = now_ms()


class Journal:
    """What it would say: the stories that a test tells it."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.behind = False
        self.another = False
        self.changed: set[str] = set()

    def show(self, id: str, *, children: bool = True) -> Story:
        if id in self.changed:
            raise KeyTrouble("JL-K002", "changed")
        if id not in self.stories:
            raise NotFound("JL-J005", f"no message has the id {id}")
        story = self.stories[id]
        return story if children else replace(story, children=())

    def knew(self, day: str) -> bool:
        return not self.another

    async def caught_up(self) -> bool:
        return not self.behind

    def knows(self, id: str, blob: BlobRef | None, *states: str, children: tuple[str, ...] = ()) -> None:
        """`blob` None: the body is over."""
        deliveries = tuple(Delivery(f"to{n}", state) for n, state in enumerate(states))
        found = Found(id, "adt", 0, "accepted", "", "", "", "", 1, {}, (), deliveries)
        over = blob is None
        self.stories[id] = Story(found, "", "", "", {}, b"", (), over, blob, children=children)


class Place:
    """Large bodies of some age, and who sweeps them."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.journal = Journal()
        self.blobs = blobs_in(folder, clock=lambda: self.now)
        self.sweep = Sweep(self.blobs, self.journal, self.journal.caught_up, lambda: self.now)

    async def kept(self) -> Kept:
        spool = self.blobs.spool()
        await spool.write(body_of(300_000))
        return await spool.finish()

    async def left_after(self, days: float) -> int:
        """How many files are left some days from now."""
        self.now = NOW + int(days * DAY)
        await self.sweep.once()
        return len(files_in(self.blobs.folder))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_body_that_the_journal_keeps_stays_however_old(place: Place) -> None:
    body = await place.kept()
    place.journal.knows(body.name, body.ref, "sent", "dead")
    assert await place.left_after(4000) == 1


@pytest.mark.parametrize(
    ("states", "left"), [(("sent", "dead"), 0), ((), 0), (("sent", "waiting"), 1), (("retrying",), 1)]
)
async def test_a_body_that_is_over_goes_when_its_deliveries_have_ended(
    place: Place, states: tuple[str, ...], left: int
) -> None:
    place.journal.knows((await place.kept()).name, None, *states)
    assert await place.left_after(31) == left
    assert len(list(place.blobs.folder.iterdir())) == left, "with its day's folder"


async def test_a_replay_needs_the_file_of_the_message_that_it_was_made_from(place: Place) -> None:
    body = await place.kept()
    place.journal.knows(body.name, None, "dead", children=("c1",))
    place.journal.knows("c1", None, "dead", children=("c2",))
    place.journal.knows("c2", body.ref, "sent")
    assert await place.left_after(31) == 1
    place.journal.knows("c2", None, "waiting")
    assert await place.left_after(31) == 1
    place.journal.knows("c2", None, "sent")
    assert await place.left_after(31) == 0


async def test_a_resend_that_has_a_file_of_its_own_does_not_need_the_first_ones(place: Place) -> None:
    first, second = await place.kept(), await place.kept()
    place.journal.knows(first.name, None, "sent", children=(second.name,))
    place.journal.knows(second.name, second.ref)
    assert await place.left_after(31) == 1
    assert files_in(place.blobs.folder)[0].name == second.name


async def test_what_the_journal_never_heard_of_goes_after_a_week_once_it_has_caught_up(place: Place) -> None:
    await place.kept()
    assert await place.left_after(6.9) == 1
    place.journal.behind = True
    assert await place.left_after(30) == 1
    place.journal.behind = False
    assert await place.left_after(7.1) == 0


async def test_a_journal_that_knows_nothing_of_the_day_says_nothing_about_its_bodies(place: Place) -> None:
    await place.kept()
    place.journal.another = True
    assert await place.left_after(4000) == 1


async def test_a_row_that_was_changed_keeps_its_body_and_holds_up_no_other(place: Place) -> None:
    changed, unknown = await place.kept(), await place.kept()
    place.journal.changed.add(changed.name)
    assert changed.name < unknown.name
    assert await place.left_after(8) == 1
    assert files_in(place.blobs.folder)[0].name == changed.name


async def test_what_never_ended_goes_after_a_day_and_strangers_files_stay(place: Place) -> None:
    spool = place.blobs.spool()
    await spool.write(body_of(1_000_000))
    (part,) = files_in(place.blobs.folder)
    stranger = part.with_name("README")
    stranger.write_text("ours")
    assert await place.left_after(0.9) == 2
    assert await place.left_after(1.1) == 1
    assert stranger.exists()
    await spool.drop()
