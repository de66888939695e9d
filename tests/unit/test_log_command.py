"""`jingluo log`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from command_parts import Run

from config.settings import load_settings
from endpoints.insurance.records import Ask
from router import cli
from router.commands import log, messages
from router.envelope import Envelope
from router.ids import DAY_MS, day_at
from router.store import Store, open_journal
from router.store.insurance_records import open_insurance

NOW = 1_790_000_000_000
DAY = day_at(NOW)
CHANNEL = """\
channel: his-adt
from: {mllp: {port: 2601}}
format: hl7v2
to: {lis: {send: {mllp: {host: lis.example, port: 2575}}}}
keep: {body: 30d, rows: 400d}
"""


def stored(number: int, at_ms: int = NOW) -> Envelope:
    id = f"{at_ms:012x}{number:020x}"
    facts = {"patient": f"P{number:04}"}
    return Envelope(
        id, "his-adt", at_ms, "mllp ::1", "hl7v2", "", "ADT^A01", b"PID|1||P0007\r", {}, facts, ("lis",)
    )


@pytest.fixture
def app() -> typer.Typer:
    return log.app


@pytest.fixture
def site(site: Path) -> Path:
    (site / "channels" / "his-adt.yaml").write_text(CHANNEL)
    return site


@pytest.fixture
def store(site: Path) -> Iterator[Store]:
    opened = open_journal(load_settings(site, {}))
    opened.write([stored(n) for n in range(5)], [])
    opened.write([stored(n, NOW - DAY_MS) for n in range(2)], [])
    yield opened
    opened.close()


def test_rows_that_are_as_they_were_written_are_ok(run: Run) -> None:
    code, out = run("verify")
    assert code == 0
    assert out.startswith("OK")
    assert json.loads(run("verify", "--json")[1])["found"] == []


def test_a_changed_row_is_named_and_ends_with_1(run: Run, site: Path) -> None:
    with sqlite3.connect(site / "var" / "jingluo.days" / f"{DAY}.rows.db") as file:
        file.execute(f"UPDATE message_{DAY} SET code = 'x' WHERE id = '{stored(3).id}'")
    file.close()
    code, out = run("verify")
    assert code == 1
    assert f"{DAY} message {stored(3).id}: changed" in out
    assert run("verify", "--day", day_at(NOW - DAY_MS))[0] == 0


def test_days_tell_their_rows_bytes_and_key(run: Run) -> None:
    found = json.loads(run("days", "--json")[1])
    assert [day["day"] for day in found] == [DAY, day_at(NOW - DAY_MS)]
    assert [day["rows"] for day in found] == [6, 3], "with a note that the day began"
    assert all(day["row_bytes"] > 0 and day["body_bytes"] > 0 for day in found)
    out = run("days")[1]
    assert DAY in out
    assert "his-adt" in out


def test_who_opens_a_message_is_written_down(run: Run, store: Store, site: Path) -> None:
    id = stored(3).id
    assert "P0007" in run("view", id)[1]
    assert "P0007" in run("show", id, "--body", of=messages.app)[1]
    assert "P0007" not in run("show", id, of=messages.app)[1]
    today = next(path for path in (site / "var" / "jingluo.days").glob("*.rows.db") if DAY not in path.name)
    notes = []
    for path in (site / "var" / "jingluo.days").glob("*.rows.db"):
        with sqlite3.connect(path) as file:
            notes += file.execute(
                f"SELECT about, who FROM note_{path.name[:8]} WHERE what = 'viewed'"
            ).fetchall()
        file.close()
    assert today.exists()
    assert [about for about, _ in notes] == [id, id]
    assert all(who for _, who in notes)
    assert run("verify")[0] == 0


def test_a_message_that_cannot_be_written_down_as_viewed_is_not_shown(run: Run, site: Path) -> None:
    holder = sqlite3.connect(site / "var" / "jingluo.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # nobody can begin the day on which it would be noted
    code, out = run("view", stored(3).id)
    holder.close()
    assert code == 1
    assert "JL-J010" in out
    assert "P0007" not in out


def test_what_could_not_be_written_is_listed_and_can_be_looked_at(run: Run, store: Store) -> None:
    assert run("parked")[1].startswith("nothing")
    store.write_bodies([b"\xc1 no envelope"])
    (line,) = json.loads(run("parked", "--json")[1])
    assert (line["reason"], line["size"]) == ("DecodeError", 13)
    assert line["id"] in run("parked")[1]
    assert "no envelope" in run("parked", line["id"][:10])[1]
    assert (line["body"], store.parked()[0].body, store.parked(line["id"])[0].body[:4]) == (
        None,
        b"",
        b"\xc1 no",
    )
    assert run("verify")[0] == 0


def test_what_would_go_is_shown_and_nothing_goes(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.commands.log.now_ms", lambda: NOW + 30 * DAY_MS)
    found = json.loads(run("keep", "--plan", "--json")[1])
    assert [(one["day"], one["channel"]) for one in found] == [(day_at(NOW - DAY_MS), "his-adt")]
    monkeypatch.setattr("router.commands.log.now_ms", lambda: NOW + 402 * DAY_MS)
    assert run("keep", "--plan")[1].count("the whole day") == 2
    assert len(store.days()) == 2
    assert run("keep")[0] == 2


def test_a_new_key_is_taken_and_the_old_one_no_longer_needed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(load_settings(cli._site, {}).var / "site.key").read_text().strip()
    monkeypatch.setenv("JINGLUO_JOURNAL_KEY", "a" * 32)
    assert "JL-J012" in run("verify")[1]
    monkeypatch.setenv("JINGLUO_JOURNAL_OLD_KEYS", old)
    assert run("rekey")[1].startswith("4 data keys")
    monkeypatch.delenv("JINGLUO_JOURNAL_OLD_KEYS")
    assert run("verify")[0] == 0


def test_what_was_asked_of_an_insurance_centre_opens_with_the_new_key_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked() -> str:
        ask = Ask("H99999900001", "2207", "m1", NOW)
        made = await before.begin(ask, lambda serial: f"H{serial:029}", lambda msgid: b"{}")
        return made.msgid

    before = open_insurance(load_settings(cli._site, {}), lambda: NOW)
    msgid = asyncio.run(asked())
    before.close()
    old = Path(load_settings(cli._site, {}).var / "site.key").read_text().strip()
    monkeypatch.setenv("JINGLUO_JOURNAL_KEY", "a" * 32)
    monkeypatch.setenv("JINGLUO_JOURNAL_OLD_KEYS", old)
    assert run("rekey")[1].startswith("5 data keys")
    assert run("rekey")[1].startswith("0 data keys")
    after = open_insurance(load_settings(cli._site, {"JINGLUO_JOURNAL_KEY": "a" * 32}), lambda: NOW)
    found = asyncio.run(after.find(msgid))
    after.close()
    assert found is not None
    assert found.request == b"{}"
