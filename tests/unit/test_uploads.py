"""What became of a day's uploads, row by row, as the journal has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channels.collecting import Collect
from channels.model import Branch, Channel
from config.crypto import SiteKeys
from router.envelope import Attempt, Envelope
from router.ids import first_id
from router.search import Story
from router.store import Store, open_store
from router.uploads import Row, Uploads, latest, missing, ways_of
from schemas.json import Json

DAY = 1_768_435_200_000  # 2026-01-15 in UTC
OK = {"outcome": "OK", "infno": "4201", "infcode": "0", "err_msg": ""}
NO = {"outcome": "REJECTED", "infno": "4201", "infcode": "-1", "err_msg": "目录编码不存在"}


def branch(name: str, kind: str, **options: Any) -> Branch:
    return Branch(name=name, kind=kind, options=SimpleNamespace(**options), format="json", writes=Json())


def channel(name: str, *branches: Branch) -> Channel:
    return Channel(name=name, title="", kind="channel", options=None, format=Json(), branches=branches)


# fees -> fee-uploads -> 4201; reports -> report-uploads -> 4502; and a settlement, which is no upload.
GATHER = Collect(100, None, 1_000_000, Json(), Json().gathers(""))
GATHERED = replace(branch("gathered", "channel", channel="fee-uploads"), collect=GATHER)
CHANNELS = (
    channel("fees", GATHERED),
    channel("fee-uploads", branch("insurance", "nhsa", transaction="4201")),
    channel("reports", branch("his", "mllp"), branch("each", "channel", channel="report-uploads")),
    channel("report-uploads", branch("insurance", "nhsa", transaction="4502")),
    channel("settle", branch("insurance", "nhsa", transaction="2207")),
)


class Journal:
    """Messages and tries, as the engine writes them."""

    def __init__(self, store: Store) -> None:
        self.store, self.count = store, 0

    def add(
        self, channel: str, index: dict[str, str], tries: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        """`tries`: destination -> (outcome, code, reason, answer), or None while it waits."""
        self.count += 1
        id = first_id(DAY + self.count)
        plain: dict[str, Any] = {"state": "accepted", "headers": {}, "destinations": tuple(tries or {})}
        envelope = Envelope(
            id=id, channel=channel, received_ms=DAY + self.count, source="", format="json", charset="", kind="",
            body=b"{}", index=index, **{**plain, **changed},
        )  # fmt: skip
        made = [
            Attempt(
                id, channel, to, 1, DAY + 1000, 1, said[0], said[1], said[2], json.dumps(said[3]).encode()
            )
            for to, said in (tries or {}).items()
            if said is not None
        ]
        self.store.write([envelope], made)
        return id

    def rows(self, infno: str = "") -> list[Row]:
        asked = Uploads(CHANNELS, self.store.search, lambda id: self.store.show(id, children=False))
        return asked.rows(DAY, DAY + 86_400_000, infno)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    store = open_store(f"sqlite:///{tmp_path}/journal.db", SiteKeys(bytes(16)))
    yield Journal(store)
    store.close()


def test_the_ways_that_upload_and_those_that_lead_there_are_found() -> None:
    ways = ways_of(CHANNELS)
    assert [channel.name for channel, _ in ways.last] == ["fee-uploads", "report-uploads"]
    assert {(c.name, b.name, names) for c, b, names in ways.before} == {
        ("fees", "gathered", ("4201",)),
        ("reports", "each", ("4502",)),
    }


def test_each_row_of_a_gathered_request_has_the_request_s_end_and_its_own_key(journal: Journal) -> None:
    first = journal.add("fees", {"feedetl_sn": "F1"}, {"gathered": ("sent", "", "", {})})
    second = journal.add("fees", {"feedetl_sn": "F2"}, {"gathered": ("sent", "", "", {})})
    group = journal.add(
        "fee-uploads",
        {"bill": "B1"},
        {"insurance": ("dead", "JL-N010", "目录编码不存在", NO)},
        headers={"collect.messages": f"{first} {second}"},
    )
    rows = journal.rows()
    assert [(row.infno, dict(row.key), row.state, row.message, row.request) for row in rows] == [
        ("4201", {"feedetl_sn": "F1"}, "refused", first, group),
        ("4201", {"feedetl_sn": "F2"}, "refused", second, group),
    ]
    assert {(row.code, row.text) for row in rows} == {("JL-N010", "目录编码不存在")}


def test_where_the_answer_speaks_of_each_row_each_has_its_own_end(journal: Journal) -> None:
    ids = [journal.add("fees", {"feedetl_sn": f"F{n}"}, {"gathered": ("sent", "", "", {})}) for n in (1, 2)]
    journal.add(
        "fee-uploads",
        {},
        {"insurance": ("dead", "JL-N010", "one of two", {**NO, "rows": [OK, NO]})},
        headers={"collect.messages": " ".join(ids)},
    )
    assert [(row.key["feedetl_sn"], row.state, row.text) for row in journal.rows()] == [
        ("F1", "accepted", ""),
        ("F2", "refused", "目录编码不存在"),
    ]


def test_rows_that_came_not_so_far_are_told_with_why(journal: Journal) -> None:
    journal.add(
        "reports",
        {"report": "R1"},
        {"his": ("sent", "", "", {}), "each": ("dead", "JL-M050", "no visit", {})},
    )
    journal.add("reports", {"report": "R2"}, {"his": None, "each": None})
    journal.add("reports", {"report": "R3"}, state="refused", code="JL-M002", reason="no MSH")
    journal.add("reports", {"report": "R4"}, {"his": None, "each": ("retry", "JL-B001", "later", {})})
    said = {row.key["report"]: (row.infno, row.state, row.code) for row in journal.rows()}
    assert said == {
        "R1": ("4502", "refused", "JL-M050"),
        "R2": ("4502", "waiting", ""),
        "R3": ("4502", "refused", "JL-M002"),
        "R4": ("4502", "waiting", "JL-B001"),
    }


@pytest.mark.parametrize(
    ("tried", "state"),
    [
        (("sent", "", "", {**OK}), "accepted"),
        (("sent", "", "", {**NO}), "refused"),
        (("sent", "", "", {**OK, "outcome": "UNKNOWN"}), "unknown"),
        (("dead", "JL-N011", "lost", {**OK, "outcome": "UNKNOWN"}), "unknown"),
        (("dead", "JL-N010", "no", NO), "refused"),
        (("retry", "JL-E101", "away", {}), "waiting"),
    ],
)
def test_an_end_is_what_the_centre_said(journal: Journal, tried: tuple[Any, ...], state: str) -> None:
    journal.add("report-uploads", {"report": "R1"}, {"insurance": tried})
    (row,) = journal.rows("4502")
    assert row.state == state
    assert journal.rows("4201") == []


@pytest.mark.parametrize(
    ("tried", "state"),
    [
        (("sent", "", "", OK), "accepted"),
        (("dead", "JL-N011", "lost", {}), "unknown"),
        (("dead", "JL-N010", "no", NO), "refused"),
    ],
)
def test_where_a_no_is_a_dead_letter_no_message_is_opened_to_know(
    journal: Journal, tried: tuple[Any, ...], state: str
) -> None:
    journal.add("report-uploads", {"report": "R1"}, {"insurance": tried})
    said = {"transaction": "4502", "rejected": "dead", "unknown": "dead"}
    channels = [channel("report-uploads", branch("insurance", "nhsa", **said))]

    def show(id: str) -> Story:
        raise AssertionError("it was opened")

    (row,) = Uploads(channels, journal.store.search, show).rows(DAY, DAY + 86_400_000)
    assert row.state == state


def test_of_a_row_that_was_mended_and_sent_again_the_last_end_counts(journal: Journal) -> None:
    journal.add("report-uploads", {"report": "R1"}, {"insurance": ("dead", "JL-N010", "no", NO)})
    again = journal.add("report-uploads", {"report": "R1"}, {"insurance": ("sent", "", "", OK)})
    (row,) = journal.rows()
    assert (row.state, row.message, row.times) == ("accepted", again, 2)


def test_what_was_sent_again_on_a_later_day_counts_for_the_day_it_was_given(journal: Journal) -> None:
    journal.add("report-uploads", {"report": "R1"}, {"insurance": ("dead", "JL-N010", "no", NO)})
    journal.count += 86_400_000
    journal.add("report-uploads", {"report": "R1"}, {"insurance": ("sent", "", "", OK)})
    journal.add("report-uploads", {"report": "R2"}, {"insurance": ("sent", "", "", OK)})
    assert [(row.key["report"], row.state, row.times) for row in journal.rows()] == [("R1", "accepted", 2)]


def test_rows_without_a_key_are_all_kept() -> None:
    rows = [Row("4201", {}, "accepted", message=name) for name in ("a", "b")]
    assert len(latest(rows)) == 2


def test_what_should_have_been_uploaded_and_was_not_is_missing() -> None:
    rows = [Row("4101A", {"setl_id": "S1"}, "accepted")]
    assert missing(rows, "setl_id", ["S1", "S2", "S2", ""], "4101A") == [
        Row("4101A", {"setl_id": "S2"}, "missing")
    ]
