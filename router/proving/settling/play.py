"""One test of a settlement: begun, driven by the engine's runner while the clock jumps to what is due, and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from channels.cases import CLOCK_MS
from channels.settling.cases import NOTHING, Case, EventText
from channels.settling.checking import alike
from channels.settling.model import Definition
from router.proving.settling.book import MemoryBook
from router.proving.settling.world import World
from router.settlement.book import New, Settlement
from router.settlement.facts import kept
from router.settlement.invariants import broken
from router.settlement.reason import reason
from router.settlement.rows import ENDED, Decision, Notice, Place
from router.settlement.runner import Runner
from transforms.proving import Failure

_TURNS = 20_000


@dataclass(frozen=True, slots=True)
class Played:
    """What it came to."""

    settlement: Settlement
    book: MemoryBook
    world: World


async def play(definition: Definition, case: Case) -> Played:
    """Raises ValueError where the request gives no number."""
    world, book = World(definition, case.parties, CLOCK_MS), MemoryBook()

    async def known(digest: str) -> Definition:
        return definition

    number = definition.key(case.given)
    if not isinstance(number, str | int) or not number:
        raise ValueError("the request gives no number (`key`)")
    locks = tuple(f"{kind}:{one}" for kind, read in definition.lock.items() for one in read(case.given) or ())
    new = New(str(number), definition.name, definition.digest, case.given, world.now, locks)
    await book.begin(new)
    runner = Runner(book, world, known, "test", lambda: world.now)
    events = sorted(case.meanwhile, key=lambda one: one.after)
    until_ms = world.began + round(case.text.watch * 1000)
    for _ in range(_TURNS):
        await runner.drive(new.number)
        now = await book.load(new.number)
        over = now.state in (*ENDED, "SUSPENDED")
        due_ms = until_ms + 1 if over else max(world.now + 1, now.due_ms)
        if events and world.began + events[0].after * 1000 <= due_ms:
            event = events.pop(0)
            world.now = max(world.now, world.began + round(event.after * 1000))
            await _tell(event, new.number, book, world, definition)
        elif over or due_ms > until_ms:
            return Played(now, book, world)
        else:
            world.now = due_ms
    raise ValueError("it comes to no end")


async def _tell(
    event: EventText, number: str, book: MemoryBook, world: World, definition: Definition
) -> None:
    if event.notice is not None:
        said = event.notice
        step = definition.noticed(said.step)
        assert step is not None, "a test names steps that there are"
        asked = step.ask or step.undo
        if said.outcome == "OK" and asked is not None:
            world.came(str(asked), step.name)
        await book.tell(number, Notice(Place(step.name), world.now, said.outcome, said.reply))
    elif event.decide is not None:
        one = event.decide
        settlement = await book.load(number)
        after = 0
        place = Place(one.step) if one.step else None
        if place is not None:
            after = sum(a.place == place and a.direction == "do" for a in settlement.rows.attempts)
        await book.tell(number, Decision(one.what, one.who, world.now, place, reply=one.reply, after=after))


async def proved(definition: Definition, case: Case) -> list[Failure]:
    """Plays it; nothing in the list means that all was as wanted."""
    try:
        played = await play(definition, case)
    except ValueError as error:
        return [Failure(case.name, "given", "a settlement that can be played", str(error))]
    return judge(case, definition, played)


def judge(case: Case, definition: Definition, played: Played) -> list[Failure]:
    """Nothing in the list means that all was as wanted."""
    return [
        Failure(case.name, path, wanted, got)
        for path, wanted, got in (*_said(case, definition, played), *_sound(definition, played))
    ]


def _said(case: Case, definition: Definition, played: Played) -> Iterator[tuple[str, Any, Any]]:
    """(path, wanted, got) of what the test says."""
    expect, settlement = case.text.expect, played.settlement
    if settlement.state != expect.state:
        why = f" ({settlement.code} {settlement.text})" if settlement.code else f" {_last(played)}"
        yield "state", expect.state, settlement.state + why
    if expect.code and expect.code != settlement.code:
        yield "code", expect.code, settlement.code or None
    why = reason(definition, settlement.rows)["text"] if expect.reason else ""
    if expect.reason not in why:
        yield "reason", expect.reason, why
    facts = {**settlement.rows.request, **kept(definition, settlement.rows)}
    for said, read, wanted in case.facts:
        yield from _value(f"facts: {said}", read(facts), wanted)
    for operation, said, read, wanted in case.sent:
        bodies = [call.body for call in played.world.asked if call.operation == operation]
        if not bodies:
            yield f"sent: {operation}", "a call", None
        else:
            yield from _value(f"sent: {operation}: {said}", read(bodies[-1]), wanted)
    yield from _asked(expect.asked, [call.operation for call in played.world.asked])
    balances = played.book.balances()
    for account, yuan in expect.ledger.items():
        if Decimal(str(yuan)) != balances.get(account, Decimal(0)):
            yield f"ledger: {account}", str(yuan), f"{balances.get(account, Decimal(0)):.2f}"
    left = played.world.left()
    for system, steps in expect.left.items():
        named = [] if steps == NOTHING else [steps] if isinstance(steps, str) else steps
        if sorted(named) != sorted(left.get(system, [])):
            yield f"left: {system}", steps, left.get(system) or NOTHING
    if expect.events is not None and expect.events != played.book.events:
        yield "events", expect.events, played.book.events


def _value(path: str, got: Any, wanted: Any) -> Iterator[tuple[str, Any, Any]]:
    if got != wanted and not alike(got, wanted):
        yield path, wanted, got


def _asked(wanted: Sequence[str] | Mapping[str, int], got: list[str]) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, Mapping):
        for operation, times in wanted.items():
            if got.count(operation) != times:
                yield f"asked: {operation}", f"{times} times", f"{got.count(operation)} times"
        return
    rest = iter(got)
    for operation in wanted:
        if operation not in rest:
            yield "asked", f"{operation} in this order: {', '.join(wanted)}", ", ".join(got)
            return


def _sound(definition: Definition, played: Played) -> Iterator[tuple[str, Any, Any]]:
    """What must be so of any settlement, whatever a test says: M4 to M10, and what the parties say of M6 and M7."""
    held = played.book.held(played.settlement.number, definition)
    for one in broken(definition, held, played.world.now):
        yield one.rule, "holds", one.text
    state = played.settlement.state
    for operation, fault in dict.fromkeys(played.world.faults):
        yield f"sent: {operation}", "what its table allows", fault
    for what in played.world.doubled:
        yield "done once", what, "done while it was done already"
    if state not in ENDED:
        return
    for account, yuan in played.book.balances().items():
        if account.startswith("transit:") and yuan:
            yield f"M6: {account}", "0.00", f"{yuan:.2f}"
    if state in ("COMPENSATED", "REJECTED"):
        for system, steps in played.world.left().items():
            yield f"M7: left: {system}", NOTHING, steps
        for account, yuan in played.book.balances().items():
            if yuan and not account.startswith("transit:"):
                yield f"M7: {account}", "0.00", f"{yuan:.2f}"


def _last(played: Played) -> str:
    """The last call and what came of it, for who looks for the reason."""
    attempts = played.settlement.rows.attempts
    refused = [one for one in attempts if one.outcome not in ("OK", None)] or list(attempts)
    if not refused:
        return ""
    one = refused[-1]
    return f"(last: {one.operation} {one.outcome} {one.code} {one.text})".replace("  ", " ")
