"""What is to be done next for a settlement: a pure function of its pipeline and its rows.

It never trusts what it cannot read there. A call without an answer may have been done; what a probe found, a notice
said or a person decided is what ends that. What is done is undone in reverse order, unless the pivot is behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from channels.settling.model import Definition, Step
from router.settlement.commands import Call, Command, End, Say, Wait
from router.settlement.facts import Known
from router.settlement.progress import Progress, Way, progress_of
from router.settlement.resolve import again, found_out, key_of
from router.settlement.rows import Decision, Place, Rows


class _Back(Exception):
    """What was done is to be undone."""


def decide(definition: Definition, rows: Rows, now_ms: int) -> Command:
    """Raises TooMany."""
    known = Known(definition, rows, progress_of(rows))
    wished = _wished_back(rows)
    passed: list[tuple[Step, Place, dict[str, Any]]] = []
    try:
        for step, place, facts in _walk(known):
            passed.append((step, place, facts))
            if wished and not _is_past(known, definition) and not _is_done(known, step, place):
                raise _Back  # so far it came
            command = _forward(known, rows, step, place, facts, now_ms)
            if command is not None:
                return command
            known.learn(step, place)
            if not wished and (doubt := _doubt(step, known.facts, rows)) is not None:
                return End("SUSPENDED", place, "JL-T001", f"{step.name}: {doubt} does not hold 核对不符")
    except _Back:
        return _backward(known, rows, passed, now_ms)
    return End("COMPLETED")


def _walk(known: Known) -> Iterator[tuple[Step, Place, dict[str, Any]]]:
    """Steps in their order, as the facts grow; what `when` leaves out is left out."""
    for step in known.definition.steps:
        if step.when is not None and not step.when(known.facts):
            continue
        for place, facts in known.places(step):
            yield step, place, facts


def _wished_back(rows: Rows) -> bool:
    """The last word of those who decided on the whole."""
    words = [one.what for one in rows.decisions if one.what in ("compensate", "cancel", "forward")]
    return bool(words) and words[-1] != "forward"


def _is_past(known: Known, definition: Definition) -> bool:
    """Whether a pivot is done: then only forward."""
    return any(
        progress.do.calls and definition.step(place.step).pivot
        and progress.standing(definition.step(place.step)) == "OK"
        for place, progress in known.progress.items()
    )  # fmt: skip


def _is_done(known: Known, step: Step, place: Place) -> bool:
    """Whether there may be something to undo behind this place."""
    return known.of(place).standing(step) == "OK" or (step.do is None and step.wait is None)


def _doubt(step: Step, facts: dict[str, Any], rows: Rows) -> str | None:
    """The first check that does not hold, where nobody said to go on all the same."""
    waived = any(one.what == "forward" for one in rows.decisions)
    return None if waived else next((check.name for check in step.checks if not check.holds(facts)), None)


def _forward(
    known: Known, rows: Rows, step: Step, place: Place, facts: dict[str, Any], now_ms: int
) -> Command | None:
    """None where the step is done. Raises _Back."""
    progress = known.of(place)
    if step.wait is not None and step.do is None:
        return _waited(step, place, progress.do, facts, _since(rows, place), now_ms)
    if step.do is None:
        return None
    standing = progress.standing(step)
    if standing == "OK":
        return None
    if standing == "READY":
        return Call(place, "do", str(step.do), key_of(place, 0), _body(step, facts))
    if standing == "OPEN":
        return found_out(step, place, progress.do, facts, now_ms)
    if standing == "UNDONE":
        raise _Back
    if standing == "REJECTED" and not (step.forward or _is_past(known, known.definition)):
        raise _Back
    return again(rows, step, place, progress.do, "do", facts, now_ms) or _given_up(known, step, place)


def _given_up(known: Known, step: Step, place: Place) -> Command:
    """It was tried as often as it may be, and was not done."""
    if step.forward or _is_past(known, known.definition):
        return End("SUSPENDED", place, "JL-T002", f"{step.name}: refused again and again 多次失败")
    raise _Back


def _since(rows: Rows, place: Place) -> int:
    """When a step that only waits began to: when the last call before it ended."""
    ended = [one.ended_ms for one in rows.attempts if one.place.step != place.step and one.direction == "do"]
    return max([rows.began_ms, *ended])


def _waited(
    step: Step, place: Place, way: Way, facts: dict[str, Any], since_ms: int, now_ms: int
) -> Command | None:
    """For a notice, or what a probe finds. Raises _Back where it was refused."""
    assert step.wait is not None
    outcomes = [way.told.outcome] if way.told is not None and not isinstance(way.told, Decision) else []
    outcomes += [one.outcome for one in way.probes if one.outcome in ("OK", "REJECTED")]
    said = [one.what for one in (way.told,) if isinstance(one, Decision)]
    if "OK" in outcomes or "done" in said:
        return None
    if "REJECTED" in outcomes or "not done" in said:
        raise _Back
    deadline_ms = since_ms + round(step.wait.deadline_s * 1000)
    asked_ms = way.probes[-1].ended_ms or way.probes[-1].began_ms if way.probes else since_ms
    due_ms = asked_ms + round(step.probing.wait_s(len(way.probes)) * 1000)
    if step.ask is not None and (now_ms >= due_ms or asked_ms < deadline_ms <= now_ms):
        return Call(place, "probe", str(step.ask), key_of(place, 0), _body(step, facts), "do")
    if now_ms < deadline_ms:
        return Wait(min(due_ms, deadline_ms) if step.ask else deadline_ms, waits=True)
    if step.wait.otherwise == "go on":
        return None
    if step.wait.otherwise == "suspend":
        return End("SUSPENDED", place, "JL-T003", f"{step.name}: nothing came in time 超时未到")
    return Say(Decision("cancel", "deadline", now_ms, place))


def _backward(
    known: Known, rows: Rows, passed: list[tuple[Step, Place, dict[str, Any]]], now_ms: int
) -> Command:
    """Undoes what is proved done, last first; what is open is found out first."""
    touched = False
    for step, place, facts in reversed(passed):
        progress = known.of(place)
        standing = progress.standing(step)
        if standing == "OPEN":
            return found_out(step, place, progress.do, facts, now_ms)
        touched = touched or (standing in ("OK", "UNDONE") and step.unknowable)
        if standing != "OK" or step.undo is None:
            continue
        command = _undo(rows, step, progress, facts, now_ms)
        if command is not None:
            return command
    return End("COMPENSATED" if touched else "REJECTED")


def _undo(rows: Rows, step: Step, progress: Progress, facts: dict[str, Any], now_ms: int) -> Command | None:
    place, way, undoing = progress.place, progress.undo, progress.undoing(step)
    if undoing == "READY":
        done = progress.do.last
        key = done.key if done is not None else key_of(place, 0)
        return Call(place, "undo", str(step.undo), key, _body(step, facts))
    if undoing == "OPEN":
        return found_out(step, place, way, facts, now_ms)
    if undoing == "LATER":
        command = again(rows, step, place, way, "undo", facts, now_ms)
        if command is not None:
            return command
    if undoing in ("LATER", "REJECTED"):
        return End("SUSPENDED", place, "JL-T004", f"{step.name}: it cannot be undone 无法撤销")
    return None


def _body(step: Step, facts: dict[str, Any]) -> Any:
    return step.make(facts) if step.make is not None else facts
