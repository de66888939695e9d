"""A message at each time that a cron expression names: once, whatever dies meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from endpoint_parts import FakeEngine, until
from pydantic import ValidationError

from endpoints.base import Alone, Ground
from endpoints.timer import SourceOptions, TimerSource
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[TimerSource]]
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock:
    def __init__(self, text: str, zone: str = "Asia/Shanghai") -> None:
        self.zone = ZoneInfo(zone)
        self.set(text)

    def set(self, text: str) -> None:
        self.at = datetime.fromisoformat(text).replace(tzinfo=self.zone).timestamp()

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def source() -> AsyncIterator[Open]:
    opened: list[TimerSource] = []

    async def open(engine: FakeEngine, clock: Clock, turn: Alone, **options: Any) -> TimerSource:
        made = TimerSource(SourceOptions(**options), Ground("nightly", now=clock, turn=lambda: turn))
        opened.append(made)
        await made.start(engine.deliver)
        return made

    yield open
    for one in opened:
        await one.stop()


async def looked(turn: Alone, before: str = "") -> str:
    await until(lambda: turn.value != before)
    return turn.value


def bodies(engine: FakeEngine) -> list[tuple[str, str | None]]:
    return [tuple(json.loads(message.body).values()) for message in engine.got]


NIGHTLY = {"cron": "30 2 * * *", "zone": "Asia/Shanghai"}


async def night(source: Open, engine: FakeEngine, turn: Alone, at: str, **options: Any) -> None:
    """An engine that starts at that time, and looks once."""
    before = turn.value
    made = await source(engine, Clock(at), turn, **{**NIGHTLY, **options})
    await looked(turn, before)
    await made.stop()


async def test_a_new_channel_has_missed_nothing_and_then_runs_at_its_time(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    await night(source, engine, turn, "2026-01-05T08:00:00")
    assert engine.got == []
    await source(engine, Clock("2026-01-06T02:30:01"), turn, **NIGHTLY)
    await engine.has(1)
    assert bodies(engine) == [("2026-01-06T02:30:00+08:00", None)]
    first = engine.got[0]
    assert (first.source, first.once and first.once.at_ms) == (
        "timer 30 2 * * *",
        int(datetime(2026, 1, 6, 2, 30, tzinfo=SHANGHAI).timestamp() * 1000),
    )


async def test_the_body_says_which_time_and_which_one_was_before(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    for at in ("2026-01-05T02:00:00", "2026-01-05T02:30:00", "2026-01-06T02:30:00"):
        await night(source, engine, turn, at)
    assert bodies(engine)[-1] == ("2026-01-06T02:30:00+08:00", "2026-01-05T02:30:00+08:00")


async def test_of_missed_times_the_last_is_made_up_for(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    await night(source, engine, turn, "2026-01-01T08:00:00")
    await night(source, engine, turn, "2026-01-05T09:00:00")
    assert bodies(engine) == [("2026-01-05T02:30:00+08:00", None)]


async def test_missed_times_are_skipped_where_the_channel_says_so(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    await night(source, engine, turn, "2026-01-01T08:00:00", missed="skip")
    before = turn.value
    await source(engine, Clock("2026-01-05T09:00:00"), turn, **NIGHTLY, missed="skip")
    await looked(turn, before)
    assert engine.got == []


async def test_a_little_late_is_not_missed(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    await night(source, engine, turn, "2026-01-05T02:29:00", missed="skip")
    await source(engine, Clock("2026-01-05T02:30:40"), turn, **NIGHTLY, missed="skip")
    await engine.has(1)


async def test_what_the_engine_does_not_take_is_tried_again_under_the_same_name(source: Open) -> None:
    replies = iter([Reply("failed", code="JL-B001", text="no broker"), Reply("accepted")])
    engine, turn = FakeEngine(lambda message: next(replies)), Alone()
    await night(source, engine, turn, "2026-01-05T02:00:00")
    await source(engine, Clock("2026-01-05T02:30:00"), turn, **NIGHTLY)
    first, second = await engine.has(2)
    assert first.once == second.once


async def test_a_refused_one_is_over(source: Open) -> None:
    engine, turn = FakeEngine(Reply("refused", code="JL-V001", text="no")), Alone()
    await night(source, engine, turn, "2026-01-05T02:00:00")
    before = turn.value
    await source(engine, Clock("2026-01-05T02:30:00"), turn, **NIGHTLY)
    await looked(turn, before)
    assert len(engine.got) == 1


async def test_paused_it_waits(source: Open) -> None:
    engine, turn = FakeEngine(), Alone()
    await night(source, engine, turn, "2026-01-05T02:00:00")
    made = TimerSource(
        SourceOptions(**NIGHTLY), Ground("nightly", now=Clock("2026-01-05T02:30:00"), turn=lambda: turn)
    )
    made.pause()
    await made.start(engine.deliver)
    assert engine.got == []
    made.resume()
    await engine.has(1)
    await made.stop()


# Europe/Berlin: 02:00 becomes 03:00 on 29 March 2026, and 03:00 becomes 02:00 on 25 October.
@pytest.mark.parametrize(
    ("now", "scheduled"),
    [
        ("2026-03-29T03:00:00", "2026-03-29T03:00:00+02:00"),  # there is no 02:30: at the first time there is
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),  # it comes twice: the first counts
    ],
)
async def test_where_the_clocks_are_changed(source: Open, now: str, scheduled: str) -> None:
    engine, turn = FakeEngine(), Alone()
    berlin = {"cron": "30 2 * * *", "zone": "Europe/Berlin"}
    made = await source(engine, Clock(now[:10] + "T00:00:00", "Europe/Berlin"), turn, **berlin)
    await looked(turn)
    await made.stop()
    await source(engine, Clock(now, "Europe/Berlin"), turn, **berlin)
    await engine.has(1)
    assert bodies(engine) == [(scheduled, None)]


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("30 25 * * *", "the hour '25' is none; 0-23, with * , - and /"),
        ("30 2 * *", "'30 2 * *' has 4 fields"),
        ("0 0 30 2 *", "day-of-month '30'"),
        ("* * * FOO *", "month 'FOO'"),
        ("0 61 2 * * *", "minute '61'"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_reason(cron: str, says: str) -> None:
    with pytest.raises(ValidationError) as error:
        SourceOptions(cron=cron)
    assert says in error.value.errors()[0]["msg"]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        SourceOptions(cron="* * * * *", zone="Asia/Nowhere")


def test_what_a_test_of_a_channel_hears() -> None:
    timer = TimerSource(SourceOptions(**NIGHTLY), Ground("nightly"))
    said = [timer.told(Message(b""), Reply(state)).code for state in ("accepted", "refused", "failed")]  # type: ignore[arg-type]
    assert said == ["done", "done", "stays"]
