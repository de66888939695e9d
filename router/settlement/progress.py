"""How far one time of one step is, by its attempts alone. Pure: the same rows give the same progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from channels.settling.model import Step
from router.settlement.rows import Attempt, Decision, Notice, Place, Rows, over_ms

# READY nothing was tried. OPEN nobody knows whether it was done. LATER it was not done, and may be tried again.
# OK, REJECTED as the party said; UNDONE it was done, and is no more.
Standing = Literal["READY", "OPEN", "LATER", "OK", "REJECTED", "UNDONE"]


class Way(Struct, frozen=True):
    """One of the two ways, do or undo: the calls themselves, and what was asked about the last of them."""

    calls: tuple[Attempt, ...] = ()
    probes: tuple[Attempt, ...] = ()  # since the last call
    reverses: tuple[Attempt, ...] = ()  # since the last call
    told: Notice | Decision | None = None  # what somebody else said, later than the last call
    retry_ms: int = 0  # when a person last wished it tried again
    stands: bool = False  # it goes back already: a refusal is not tried again

    @property
    def last(self) -> Attempt | None:
        return self.calls[-1] if self.calls else None

    def wished(self, call: Attempt) -> bool:
        """Whether a person wished it tried again since that call."""
        return not self.stands and self.retry_ms >= (call.ended_ms or call.began_ms)

    @property
    def reply(self) -> Any:
        """What is known of it once it is done: of a call without an answer, what was found out."""
        if self.told is not None and self.told.reply is not None:
            return self.told.reply
        found = next((one for one in reversed(self.probes) if one.outcome == "OK"), None)
        if found is not None:
            return found.reply
        return self.last.reply if self.last is not None else None


class Progress(Struct, frozen=True):
    """Of one place."""

    place: Place
    do: Way = Way()
    undo: Way = Way()

    def standing(self, step: Step) -> Standing:
        done = _waiting(self.do) if step.wait is not None else _standing(self.do, step, step.unknowable)
        return "UNDONE" if done == "OK" and self.undoing(step) == "OK" else done

    def undoing(self, step: Step) -> Standing:
        """How far its undoing is: READY before it began."""
        return _standing(self.undo, step, unknowable=True)


def progress_of(rows: Rows) -> dict[Place, Progress]:
    """By place, of all that was tried."""
    made: dict[Place, list[Attempt]] = {}
    for attempt in rows.attempts:
        made.setdefault(attempt.place, []).append(attempt)
    told: dict[Place, list[Notice | Decision]] = {}
    for notice in (one for one in rows.notices if not one.late):
        told.setdefault(notice.place, []).append(notice)
    for decision in rows.decisions:
        if decision.place is not None and decision.what in ("done", "not done"):
            told.setdefault(decision.place, []).append(decision)
    retry_ms = max((one.at_ms for one in rows.decisions if one.what == "retry"), default=0)
    fresh = Way(retry_ms=retry_ms)
    back = replace(fresh, stands=any(one.direction == "undo" for one in rows.attempts))
    return {
        place: _progress(Progress(place, back, fresh), made.get(place, ()), told.get(place, ()))
        for place in {*made, *told}
    }


def _progress(fresh: Progress, attempts: Iterable[Attempt], told: Iterable[Notice | Decision]) -> Progress:
    do, undo = fresh.do, fresh.undo
    for attempt in attempts:
        if attempt.direction == "do":
            do = replace(fresh.do, calls=(*do.calls, attempt))
        elif attempt.direction == "undo":
            undo = replace(fresh.undo, calls=(*undo.calls, attempt))
        elif attempt.about == "undo":
            undo = _asked(undo, attempt)
        else:
            do = _asked(do, attempt)
    for one in sorted(told, key=lambda one: one.at_ms):
        undoing = one.about == "undo" if isinstance(one, Notice) else undo.last is not None
        if undoing:
            undo = _heard(undo, one)
        else:
            do = _heard(do, one)
    return Progress(fresh.place, do, undo)


def _heard(way: Way, said: Notice | Decision) -> Way:
    if isinstance(said, Decision):
        stale = said.after < len(way.calls)  # it was tried again since
        return way if stale else replace(way, told=said)
    done = isinstance(way.told, Notice) and way.told.outcome == "OK"
    if said.outcome == "OK" and not done:
        return replace(way, told=said)
    return replace(way, told=said) if said.outcome == "REJECTED" and way.told is None else way


def _asked(way: Way, attempt: Attempt) -> Way:
    if attempt.direction == "probe":
        return replace(way, probes=(*way.probes, attempt))
    return replace(way, reverses=(*way.reverses, attempt))


def _waiting(way: Way) -> Standing:
    """Of a step that only waits: READY while it does. What came has come, whatever else was said of it."""
    if isinstance(way.told, Decision):
        return "OK" if way.told.what == "done" else "REJECTED"
    said = {one.outcome for one in way.probes}
    if way.told is not None:
        said.add(way.told.outcome)
    if "OK" in said:
        return "OK"
    return "REJECTED" if "REJECTED" in said or closed(way) else "READY"


def closed(way: Way) -> bool:
    """Whether the party made sure that it will not come any more."""
    return any(one.outcome in ("OK", "ABSENT") for one in way.reverses)


def _standing(way: Way, step: Step, unknowable: bool) -> Standing:
    if way.told is not None:
        return _as_told(way.told)
    last = way.last
    if last is None:
        return "READY"
    if last.outcome == "OK":
        return "OK"
    if last.outcome in ("REJECTED", "ABSENT"):
        return "LATER" if way.wished(last) else "REJECTED"
    if last.outcome == "UNSENT" or not unknowable:
        return "LATER"
    return _found_out(way, last, step)


def _as_told(told: Notice | Decision) -> Standing:
    if isinstance(told, Decision):
        return "OK" if told.what == "done" else "LATER"
    return "OK" if told.outcome == "OK" else "REJECTED"


def _found_out(way: Way, last: Attempt, step: Step) -> Standing:
    """Of a call that was not answered for good: what probes and reverses said since."""
    if closed(way):
        return "LATER"  # whatever it did is no more
    reversible = step.reverse is not None and last.direction == "do"
    for one in reversed(way.probes):
        if one.outcome == "OK":
            return "OK"
        if one.outcome == "REJECTED":
            return "REJECTED"
        late = is_late(one, last, step)
        final = one.final and one.began_ms >= over_ms(last)
        if one.outcome == "ABSENT" and (final or (not reversible and late)):
            return "LATER"
    return "OPEN"


def is_late(probe: Attempt, of: Attempt, step: Step) -> bool:
    """Whether a party that did it would have shown it by then, however much its queries lag."""
    return probe.began_ms > shows_ms(of, step)


def shows_ms(call: Attempt, step: Step) -> int:
    """From when on a party's queries show what a call did, or never will."""
    return over_ms(call) + round(step.probing.lag_s * 1000)
