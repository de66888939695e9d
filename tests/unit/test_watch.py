"""Watching a site's files: one apply for a burst, none for what is no file of the site, none for half a file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from router.files import being_written, is_one
from router.watch import Watcher

pytest.importorskip("watchfiles")

SETTLE_S = 0.25


class Applied:
    """What was read each time. `judged` answers for the apply."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.read: list[dict[str, str]] = []
        self.judged: Callable[[], bool] = lambda: True

    async def __call__(self) -> bool:
        self.read.append({path.name: path.read_text() for path in self.settings.channels.glob("*.yaml")})
        return self.judged()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.read) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def applied(tmp_path: Path) -> Applied:
    (tmp_path / "channels").mkdir()
    return Applied(load_settings(tmp_path, {}))


@contextlib.asynccontextmanager
async def watching(applied: Applied, polling: bool = False) -> AsyncIterator[Path]:
    """Gives the folder of the channels."""
    (applied.settings.channels / "first.yaml").write_text("x")
    task = asyncio.create_task(Watcher(applied.settings, applied, polling=polling, settle_s=SETTLE_S).run())
    await applied.until(1)  # what changed before it watched
    applied.read.clear()
    yield applied.settings.channels
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def quiet() -> None:
    """Longer than it takes to judge what was written before."""
    await asyncio.sleep(8 * SETTLE_S)


@pytest.mark.parametrize("polling", [False, True])
async def test_a_burst_of_writes_is_one_change(applied: Applied, polling: bool) -> None:
    async with watching(applied, polling) as folder:
        for number in range(20):  # as editors write: beside, then renamed
            (folder / f".c{number}.yaml.swp").write_text("x")
            (folder / "4913").write_text("")
            (folder / "4913").unlink()
            (folder / f"c{number}.yaml.tmp").write_text(f"channel {number}")
            (folder / f"c{number}.yaml.tmp").rename(folder / f"c{number}.yaml")
            (folder / f"c{number}.yaml~").write_text("old")
        await applied.until(1)
        await quiet()
        assert len(applied.read) == 1
        assert len(applied.read[0]) == 21


async def test_what_is_no_file_of_the_site_is_no_change(applied: Applied) -> None:
    async with watching(applied) as folder:
        (folder / ".a.yaml.swp").write_text("x")
        (folder / "a.yaml~").write_text("x")
        (folder / "notes.txt").write_text("x")
        await quiet()
        assert applied.read == []
    assert [is_one(name) for name in ("a.yaml", "codes.csv", ".#a.yaml", "a.yaml.bak")] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_half_written_file_is_waited_for(applied: Applied) -> None:
    async with watching(applied) as folder:
        with (folder / "a.yaml").open("w") as file:
            file.write("first half\n")
            file.flush()
            await quiet()
            assert being_written(applied.settings) == folder / "a.yaml"
            assert applied.read == []
            file.write("second half\n")
        await applied.until(1)
        assert being_written(applied.settings) is None
        await quiet()
        assert [read["a.yaml"] for read in applied.read] == ["first half\nsecond half\n"]


async def test_what_could_not_be_judged_is_tried_again_and_what_was_refused_is_not(applied: Applied) -> None:
    async with watching(applied) as folder:
        applied.judged = lambda: len(applied.read) >= 3
        (folder / "a.yaml").write_text("x")
        await applied.until(3)
        await quiet()
        assert len(applied.read) == 3


async def test_trouble_with_one_look_does_not_end_the_watching(applied: Applied) -> None:
    troubles: list[Exception] = [ValueError("a bug"), OSError("the share is away")]

    def judged() -> bool:
        if troubles:
            raise troubles.pop()
        return True

    async with watching(applied) as folder:
        applied.judged = judged
        (folder / "a.yaml").write_text("x")
        await applied.until(3)
        await quiet()
        assert len(applied.read) == 3


async def test_a_folder_that_comes_later_is_watched_too(applied: Applied) -> None:
    async with watching(applied) as folder:
        (folder / "a.yaml").write_text("x")
        await applied.until(1)
        (folder.parent / "maps" / "types").mkdir(parents=True)
        (folder.parent / "maps" / "m.yaml").write_text("x")
        await applied.until(2)
        (folder.parent / "maps" / "types" / "t.yaml").write_text("x")
        await applied.until(3)
        await quiet()
        assert len(applied.read) == 3
