"""Does what `decide` says, one commit at a time: written first, then sent, then written what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace

from channels.settling.model import Definition
from config.errors import BadMessage
from router.settlement.book import Book, Change, Fenced, Heard, Settlement
from router.settlement.commands import Call, Command, End, Say, Wait
from router.settlement.decide import decide
from router.settlement.ledger import Floored, without
from router.settlement.posting import Journal, NoAmount, booked, may_post
from router.settlement.refused import instead, told_by_ledger
from router.settlement.rows import Attempt, Outcome, Rows, State

log = structlog.get_logger()

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
        while True:
            now = self._now_ms()
            fence = await self._book.claim(number, self._owner, now, now + LEASE_MS)
            if fence is None:
                return None
            try:
                return await self._driven(number, fence)
            except Fenced:
                return None
            except Heard:
                continue

    async def drive_on(self, settlement: Settlement, fence: int) -> State | None:
        """As `drive`, of one that was claimed and loaded."""
        try:
            return await self._driven(settlement.number, fence, settlement)
        except Fenced:
            return None
        except Heard:
            return await self.drive(settlement.number)

    def waits(self, definition: Definition, settlement: Settlement) -> Wait | None:
        """Where nothing is to be done or written now but that it waits on."""
        if settlement.code:
            return None
        try:
            command = decide(definition, settlement.rows, self._now_ms())
            if not isinstance(command, Wait):
                return None
            posted = may_post(definition, settlement.rows) and booked(definition, settlement.rows, command)
        except Exception:  # `_next` says what becomes of it
            return None
        return None if posted else command

    async def _driven(self, number: str, fence: int, settlement: Settlement | None = None) -> State:
        settlement = settlement or await self._book.load(number)
        definition = await self._definitions(settlement.digest)
        answered: Attempt | None = None  # what came of the last call, and is not written yet
        refused: Floored | None = None
        out: frozenset[str] = frozenset()  # accounts that are left out as long as it goes back
        for _ in range(_MOST):
            rows = settlement.rows
            command, books = self._next(definition, rows)
            if refused is not None:
                command = instead(definition, rows, command, books, refused, self._now_ms())
                out, refused = out | refused.accounts, None
            change = self._change(definition, settlement, command, books, out)
            if change.release and answered is not None:  # where somebody said something, it is not given up
                await self._write(number, fence, Change(ended=answered, due_ms=self._now_ms()))
                answered = None
            change = replace(change, ended=answered)
            refused, answered = await self._write(number, fence, change), None
            if refused is not None:
                continue
            if change.state is not None and change.release:
                return change.state
            settlement = _after(settlement, change)
            if isinstance(command, Call):
                assert change.begun is not None
                answered = await self._asked(settlement, command, change.begun)
                attempts = (*settlement.rows.attempts[:-1], answered)
                settlement = replace(settlement, rows=replace(settlement.rows, attempts=attempts))
        raise AssertionError(f"settlement {number}: no end in {_MOST} commands")

    async def _write(self, number: str, fence: int, change: Change) -> Floored | None:
        """The lease begins anew with it. What an account's floor refuses is told, and nothing is written but what came
        of a call; that a person must look is written in any case, without those journals."""
        until_ms = 0 if change.release else self._now_ms() + LEASE_MS
        try:
            await self._book.write(number, fence, replace(change, until_ms=until_ms))
        except Floored as error:
            if change.state != "SUSPENDED":
                if change.ended is not None:
                    await self._write(number, fence, Change(ended=change.ended, due_ms=self._now_ms()))
                return error
            left = without(change.journals, error.accounts)
            return await self._write(number, fence, replace(change, journals=left))
        return None

    def _next(self, definition: Definition, rows: Rows) -> tuple[Command, tuple[Journal, ...]]:
        """And what the books have then. What cannot be decided or booked is for a person: a bug of the pipeline's."""
        try:
            command = decide(definition, rows, self._now_ms())
            return command, booked(definition, rows, command)
        except NoAmount as error:
            return End("SUSPENDED", None, "JL-T006", str(error)), ()
        except (ValueError, BadMessage) as error:
            return End("SUSPENDED", None, "JL-T007", str(error)[:200]), ()
        except Exception as error:  # the same rows would raise it again: nobody but a person ends that
            log.exception("settlement.bug", settlement=rows.number)
            return End("SUSPENDED", None, "JL-T007", f"{type(error).__name__}: {error}"[:200]), ()

    def _change(
        self,
        definition: Definition,
        settlement: Settlement,
        command: Command,
        books: tuple[Journal, ...],
        out: frozenset[str],
    ) -> Change:
        now, left, own = self._now_ms(), without(books, out), definition.accounts
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
            due_ms = now + LEASE_MS
            return Change(begun=begun, state=command.state, journals=left, own=own, due_ms=due_ms)
        if isinstance(command, Say):
            return Change(decision=command.decision, journals=left, own=own)
        if isinstance(command, Wait):
            due_ms = command.until_ms
            return Change(state=command.state, journals=left, own=own, due_ms=due_ms, release=True)
        assert isinstance(command, End)
        events = tuple(step.emit for step in definition.steps if step.emit and command.state == "COMPLETED")
        code, text = command.code, command.text
        if command.state in ("COMPENSATED", "REJECTED"):
            code, text = told_by_ledger(settlement.rows) or (code, text)
        return Change(
            state=command.state,
            code=code,
            text=text,
            party=_party(definition, command),
            journals=books,
            own=own,
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


def _party(definition: Definition, command: End) -> str:
    """The system of the step where it ended; '' where there is none."""
    if command.place is None:
        return ""
    step = definition.step(command.place.step)
    operation = step.do or step.ask
    return operation.system if operation is not None else ""
