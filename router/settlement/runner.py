"""Does what `decide` says, one commit at a time: written first, then sent, then written what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from channels.settling.model import Definition
from router.settlement.book import Book, Change, Fenced, Settlement
from router.settlement.commands import Call, Command, End, Say, Wait
from router.settlement.decide import decide
from router.settlement.posting import Journal, NoAmount, journals
from router.settlement.rows import Attempt, Outcome, Rows, State

LEASE_MS = 60_000  # from its last commit on; who takes over then finds out what became of a call under way
_MOST = 10_000  # commands in one go


class Told(Struct, frozen=True):
    """What came of a call."""

    outcome: Outcome
    final: bool = False
    reply: Any = None
    code: str = ""
    text: str = ""


class Calls(Protocol):
    """The parties. Never raises but CancelledError; takes no longer than CALL_MS."""

    async def call(self, settlement: Settlement, call: Call) -> Told: ...


class Runner:
    """One process's. `definitions` knows every pipeline that a settlement began with, by digest."""

    def __init__(
        self,
        book: Book,
        calls: Calls,
        definitions: Callable[[str], Awaitable[Definition]],
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._book = book
        self._calls = calls
        self._definitions = definitions
        self._owner = owner
        self._now_ms = now_ms

    async def drive(self, number: str) -> State | None:
        """As far as it goes now. None where another has it, or took it over. Raises StoreDown."""
        now = self._now_ms()
        fence = await self._book.claim(number, self._owner, now, now + LEASE_MS)
        if fence is None:
            return None
        try:
            return await self._driven(number, fence)
        except Fenced:
            return None

    async def _driven(self, number: str, fence: int) -> State:
        settlement = await self._book.load(number)
        definition = await self._definitions(settlement.digest)
        for _ in range(_MOST):
            rows = settlement.rows
            command = self._next(definition, rows)
            change = self._change(definition, settlement, command)
            await self._write(number, fence, change)
            if change.state is not None and change.release:
                return change.state
            settlement = _after(settlement, change)
            if isinstance(command, Call):
                assert change.begun is not None
                ended = await self._asked(settlement, command, change.begun)
                rows = replace(settlement.rows, attempts=(*settlement.rows.attempts[:-1], ended))
                books = _books(definition, rows)
                written = Change(ended=ended, journals=books, due_ms=self._now_ms())
                await self._write(number, fence, written)
                settlement = replace(settlement, rows=rows)
        raise AssertionError(f"settlement {number}: no end in {_MOST} commands")

    async def _write(self, number: str, fence: int, change: Change) -> None:
        """The lease begins anew with it."""
        until_ms = 0 if change.release else self._now_ms() + LEASE_MS
        await self._book.write(number, fence, replace(change, until_ms=until_ms))

    def _next(self, definition: Definition, rows: Rows) -> Command:
        """What cannot be decided or booked is for a person: a bug of the pipeline's, not of the engine's."""
        try:
            list(journals(definition, rows))
            return decide(definition, rows, self._now_ms())
        except NoAmount as error:
            return End("SUSPENDED", None, "JL-T006", str(error))
        except ValueError as error:
            return End("SUSPENDED", None, "JL-T007", str(error)[:200])

    def _change(self, definition: Definition, settlement: Settlement, command: Command) -> Change:
        now = self._now_ms()
        if isinstance(command, Call):
            number = len(settlement.rows.attempts) + 1
            begun = Attempt(
                number,
                command.place,
                command.direction,
                command.operation,
                command.key,
                now,
                about=command.about,
            )
            return Change(begun=begun, due_ms=now + LEASE_MS)
        if isinstance(command, Say):
            return Change(decision=command.decision)
        if isinstance(command, Wait):
            state: State = "WAITING" if command.waits else settlement.state
            return Change(state=state, due_ms=command.until_ms, release=True)
        assert isinstance(command, End)
        events = tuple(step.emit for step in definition.steps if step.emit and command.state == "COMPLETED")
        books = _books(definition, settlement.rows) if command.code not in ("JL-T006", "JL-T007") else ()
        return Change(
            state=command.state,
            code=command.code,
            text=command.text,
            journals=books,
            events=events,
            release=True,
        )

    async def _asked(self, settlement: Settlement, call: Call, begun: Attempt) -> Attempt:
        told = await self._calls.call(settlement, call)
        return replace(
            begun,
            outcome=told.outcome,
            ended_ms=self._now_ms(),
            final=told.final,
            reply=told.reply,
            code=told.code,
            text=told.text,
        )


def _after(settlement: Settlement, change: Change) -> Settlement:
    rows = settlement.rows
    if change.begun is not None:
        rows = replace(rows, attempts=(*rows.attempts, change.begun))
    if change.decision is not None:
        rows = replace(rows, decisions=(*rows.decisions, change.decision))
    return replace(settlement, rows=rows)


def _books(definition: Definition, rows: Rows) -> tuple[Journal, ...]:
    try:
        return tuple(journals(definition, rows))
    except ValueError:  # the next decision says so
        return ()
