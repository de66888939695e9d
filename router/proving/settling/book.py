"""What a settlement's database keeps, in memory, for one process."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from channels.settling.model import Definition
from router.settlement.book import Change, Differs, Fenced, Locked, New, Settlement, as_told
from router.settlement.invariants import Held
from router.settlement.posting import Journal
from router.settlement.rows import ENDED, Decision, Notice, Rows, State
from router.settlement.suspense import Item, followed, held, own_accounts


class MemoryBook:
    """Meets `router.settlement.book.Book`."""

    def __init__(self) -> None:
        self.settlements: dict[str, Settlement] = {}
        self.journals: dict[str, Journal] = {}
        self.events: list[str] = []
        self._requests: dict[str, New] = {}
        self._locks: dict[str, str] = {}
        self._fences: dict[str, int] = {}

    async def begin(self, new: New) -> None:
        there = self._requests.setdefault(new.number, new)
        if there is not new:
            if there.request != new.request:
                raise Differs("JL-T011", "the same number with another request")
            return
        if any(lock in self._locks for lock in new.locks):
            raise Locked("JL-T010", "another settlement of the same thing is under way")
        self._locks |= dict.fromkeys(new.locks, new.number)
        rows = Rows(new.number, new.request, new.began_ms)
        self.settlements[new.number] = Settlement(
            new.number, new.name, new.digest, "RUNNING", rows, new.began_ms
        )

    async def claim(self, number: str, owner: str, now_ms: int, until_ms: int) -> int | None:
        self._fences[number] = self._fences.get(number, 0) + 1
        return self._fences[number]

    async def load(self, number: str) -> Settlement:
        return self.settlements[number]

    async def write(self, number: str, fence: int, change: Change) -> None:
        if self._fences[number] != fence:
            raise Fenced
        was = self.settlements[number]
        rows = was.rows
        if change.begun is not None:
            rows = replace(rows, attempts=(*rows.attempts, change.begun))
        if change.ended is not None:
            at = change.ended.number - 1
            rows = replace(rows, attempts=(*rows.attempts[:at], change.ended, *rows.attempts[at + 1 :]))
        if change.decision is not None:
            rows = replace(rows, decisions=(*rows.decisions, change.decision))
        for journal in change.journals:
            self.journals.setdefault(journal.id, journal)
        self.events += [event for event in change.events if event not in self.events]
        state = change.state or was.state
        due_ms = was.due_ms if change.due_ms is None else change.due_ms
        self.settlements[number] = replace(
            was, rows=rows, state=state, due_ms=due_ms, code=change.code, text=change.text
        )
        if change.release and state in ENDED:
            self._locks = {lock: of for lock, of in self._locks.items() if of != number}

    async def tell(self, number: str, notice: Notice | Decision) -> State:
        was = self.settlements[number]
        rows, notice = was.rows, as_told(notice, was.state)
        if isinstance(notice, Notice):
            rows = replace(rows, notices=(*rows.notices, notice))
        else:
            rows = replace(rows, decisions=(*rows.decisions, notice))
        state: State = "RUNNING" if was.state == "SUSPENDED" else was.state
        self.settlements[number] = replace(was, rows=rows, state=state, due_ms=0)
        return was.state

    def held(self, number: str, definition: Definition) -> Held:
        """All that there is of one, with the item that a database has of it."""
        settlement, mine = self.settlements[number], tuple(self.journals.values())
        sums = dict.fromkeys(own_accounts(number), 0)
        for one in mine:
            for entry in one.entries:
                if entry.account in sums:
                    sums[entry.account] += entry.fen
        account, fen = held(number, sums, settlement.state, definition.accounts)
        _, cls = followed((), settlement.state, settlement.code, account, fen)
        items = (Item(f"{number}/1", number, account, fen, cls, "", 0),) if cls else ()
        locks = tuple(lock for lock, of in self._locks.items() if of == number)
        return Held(settlement, mine, items, locks)

    def balances(self) -> dict[str, Decimal]:
        """Of each account, in yuan; what it got as debit is above 0."""
        made: dict[str, int] = {}
        for journal in self.journals.values():
            for entry in journal.entries:
                made[entry.account] = made.get(entry.account, 0) + entry.fen
        return {account: Decimal(fen) / 100 for account, fen in sorted(made.items())}
