"""`router.settlement.book.Book` on a database. Everything that happens is one commit, under a fence."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, or_, select, update

from config.crypto import SiteKeys
from config.settings import Settings
from config.tls import Identity
from router.settlement.book import Change, Differs, Fenced, Heard, Locked, New, Settlement, as_told
from router.settlement.ledger import Deposit
from router.settlement.rows import ENDED, Decision, Notice, State
from router.settlement.stuck import usual_ms
from router.settlement.taking import Taken, Waits
from router.store import settlement_findings as findings
from router.store import settlement_ledger as ledger
from router.store import settlement_lists as lists
from router.store import settlement_pool as pool
from router.store import settlement_suspense as suspense
from router.store import settlement_tables as tables
from router.store import settlement_verify as verify
from router.store.durable import GroupedDatabase, of_site
from router.store.settlement_lists import Head, Line
from router.store.settlement_outbox import Outbox
from router.store.settlement_rows import Key, as_kept, values_of
from router.store.settlement_verify import Proof

s, a, w, j, e = (t.c for t in (tables.settlement, tables.attempt, tables.word, tables.journal, tables.entry))
# Statements made once: to make one costs more than to run it.
_ROW = select(tables.settlement).where(s.number == bindparam("of"))
_ATTEMPTS = select(tables.attempt).where(a.settlement == bindparam("of")).order_by(a.number)
_WORDS = select(tables.word).where(w.settlement == bindparam("of")).order_by(w.number)
_FENCE = select(s.fence).where(s.number == bindparam("of"))
_CLAIM = (
    update(tables.settlement)
    .where(s.number == bindparam("of"), or_(s.owner == "", s.until_ms <= bindparam("now_ms")))
    .where(s.state.not_in(ENDED))
    .values(fence=s.fence + 1)
)
_OURS = update(tables.settlement).where(
    s.number == bindparam("of"), s.fence == bindparam("by"), s.owner != ""
)
# Where it was told something since it was claimed, it stays due at once.
_HELD = _OURS.values(due_ms=case((s.due_ms == 0, 0), else_=bindparam("due")))
_GIVEN_UP = _HELD.where(s.due_ms != 0)
_BEGUN = insert(tables.attempt)
_ENDED = update(tables.attempt).where(
    a.settlement == bindparam("of"), a.number == bindparam("nth"), a.outcome.is_(None)
)
_UNLOCK = delete(tables.lock).where(tables.lock.c.number == bindparam("of"))


class SettlementBook:
    """Meets `Book`. Opened at first use."""

    def __init__(self, database: GroupedDatabase[Key], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self.findings = findings.Findings(database, now_ms)  # what does not hold
        self.suspense = suspense.Suspense(database, now_ms)  # what waits for a person

    async def begin(self, new: New) -> None:
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> None:
            asked = select(tables.settlement).where(s.number == new.number)
            there = connection.execute(asked).one_or_none()
            if there is None:
                self._lock(connection, new)
                made = self._database.insert(tables.settlement).values(_row(new, key, at_ms))
                added = connection.execute(made.on_conflict_do_nothing()).rowcount == 1
                ledger.begin(connection, self._database.insert, key, new.number)
                if added:
                    return
                there = connection.execute(asked).one()  # another process was quicker
            if _plain(_facts(there, key)["request"]) != _plain(as_kept(new.request)):
                raise Differs("JL-T011", "the same number came with another request 结算号重复")

        await self._database.write(change)

    def _lock(self, connection: Connection, new: New) -> None:
        """Raises Locked, and nothing is written then."""
        mine: list[str] = []  # the others with its number are of another process, which was quicker with it
        for name in sorted(set(new.locks)):
            row = {"name": name, "number": new.number}
            made = self._database.insert(tables.lock).values(row).on_conflict_do_nothing()
            if connection.execute(made).rowcount == 1:
                mine.append(name)
                continue
            of = connection.execute(select(tables.lock.c.number).where(tables.lock.c.name == name)).scalar()
            if of != new.number:
                connection.execute(delete(tables.lock).where(tables.lock.c.name.in_(mine)))
                raise Locked("JL-T010", "another settlement of the same thing is under way 该单据正在结算")

    async def claim(self, number: str, owner: str, now_ms: int, until_ms: int) -> int | None:
        def change(connection: Connection, key: Key) -> int | None:
            values = {"owner": owner, "until_ms": until_ms, "due_ms": max(now_ms, 1)}
            if connection.execute(_CLAIM, values | {"of": number, "now_ms": now_ms}).rowcount != 1:
                return None
            return int(connection.execute(_FENCE, {"of": number}).scalar_one())

        return await self._database.write(change)

    async def load(self, number: str) -> Settlement:
        """Raises LookupError."""

        def look(connection: Connection, key: Key) -> Settlement:
            row = connection.execute(_ROW, {"of": number}).one_or_none()
            if row is None:
                raise LookupError(number)
            attempts = connection.execute(_ATTEMPTS, {"of": number}).all()
            words = connection.execute(_WORDS, {"of": number}).all()
            return pool.opened(row, attempts, words, key)

        return await self._database.read(look)

    async def write(self, number: str, fence: int, change: Change) -> None:
        at_ms = self._now_ms()

        def written(connection: Connection, key: Key) -> None:
            new = ledger.unwritten(connection, number, change.journals)
            ledger.guard(connection, self._database.insert, new, change.own)
            self._held(connection, key, number, fence, change, at_ms)
            if change.begun is not None:
                connection.execute(_BEGUN, values_of(change.begun, number, key))
            if change.ended is not None:
                values = values_of(change.ended, number, key)
                connection.execute(_ENDED, values | {"of": number, "nth": change.ended.number})
            if change.decision is not None:
                _add_word(connection, key, number, change.decision)
            ledger.post(connection, key, number, new, at_ms)
            suspense.follow(connection, key, number, change, at_ms)
            for event in change.events:
                row = {"settlement": number, "event": event, "at_ms": at_ms}
                connection.execute(self._database.insert(tables.outbox).values(row).on_conflict_do_nothing())
            if change.release and change.state in ENDED:
                connection.execute(_UNLOCK, {"of": number})

        await self._database.write(written)

    def _held(
        self, connection: Connection, key: Key, number: str, fence: int, change: Change, at_ms: int
    ) -> None:
        """The settlement's own row, which also shows whether it is still ours; `due_ms` is 0 where it was told
        something since it was claimed. Raises Fenced and Heard before anything else is written."""
        values: dict[str, Any] = {"of": number, "by": fence, "changed_ms": at_ms}
        if change.until_ms:
            values["until_ms"] = change.until_ms
        if change.state is not None:
            values |= {"state": change.state, "code": change.code}
        if change.text:
            row = connection.execute(_ROW, {"of": number}).one()
            facts = {**_facts(row, key), "text": change.text}
            values["facts"] = key.sealed(facts, f"settlement {number}")
        if change.due_ms is not None:
            values["due"] = max(change.due_ms, 1)
        free = {"owner": "", "until_ms": 0}
        if not change.release:
            if connection.execute(_OURS if change.due_ms is None else _HELD, values).rowcount != 1:
                raise Fenced
        elif connection.execute(_GIVEN_UP, {"due": 1} | values | free).rowcount != 1:
            given_up = connection.execute(_OURS, {"of": number, "by": fence} | free)
            raise Heard if given_up.rowcount == 1 else Fenced

    def rekey(self) -> int:
        """Blocking. See GroupedDatabase."""
        return self._database.rekey()

    async def tell(self, number: str, notice: Notice | Decision) -> State:
        def change(connection: Connection, key: Key) -> State:
            row = connection.execute(select(s.state).where(s.number == number).with_for_update()).one()
            _add_word(connection, key, number, as_told(notice, row.state))
            if isinstance(notice, Notice):
                suspense.heard(connection, key, number, notice, row.state)
            state = "RUNNING" if row.state == "SUSPENDED" else row.state
            connection.execute(
                update(tables.settlement).where(s.number == number).values(due_ms=0, state=state)
            )
            told: State = row.state
            return told

        return await self._database.write(change)

    async def release(self, number: str, said: Decision) -> bool:
        """Frees what a SUSPENDED settlement has for itself; it is to go back now. False where it is not SUSPENDED."""

        def change(connection: Connection, key: Key) -> bool:
            row = connection.execute(select(s.state).where(s.number == number).with_for_update()).one()
            if row.state != "SUSPENDED":
                return False
            _add_word(connection, key, number, said)
            connection.execute(delete(tables.lock).where(tables.lock.c.number == number))
            ours = update(tables.settlement).where(s.number == number)
            connection.execute(ours.values(due_ms=0, state="RUNNING"))
            return True

        return await self._database.write(change)

    async def take(
        self, owner: str, now_ms: int, until_ms: int, limit: int, without: Sequence[str] = ()
    ) -> tuple[Sequence[Taken], Sequence[str]]:
        def change(connection: Connection, key: Key) -> Sequence[Any]:
            return pool.take(connection, owner, now_ms, until_ms, limit, without)

        rows = await self._database.write(change)
        if not rows:
            return [], []
        return await self._database.read(lambda connection, key: pool.loaded(connection, key, rows))

    async def put_back(self, owner: str, waits: Sequence[Waits]) -> None:
        at_ms = self._now_ms()
        await self._database.write(lambda connection, key: pool.put_back(connection, owner, waits, at_ms))

    async def free(self, dead: str, now_ms: int) -> int:
        """Ends the leases of a process that is known to be gone; how many it had."""
        return await self._database.write(lambda connection, key: pool.free(connection, dead, now_ms))

    async def define(self, digest: str, name: str, data: Any) -> None:
        """Keeps a pipeline's data under its digest, for as long as there are settlements."""
        row = {"digest": digest, "name": name, "data": json.dumps(data, ensure_ascii=False, default=str)}

        def change(connection: Connection, key: Key) -> None:
            made = self._database.insert(tables.definition).values(row)
            connection.execute(made.on_conflict_do_nothing())

        await self._database.write(change)

    async def definition(self, digest: str) -> Any | None:
        """The data of the pipeline with that digest."""

        def look(connection: Connection, key: Key) -> Any | None:
            asked = select(tables.definition.c.data).where(tables.definition.c.digest == digest)
            data = connection.execute(asked).scalar()
            return None if data is None else json.loads(data)

        return await self._database.read(look)

    async def usual(self, names: Collection[str]) -> dict[str, int]:
        """How long settlements of these pipelines take, by those that completed lately; 0 where they are too few."""
        return await self._database.read(
            lambda connection, key: {name: usual_ms(lists.durations(connection, name)) for name in names}
        )

    async def unheard(self, before_ms: int, limit: int = 200) -> Sequence[str]:
        """Active settlements with a call of before that time which was not answered for good, then."""
        return await self._database.read(lambda connection, key: lists.unheard(connection, before_ms, limit))

    async def balance(self, account: str) -> int:
        """What an account has, in fen."""

        def look(connection: Connection, key: Key) -> int:
            asked = select(func.coalesce(func.sum(e.fen), 0)).where(e.account == account)
            return int(connection.execute(asked).scalar_one())

        return await self._database.read(look)

    async def deposit(self, admission: str, since_ms: int = 0, until_ms: int = 0) -> Deposit:
        """What was paid in advance for an admission, and what became of it; `until_ms` 0 is now."""
        return await self._database.read(
            lambda connection, key: ledger.deposit(connection, admission, since_ms, until_ms), whole=True
        )

    async def proof(self, after: str = "", most: int = 2000) -> Proof:
        """The journals of the next `most` settlements, recomputed."""
        return await self._database.read(
            lambda connection, key: verify.page(connection, key, after, most), whole=True
        )

    async def booked(self, account: str, from_ms: int, to_ms: int) -> list[tuple[str, str, int, int]]:
        """An account's entries of that time: journal, settlement, when, fen."""

        def look(connection: Connection, key: Key) -> list[tuple[str, str, int, int]]:
            asked = select(j.id, j.settlement, j.at_ms, e.fen).join(tables.entry, e.journal == j.id)
            asked = asked.where(e.account == account, j.at_ms >= from_ms, j.at_ms < to_ms)
            return [tuple(row) for row in connection.execute(asked.order_by(j.at_ms, j.id, e.number))]

        return await self._database.read(look)

    async def search(
        self,
        state: str = "",
        name: str = "",
        since_ms: int = 0,
        limit: int = 100,
        after: str = "",
        oldest: bool = False,
    ) -> Sequence[Head]:
        """Newest first, or oldest first; `state` may be `open`, all that have no end. `after`: the last number of the
        page before."""
        return await self._database.read(
            lambda connection, key: lists.search(connection, state, name, since_ms, limit, after, oldest)
        )

    async def head(self, number: str) -> Head:
        """Raises LookupError."""

        def look(connection: Connection, key: Key) -> Head | None:
            row = connection.execute(select(*lists.HEAD).where(s.number == number)).one_or_none()
            return None if row is None else Head(*row)

        found = await self._database.read(look)
        if found is None:
            raise LookupError(number)
        return found

    async def lines(self, number: str) -> Sequence[Line]:
        """What the ledger has of a settlement, in its order."""

        def look(connection: Connection, key: Key) -> list[Line]:
            asked = select(e.journal, e.account, e.fen, j.at_ms).join(tables.journal, j.id == e.journal)
            found = asked.where(j.settlement == number).order_by(j.number, e.number)
            return [Line(*row) for row in connection.execute(found)]

        return await self._database.read(look)

    async def held(self, numbers: Sequence[str]) -> dict[str, int]:
        """What stands in the transit accounts of these settlements, in fen; 0 is left out."""

        def look(connection: Connection, key: Key) -> dict[str, int]:
            accounts = [f"transit:{number}" for number in numbers]
            asked = select(e.account, func.sum(e.fen)).where(e.account.in_(accounts)).group_by(e.account)
            return {account.partition(":")[2]: int(fen) for account, fen in connection.execute(asked) if fen}

        return await self._database.read(look) if numbers else {}

    @property
    def outbox(self) -> Outbox:
        """Its events that wait to be published."""
        return Outbox(self._database)

    @property
    def used(self) -> bool:
        """Whether anything was asked of it yet."""
        return self._database.used

    def close(self) -> None:
        """Blocking: waits for what is being written."""
        self._database.close()


