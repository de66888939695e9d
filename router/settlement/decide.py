"""What is to be done next for a settlement: a pure function of its pipeline and its rows.

It never trusts what it cannot read there. A call without an answer may have been done; what a probe found, a notice
said or a person decided is what ends that. What is done is undone in reverse order, unless the pivot is behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from channels.settling.model import Check, Definition, Step
from router.settlement.asking import asking, wished
from router.settlement.commands import Call, Command, End, Say, Wait
from router.settlement.facts import Known
from router.settlement.progress import Progress, closed, progress_of
from router.settlement.resolve import again, body_of, closing, found_out, key_of
from router.settlement.rows import Decision, Notice, Place, Rows, State

Passed = tuple[Step, Place, dict[str, Any]]


class _Back(Exception):
    """What was done is to be undone."""


def decide(definition: Definition, rows: Rows, now_ms: int) -> Command:
    """Raises TooMany."""
    known = Known(definition, rows, progress_of(rows))
    back = _going_back(rows)
    reached, asked = None, wished(rows)
    try:
        held: Wait | End | None = None  # what some of a step's times wait for, while the others go on
        for step, place, facts in _walk(known):
            if held is not None and held.place is not None and held.place.step != step.name:
                return held
            reached = place
            if place in asked and (question := asking(step, known.of(place), facts)) is not None:
                return question
            if back and not known.past and not _is_done(known, step, place):
                raise _Back  # so far it came
            command = _forward(known, step, place, facts, now_ms)
            if isinstance(command, Wait | End) and step.apart:
                held = _sooner(held, replace(command, place=place))
                continue
            if command is not None:
                return command
            known.learn(step, place)
            if not back and (doubt := _doubt(step, known.facts, rows)) is not None:
                return _doubted(known, step, place, doubt)
            if not back and (text := _doubtful(known, place, rows)):
                return End("SUSPENDED", place, "JL-T001", f"{step.name}: {text}"[:200])
        if held is not None:
            return held
        if back and not known.past:
            raise _Back
    except _Back:
        command = _backward(known, reached, now_ms)
        return command if isinstance(command, End | Say) else replace(command, state=back or "COMPENSATING")
    return End("COMPLETED")


def _sooner(held: Wait | End | None, command: Wait | End) -> Wait | End:
    """What is looked at next: a person is asked once nothing of it goes on by itself."""
    if held is None or (isinstance(held, End) and isinstance(command, Wait)):
        return command
    if isinstance(held, Wait) and isinstance(command, Wait) and command.until_ms < held.until_ms:
        return command
    return held


def _walk(known: Known) -> Iterator[tuple[Step, Place, dict[str, Any]]]:
    """Steps in their order, as the facts grow; what `when` leaves out is left out."""
    for step in known.definition.steps:
        if step.when is not None and not step.when(known.facts):
            continue
        for place, facts in known.places(step):
            yield step, place, facts


def _going_back(rows: Rows) -> State | None:
    """By the last word of those who decided on the whole; or because it began to, and nobody turned it since: what
    comes late never makes it go forward again over what is half undone."""
    words = [one for one in rows.decisions if one.what in ("compensate", "cancel", "forward", "release")]
    if words and words[-1].what != "forward":
        return "CANCELLING" if words[-1].what == "cancel" else "COMPENSATING"
    turned_ms = words[-1].at_ms if words else -1
    began = any(one.direction == "undo" and one.began_ms > turned_ms for one in rows.attempts)
    return "COMPENSATING" if began else None


def _is_done(known: Known, step: Step, place: Place) -> bool:
    """Whether there may be something to undo behind this place."""
    return known.of(place).standing(step) == "OK" or (step.do is None and step.wait is None)


def _doubt(step: Step, facts: dict[str, Any], rows: Rows) -> Check | None:
    """The first check that does not hold, where nobody said to go on all the same."""
    waived = any(one.what == "forward" for one in rows.decisions)
    return None if waived else next((check for check in step.checks if not check.holds(facts)), None)


def _doubtful(known: Known, place: Place, rows: Rows) -> str:
    """What a party itself says in its answer that a person must look at first: its `doubt`."""
    reply = known.of(place).do.reply
    waived = any(one.what == "forward" for one in rows.decisions)
    return str(reply.get("doubt") or "") if isinstance(reply, dict) and not waived else ""


def _doubted(known: Known, step: Step, place: Place, doubt: Check) -> Command:
    """Raises _Back."""
    if doubt.otherwise == "undo" and not known.past:
        raise _Back
    return End("SUSPENDED", place, "JL-T001", f"{step.name}: {doubt.name} does not hold 核对不符")


def _forward(known: Known, step: Step, place: Place, facts: dict[str, Any], now_ms: int) -> Command | None:
    """None where the step is done. Raises _Back."""
    if step.wait is not None:
        return _waited(known, step, place, facts, now_ms)
    if step.do is None:
        return None
    progress = known.of(place)
    standing = progress.standing(step)
    if standing == "OK":
        return None
    if standing == "READY":
        return Call(place, "do", str(step.do), key_of(place, 0), body_of(step, facts))
    if standing == "OPEN":
        return found_out(step, place, progress.do, facts, now_ms)
    if standing == "UNDONE":
        raise _Back
    if standing == "REJECTED" and not (step.forward or known.past):
        raise _Back
    tried = again(known.rows, step, place, progress.do, "do", facts, now_ms)
    return tried or _given_up(known, step, place)


def _given_up(known: Known, step: Step, place: Place) -> Command:
    """It was tried as often as it may be, and was not done. Raises _Back."""
    if step.forward or known.past:
        return End("SUSPENDED", place, "JL-T002", f"{step.name}: refused again and again 多次失败")
    raise _Back


def _since(rows: Rows, place: Place) -> int:
    """When a step that only waits began to: when the last call before it ended, or somebody said what another step
    waited for."""
    calls = (one for one in rows.attempts if one.direction == "do" and one.place.step != place.step)
    said: list[Decision | Notice] = [*rows.decisions, *rows.notices]
    words = (
        one
        for one in said
        if one.place is not None
        and one.place.step != place.step
        and not (isinstance(one, Decision) and one.what == "ask")
    )
    return max([rows.began_ms, *(one.ended_ms for one in calls), *(one.at_ms for one in words)])


def _waited(known: Known, step: Step, place: Place, facts: dict[str, Any], now_ms: int) -> Command | None:
    """For a notice, or what a probe finds. Raises _Back where it was refused, or will not come any more."""
    assert step.wait is not None
    way, standing = known.of(place).do, known.of(place).standing(step)
    if standing == "OK":
        return None
    if standing != "READY":
        if closed(way) and standing == "REJECTED":
            return _too_late(known, step, place, now_ms)
        return _given_up(known, step, place)
    since_ms = _since(known.rows, place)
    deadline_ms = since_ms + round(step.wait.deadline_s * 1000)
    asked_ms = way.probes[-1].ended_ms or way.probes[-1].began_ms if way.probes else since_ms
    due_ms = asked_ms + round(step.probing.wait_s(len(way.probes)) * 1000)
    over = now_ms >= deadline_ms and bool(way.reverses)
    if step.ask is not None and not over and (now_ms >= due_ms or asked_ms < deadline_ms <= now_ms):
        return Call(place, "probe", str(step.ask), key_of(place, 0), body_of(step, facts), "do", "WAITING")
    if now_ms < deadline_ms:
        return Wait(min(due_ms, deadline_ms) if step.ask else deadline_ms, "WAITING", place)
    if step.wait.otherwise == "go on":
        return None
    if step.wait.otherwise == "cancel" and step.reverse is not None and not known.past:
        return closing(step, place, way, facts, now_ms)
    return _too_late(known, step, place, now_ms)


def _too_late(known: Known, step: Step, place: Place, now_ms: int) -> Command:
    """It did not come in time."""
    assert step.wait is not None
    if step.wait.otherwise == "suspend" or known.past:
        return End("SUSPENDED", place, "JL-T003", f"{step.name}: nothing came in time 超时未到")
    return Say(Decision("cancel", "deadline", now_ms, place))


def _backward(known: Known, reached: Place | None, now_ms: int) -> Command:
    """Undoes what is proved done, last first; what is open is found out first."""
    touched = False
    passed = _in_order(known.definition, _passed(known, reached))
    for step, place, facts in passed:  # all of it: what undoes a later step may name what this one keeps
        progress = known.of(place)
        standing = progress.standing(step)
        if standing == "OPEN":
            return found_out(step, place, progress.do, facts, now_ms)
    for step, place, facts in passed:
        progress = known.of(place)
        standing = progress.standing(step)
        if standing in ("READY", "REJECTED") and _may_come(step, progress):
            command = closing(step, place, progress.do, facts, now_ms)
            if command is not None:
                return command
        touched = touched or (standing in ("OK", "UNDONE") and step.unknowable)
        if standing != "OK" or step.undo is None:
            continue
        command = _undo(known.rows, step, progress, facts, now_ms)
        if command is not None:
            return command
    return End("COMPENSATED" if touched else "REJECTED")


def _may_come(step: Step, progress: Progress) -> bool:
    """Whether what a step waits for may yet come, also where the party had given it up, unless a person said no."""
    return step.wait is not None and step.reverse is not None and not isinstance(progress.do.told, Decision)


def _in_order(definition: Definition, passed: list[Passed]) -> list[Passed]:
    """Last first; those of `undo` in its order, at the places that they have among all."""
    back = passed[::-1]
    named = [number for number, one in enumerate(back) if one[0].name in definition.undo]
    ordered = sorted((back[number] for number in named), key=lambda one: definition.undo.index(one[0].name))
    for number, one in zip(named, ordered, strict=True):
        back[number] = one
    return back


def _passed(known: Known, reached: Place | None) -> list[Passed]:
    """All that was tried, and where it came to: a notice may be of a step behind one that is undone by now."""
    again = Known(known.definition, known.rows, known.progress)
    left = {*known.progress, *([reached] if reached is not None else [])}
    passed = []
    for step, place, facts in _walk(again):
        if not left:
            break
        if place in left:
            passed.append((step, place, facts))
            left.remove(place)
        asks = step.do is not None or step.wait is not None
        if not asks or again.of(place).standing(step) in ("OK", "UNDONE"):
            again.learn(step, place)
    return passed


def _undo(rows: Rows, step: Step, progress: Progress, facts: dict[str, Any], now_ms: int) -> Command | None:
    place, way, undoing = progress.place, progress.undo, progress.undoing(step)
    if undoing == "READY":
        done = progress.do.last
        key = done.key if done is not None else key_of(place, 0)
        return Call(place, "undo", str(step.undo), key, body_of(step, facts))
    if undoing == "OPEN":
        return found_out(step, place, way, facts, now_ms)
    if undoing == "LATER":
        command = again(rows, step, place, way, "undo", facts, now_ms)
        if command is not None:
            return command
    if undoing in ("LATER", "REJECTED"):
        return End("SUSPENDED", place, "JL-T004", f"{step.name}: it cannot be undone 无法撤销")
    return None
