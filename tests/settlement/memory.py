"""A book in memory that keeps what a database keeps, and can end the process before or after any commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from router.settlement.book import Change, Differs, Fenced, Heard, Locked, New, Settlement, as_told
from router.settlement.invariants import Held
from router.settlement.ledger import Floored, below, floors
from router.settlement.posting import Journal
from router.settlement.rows import ENDED, Decision, Notice, Rows, State
from router.settlement.suspense import Item, followed, held, own_accounts


class Crash(BaseException):
    """The process is gone."""


def never() -> None:
    """Nothing ends the process."""


class MemoryBook:
    """`maybe_crash` is asked before and after each commit."""

    def __init__(self, maybe_crash: Callable[[], None] = never) -> None:
        self.maybe_crash = maybe_crash
        self.settlements: dict[str, Settlement] = {}
        self.requests: dict[str, New] = {}
        self.locks: dict[str, str] = {}
        self.journals: dict[str, Journal] = {}
        self.items: dict[str, Item] = {}
        self.events: list[tuple[str, str]] = []
        self._leases: dict[str, tuple[int, str, int]] = {}  # fence, owner, until

    async def begin(self, new: New) -> None:
        self.maybe_crash()
        there = self.requests.get(new.number)
        if there is not None:
            if there.request != new.request:
                raise Differs("JL-T011", "the same number with another request")
            return
        if any(lock in self.locks for lock in new.locks):
            raise Locked("JL-T010", "another settlement of the same thing is under way")
        self.locks |= dict.fromkeys(new.locks, new.number)
        self.requests[new.number] = new
        rows = Rows(new.number, new.request, new.began_ms)
        self.settlements[new.number] = Settlement(
            new.number, new.name, new.digest, "RUNNING", rows, new.began_ms
        )
        self.maybe_crash()

    async def claim(self, number: str, owner: str, now_ms: int, until_ms: int) -> int | None:
        fence, holder, until = self._leases.get(number, (0, "", 0))
        was = self.settlements[number]
        if (holder and until > now_ms) or was.state in ENDED:
            return None
        self.settlements[number] = replace(was, due_ms=max(now_ms, 1))
        self._leases[number] = (fence + 1, owner, until_ms)
        return fence + 1

    async def load(self, number: str) -> Settlement:
        return self.settlements[number]

    async def write(self, number: str, fence: int, change: Change) -> None:
        self.maybe_crash()
        held, owner, _ = self._leases[number]
        if held != fence:
            raise Fenced
        self._floors(change)
        was = self.settlements[number]
        if change.release and was.due_ms == 0:
            self._leases[number] = (held, "", 0)
            raise Heard
        self._leases[number] = (held, owner, change.until_ms)
        rows = was.rows
        if change.begun is not None:
            rows = replace(rows, attempts=(*rows.attempts, change.begun))
        if change.ended is not None:
            at = change.ended.number - 1
            assert rows.attempts[at].outcome is None, "an outcome is written once"
            rows = replace(rows, attempts=(*rows.attempts[:at], change.ended, *rows.attempts[at + 1 :]))
        if change.decision is not None:
            rows = replace(rows, decisions=(*rows.decisions, change.decision))
        self._post(change.journals)
        if change.state is not None and change.release:
            self._follow(number, change)
        self.events += [(number, event) for event in change.events if (number, event) not in self.events]
        state = change.state or was.state
        due_ms = was.due_ms if change.due_ms is None or was.due_ms == 0 else max(change.due_ms, 1)
        self.settlements[number] = replace(
            was, rows=rows, state=state, due_ms=due_ms, code=change.code, text=change.text
        )
        if change.release:
            self._leases[number] = (held, "", 0)
            if state in ENDED:
                self.locks = {lock: of for lock, of in self.locks.items() if of != number}
        self.maybe_crash()

    def _floors(self, change: Change) -> None:
        new = [one for one in change.journals if one.id not in self.journals]
        before = {name: self.balance(name) for name in floors(new, change.own)}
        if broken := below(before, new, change.own):
            raise Floored(broken)

    def _follow(self, number: str, change: Change) -> None:
        mine = [one for one in self.items.values() if one.book == number and not one.closed_ms]
        sums = {name: self.balance(name) for name in own_accounts(number)}
        account, fen = held(number, sums, change.state, change.own)
        closed, cls = followed(mine, change.state, change.code, account, fen)
        for id, by in closed:
            self.items[id] = replace(self.items[id], closed_ms=1, closed_by=by)
        if cls is not None:
            id = f"{number}/{len(self.items) + 1}"
            self.items[id] = Item(id, number, account, fen, cls, change.party, 0)

    def _post(self, journals: Sequence[Journal]) -> None:
        for journal in journals:
            there = self.journals.setdefault(journal.id, journal)
            assert there == journal, "a journal is never another"
            assert sum(entry.fen for entry in journal.entries) == 0, "M6: every journal balances"

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

    def held(self, number: str) -> Held:
        """All that there is of one, as the invariants want it."""
        mine = tuple(one for one in self.journals.values() if one.settlement == number)
        items = tuple(one for one in self.items.values() if one.book == number and not one.closed_ms)
        locks = tuple(name for name, of in self.locks.items() if of == number)
        _, owner, until_ms = self._leases.get(number, (0, "", 0))
        return Held(self.settlements[number], mine, items, locks, owner, until_ms)

    def balance(self, account: str) -> int:
        return sum(
            entry.fen
            for journal in self.journals.values()
            for entry in journal.entries
            if entry.account == account
        )