def _row(new: New, key: Key, at_ms: int) -> dict[str, Any]:
    return {
        "number": new.number,
        "name": new.name,
        "digest": new.digest,
        "caller": new.caller,
        "state": "RUNNING",
        "code": "",
        "facts": key.sealed({"request": new.request}, f"settlement {new.number}"),
        "began_ms": new.began_ms,
        "changed_ms": at_ms,
        "due_ms": new.began_ms,
        "fence": 0,
        "owner": "",
        "until_ms": 0,
    }


def _facts(row: Any, key: Key) -> dict[str, Any]:
    facts: dict[str, Any] = key.opened(row.facts, f"settlement {row.number}")
    return facts


def _plain(tree: Mapping[str, Any]) -> bytes:
    """The same for the same request, whatever it went through."""
    return json.dumps(tree, sort_keys=True, default=str, ensure_ascii=False).encode()


def _add_word(connection: Connection, key: Key, settlement: str, said: Notice | Decision) -> None:
    last = select(func.coalesce(func.max(w.number), 0)).where(w.settlement == settlement)
    number = connection.execute(last).scalar_one() + 1
    sealed = key.sealed(said, f"word {settlement} {number}")
    kind = "notice" if isinstance(said, Notice) else "decision"
    row = {"settlement": settlement, "number": number, "kind": kind, "at_ms": said.at_ms, "said": sealed}
    connection.execute(insert(tables.word).values(row))


def settlement_book(
    url: str, keys: Callable[[], SiteKeys], now_ms: Callable[[], int], tls: Identity | None = None
) -> SettlementBook:
    """That of a database. Touches nothing before its first use."""
    return SettlementBook(GroupedDatabase(tables.SETTLEMENTS, Key, url, keys, tls), now_ms)


def open_settlements(settings: Settings, now_ms: Callable[[], int]) -> SettlementBook:
    """The site's."""
    return SettlementBook(of_site(tables.SETTLEMENTS, Key, settings), now_ms)
