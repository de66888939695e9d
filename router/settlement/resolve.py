"""How a call whose effect nobody knows is found out: asked about, reversed, or handed to a person. Pure."""

from __future__ import annotations

from typing import Any, Literal

from channels.settling.model import Probing, Step
from router.settlement.commands import Call, Command, End, Wait
from router.settlement.progress import Way, closed, is_late, shows_ms
from router.settlement.rows import Attempt, Direction, Place, Rows, over_ms

_REVERSES = 10  # of one call; then a person


def key_of(place: Place, renewed: int) -> str:
    """What a party knows a call by, within its settlement. It is renewed only once the old one was reversed."""
    item = f".{place.item}" if place.item else ""
    return f"{place.step}{item}" + (f"~{renewed}" if renewed else "")


def found_out(step: Step, place: Place, way: Way, facts: dict[str, Any], now_ms: int) -> Command:
    """The next thing to do about the last call of a way that is open."""
    last = way.last
    assert last is not None
    if doubt := _doubt(way, last):
        return End("SUSPENDED", place, "JL-T005", f"{step.name}: {doubt}"[:200])
    since_ms = max(last.ended_ms or last.began_ms, way.retry_ms)
    if step.ask is None and now_ms < over_ms(last):
        return Wait(over_ms(last))
    if way.reverses and way.reverses[-1].outcome not in ("REJECTED",):
        return _reverse(step, place, way, last.key, facts, now_ms)
    if step.ask is None:
        return _policy(step, place, way, last, facts, now_ms)
    over = now_ms - max(since_ms, over_ms(last)) > step.probing.give_up_s * 1000
    latest = way.probes[-1] if way.probes else None
    if over or (latest is not None and latest.outcome == "ABSENT" and is_late(latest, last, step)):
        return _policy(step, place, way, last, facts, now_ms)
    asked_ms = (way.probes[-1].ended_ms or way.probes[-1].began_ms) if way.probes else since_ms
    due_ms = asked_ms + round(step.probing.wait_s(len(way.probes)) * 1000)
    if (
        asked_ms <= shows_ms(last, step) < due_ms
    ):  # not later than the first time that its silence proves something
        due_ms = shows_ms(last, step) + 1
    if now_ms < due_ms:
        return Wait(due_ms)
    return Call(place, "probe", str(step.ask), last.key, body_of(step, facts), _way_of(last))


def _doubt(way: Way, last: Attempt) -> str:
    """What the party's last word says that a person must look at: it is not asked again until somebody did."""
    latest = way.probes[-1] if way.probes else last
    if latest.outcome != "UNKNOWN" or not isinstance(latest.reply, dict):
        return ""
    looked = way.retry_ms >= (latest.ended_ms or latest.began_ms)
    return "" if looked else str(latest.reply.get("doubt") or "")


def body_of(step: Step, facts: dict[str, Any]) -> Any:
    """What a party is sent of a step."""
    return step.make(facts) if step.make is not None else facts


def closing(step: Step, place: Place, way: Way, facts: dict[str, Any], now_ms: int) -> Command | None:
    """Makes sure that what a step waits for will not come any more; None once it is sure, or it came, which the party
    says by refusing: then it is asked about until it shows it."""
    if closed(way):
        return None
    if not way.reverses or way.reverses[-1].outcome != "REJECTED":
        return _reverse(step, place, way, key_of(place, 0), facts, now_ms)
    since_ms = way.reverses[-1].ended_ms
    asked = [one for one in way.probes if one.began_ms >= since_ms]
    if now_ms - max(since_ms, way.retry_ms) > step.probing.give_up_s * 1000:
        return _nobody_knows(step, place)
    due_ms = asked[-1].ended_ms + round(step.probing.wait_s(len(asked)) * 1000) if asked else now_ms
    if now_ms < due_ms:
        return Wait(due_ms)
    return Call(place, "probe", str(step.ask), key_of(place, 0), body_of(step, facts), "do")


def _policy(step: Step, place: Place, way: Way, last: Attempt, facts: dict[str, Any], now_ms: int) -> Command:
    """Nobody can say: what was asked for is reversed where that can be, so that it is not done for certain."""
    if step.reverse is not None and last.direction == "do":
        return _reverse(step, place, way, last.key, facts, now_ms)
    return _nobody_knows(step, place)


def _reverse(step: Step, place: Place, way: Way, key: str, facts: dict[str, Any], now_ms: int) -> Command:
    """Once more where it was not answered: a reverse may be repeated."""
    tried = [one for one in way.reverses if one.began_ms > way.retry_ms]
    if len(tried) >= _REVERSES or (way.reverses and way.reverses[-1].outcome == "REJECTED"):
        return _nobody_knows(step, place)
    if way.reverses:
        before = way.reverses[-1]
        probing = step.probing if step.wait is None else Probing()  # a payer is looked for more often
        wait_s = probing.wait_s(len(way.reverses))
        due_ms = (before.ended_ms or before.began_ms) + round(wait_s * 1000)
        if now_ms < due_ms:
            return Wait(due_ms)
    return Call(place, "reverse", str(step.reverse), key, body_of(step, facts), "do")


def _way_of(call: Attempt) -> Literal["do", "undo"]:
    return "undo" if call.direction == "undo" else "do"


def _nobody_knows(step: Step, place: Place) -> End:
    text = f"{step.name}: nobody can say whether it was done 结果不明，需人工核实"
    return End("SUSPENDED", place, "JL-T005", text)


def again(
    rows: Rows, step: Step, place: Place, way: Way, direction: Direction, facts: dict[str, Any], now_ms: int
) -> Command | None:
    """The same once more, under the same key unless it was reversed; None where it was tried often enough."""
    last = way.last
    tried = sum(one.began_ms > way.retry_ms for one in way.calls)
    if last is None or tried >= step.trying.times:
        return None
    wait_s = step.trying.wait_s(tried) if tried else 0
    due_ms = (last.ended_ms or last.began_ms) + round(wait_s * 1000)
    if now_ms < due_ms:
        return Wait(due_ms)
    operation = step.do if direction == "do" else step.undo
    key = last.key
    if direction == "do" and closed(way):
        key = key_of(place, _reversed(rows, place))
    return Call(place, direction, str(operation), key, body_of(step, facts))


def _reversed(rows: Rows, place: Place) -> int:
    """How many of its calls were reversed: what a party reversed it does not do again under the same key."""
    reverses = (one for one in rows.attempts if one.place == place and one.direction == "reverse")
    return len({one.key for one in reverses if one.outcome in ("OK", "ABSENT")})
