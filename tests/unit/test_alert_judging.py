"""When an alert is opened and when it is over, by a clock that a test sets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace as Such
from typing import Any

import pytest

from config.alert_settings import AlertSettings, Hours
from router.alerts.figures import Figures
from router.alerts.judge import Findings, Judge
from router.alerts.kinds import KINDS, Fact, Name
from router.brokers.base import Depth
from router.store import StoreDown

NOON = 1_795_924_800_000  # 2026-11-29 12:00 in Beijing
MINUTE, HOUR = 60_000, 3_600_000
SILENT, OLDEST, DEAD = Name("silent", "adt"), Name("oldest", "adt", "lis"), Name("dead", "adt", "lis")


@pytest.fixture(autouse=True)
def _beijing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def alert(**said: Any) -> AlertSettings:
    return AlertSettings.model_validate(said)


# What a channel says


def test_what_a_channel_says_goes_before_what_its_site_says() -> None:
    site = alert(silent="1h", hours="07:00-19:00", oldest="5m", dead=10)
    assert alert().over(site) == site
    own = alert(silent="never", oldest="2m", dead="never").over(site)
    assert (own.silent, own.oldest, own.dead) == (None, 120.0, None)


@pytest.mark.parametrize(
    ("hours", "minute", "since"),
    [
        ("07:00-19:00", 7 * 60, 0),
        ("07:00-19:00", 19 * 60 - 1, 12 * 60 - 1),
        ("07:00-19:00", 19 * 60, None),
        ("19:00-07:00", 0, 5 * 60),
        ("19:00-07:00", 12 * 60, None),
        ("00:00-00:00", 5, 5),
    ],
)
def test_hours_of_the_day_may_go_over_midnight(hours: str, minute: int, since: float | None) -> None:
    found = alert(hours=hours).hours
    assert found is not None
    assert (found.since(minute), str(found)) == (since, hours)
    assert isinstance(found, Hours)


# When


def seen(*names: Name) -> Findings:
    return Findings(raised=dict.fromkeys(names, Fact(1, 1)))


def test_what_has_a_time_of_its_own_is_opened_at_once_and_closed_at_once() -> None:
    judge = Judge()
    assert judge.judge(seen(SILENT), set(), 0) == ({SILENT: Fact(1, 1)}, [])
    assert judge.judge(seen(SILENT), {SILENT}, 1) == ({}, []), "once"
    assert judge.judge(seen(), {SILENT}, 2) == ({}, [SILENT])


def test_a_state_that_comes_and_goes_opens_one_alert() -> None:
    judge, name = Judge(), Name("journal")
    lasts_ms, calm_ms = KINDS["journal"].lasts_s * 1000, KINDS["journal"].calm_s * 1000
    assert judge.judge(seen(name), set(), 0) == ({}, [])
    assert judge.judge(seen(), set(), 5_000) == ({}, [])
    assert judge.judge(seen(name), set(), 6_000) == ({}, []), "it counts from here anew"
    assert judge.judge(seen(name), set(), 6_000 + int(lasts_ms)) == ({name: Fact(1, 1)}, [])
    at = 100_000
    for _ in range(20):  # an outage that flutters
        assert judge.judge(seen(), {name}, at) == ({}, [])
        assert judge.judge(seen(name), {name}, at + 5_000) == ({}, [])
        at += 10_000
    assert judge.judge(seen(), {name}, at) == ({}, [])
    assert judge.judge(seen(), {name}, at + int(calm_ms)) == ({}, [name])


def test_what_nobody_knows_stays_as_it_is() -> None:
    judge = Judge()
    assert judge.judge(Findings(unsure={DEAD}), {DEAD, SILENT}, 0) == ({}, [SILENT])
    assert judge.judge(Findings(unseen={"dead"}), {DEAD}, 1) == ({}, [])
    assert judge.judge(seen(), {DEAD}, 2) == ({}, [DEAD])


# Figures


class World:
    """The journal, the queues and the look after conservation, as figures ask them."""

    def __init__(self, own: AlertSettings, site: AlertSettings = AlertSettings(), kind: str = "mllp") -> None:  # noqa: B008
        self.last_ms = 0
        self.dead = 0
        self.trouble: Exception | None = None
        self.pace, self.waits, self.delayed_ = True, 0, 0
        self.mine: dict[tuple[str, str], int] = {}
        self.oldest: dict[tuple[str, str], int] = {}
        self.looked = self.alone_ = True
        self.branch = Such(name="lis", retry=Such(for_s=86_400.0), collect=None)
        self.channels: Any = [
            Such(name="adt", kind=kind, alert=own, branches=[self.branch], lanes_to=lambda name: 0)
        ]
        me: Any = self
        self.figures = Figures(me, me, me, me, me, lambda: self.mine, site, NOON - 2 * HOUR)

    def latest(self, channels: Mapping[str, int]) -> dict[str, int]:
        if self.trouble:
            raise self.trouble
        return dict.fromkeys(channels, self.last_ms)

    def died(self, since_ms: int, from_ms: int) -> dict[tuple[str, str], int]:
        if self.trouble:
            raise self.trouble
        return {("adt", "lis"): self.dead} if self.dead else {}

    async def keeps_pace(self) -> bool:
        return self.pace

    async def alone(self) -> bool:
        return self.alone_

    async def depth(self, queues: list[str]) -> dict[str, Depth]:
        return {queue: Depth(self.waits) for queue in queues}

    async def delayed(self) -> int:
        return self.delayed_

    def looked_lately(self, now_ms: int) -> bool:
        return self.looked

    def look(self, now_ms: int = NOON) -> Findings:
        found = Findings()
        asyncio.run(self.figures.look(self.channels, found, now_ms))
        return found


def test_a_channel_is_silent_when_its_last_message_is_too_old() -> None:
    world = World(alert(silent="15m"))
    world.last_ms = NOON - 14 * MINUTE
    assert world.look() == Findings()
    world.last_ms = NOON - 15 * MINUTE
    assert world.look() == Findings({SILENT: Fact(900.0, 900.0)})


def test_while_no_engine_ran_no_channel_was_silent() -> None:
    world = World(alert(silent="15m"))  # it began two hours before noon
    start = NOON - 2 * HOUR
    assert world.look(start + 14 * MINUTE) == Findings(unsure={SILENT}), "and what is open stays so"
    assert SILENT in world.look(start + 16 * MINUTE).raised
    world.last_ms = start - 5 * HOUR
    assert world.look(start + 14 * MINUTE) == Findings(unsure={SILENT})


def test_a_silence_counts_from_the_begin_of_its_hours_and_none_outside() -> None:
    world = World(alert(silent="15m", hours="11:50-18:00"))
    world.last_ms = NOON - 90 * MINUTE
    assert world.look(NOON) == Findings(unsure={SILENT}), "ten minutes of it"
    assert SILENT in world.look(NOON + 5 * MINUTE).raised
    assert world.look(NOON + 7 * HOUR) == Findings(unsure={SILENT}), "it is evening"


def test_while_the_journal_is_away_or_behind_no_silence_is_known() -> None:
    world = World(alert(silent="15m", dead=1))
    world.pace = False
    assert world.look() == Findings(unseen={"silent"})
    world.pace, world.trouble = True, StoreDown("JL-J010", "away")
    assert world.look() == Findings(unseen={"silent", "dead"})


def test_a_channel_of_alerts_is_silent_when_all_is_well() -> None:
    assert World(alert(), alert(silent="15m"), kind="alerts").look() == Findings()
    assert SILENT in World(alert(), alert(silent="15m")).look().raised


@pytest.mark.parametrize(
    ("age_min", "raised", "unsure"), [(0.9, False, False), (1.5, False, True), (2.1, True, False)]
)
def test_a_queue_is_old_above_its_limit_and_young_below_half_of_it(
    age_min: float, raised: bool, unsure: bool
) -> None:
    world = World(alert(oldest="2m"))
    world.waits = 3
    world.mine = {("adt", "lis"): NOON - int(age_min * MINUTE)}
    found = world.look()
    assert (OLDEST in found.raised, OLDEST in found.unsure) == (raised, unsure)


def test_what_is_gathered_waits_on_purpose() -> None:
    world = World(alert(oldest="2m"))
    world.waits, world.mine = 1, {("adt", "lis"): NOON - 11 * MINUTE}
    world.branch.collect = Such(within_s=600.0)
    assert OLDEST not in world.look().raised
    world.mine = {("adt", "lis"): NOON - 13 * MINUTE}
    assert world.look().raised == {OLDEST: Fact(780.0, 720.0)}
    world.branch.collect = Such(within_s=None)
    assert world.look() == Findings(), "until there are enough"


def test_the_oldest_is_known_from_the_journal_where_another_process_delivers() -> None:
    world = World(alert(oldest="2m"))
    world.waits = 1
    assert world.look() == Findings(unsure={OLDEST}), "something waits, and nobody knows since when"
    world.oldest = {("adt", "lis"): NOON - 5 * MINUTE}
    assert world.look() == Findings({OLDEST: Fact(300.0, 120.0)})
    world.waits = 0
    assert world.look() == Findings(), "nothing waits any more, whatever the journal said a minute ago"
    world.alone_ = False
    assert world.look() == Findings({OLDEST: Fact(300.0, 120.0)}), "another process may have it in hand"
    world.mine, world.oldest = world.oldest, {}
    assert world.look() == Findings(), "another process may have delivered it"


def test_what_waits_for_its_next_try_is_in_no_queue_of_its_own() -> None:
    world = World(alert(oldest="2m"))
    world.delayed_ = 1  # somebody's
    assert world.look() == Findings(), "the journal knows of nothing here"
    world.looked = False
    assert world.look() == Findings(unsure={OLDEST})


def test_dead_letters_are_many_at_their_limit_and_few_at_half_of_it() -> None:
    world = World(alert(dead=10))
    for dead, raised, unsure in ((9, False, True), (10, True, False), (6, False, True), (5, False, False)):
        world.dead = dead
        found = world.look()
        assert (DEAD in found.raised, DEAD in found.unsure) == (raised, unsure)
