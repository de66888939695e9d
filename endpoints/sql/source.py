"""The database source: looks again and again for rows that are new, hands over each, and notes that it did.

What is kept with the turn (`endpoints.base.Turn`) outlives every process: how far a table was read, and the name of the
take that is open. A row's message is called by its take and its content, so a row that is taken again because a
process died before it was marked is the same message, and known as a resend; one that the other side sets back later is
a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from config.errors import JingluoError
from endpoints.base import HEAD_SIZE, Arrival, Deliver, Ground, Options, Told, not_kept
from endpoints.polling import Poller
from endpoints.sql.fault import Fault
from endpoints.sql.options import SourceOptions
from endpoints.sql.reading import Mark, Row, Table, Unfit, before, tagged, untagged
from schemas.message import Message, Once, Reply

log = structlog.get_logger()
T = TypeVar("T")

_PIECE = 262_144  # bytes of a large message
_REMEMBERED = 10_000  # rows within the overlap
_UNMARKED = 1000  # rows that could not be marked, until nothing is taken any more


class _Kept(msgspec.Struct, frozen=True):
    """`take` (Unix ms) is part of the names of the rows that are being taken, while `open`.

    `after`: the last key, with its type. `taken`: digests of rows at it, and within the overlap before it. `unmarked`:
    rows that could not be marked, and the take that they are of. `start`: where the channel began.
    """

    take: int = 0
    open: bool = False
    after: tuple[str, str] | None = None
    taken: tuple[str, ...] = ()
    unmarked: dict[str, int] = {}
    start: int | str | None = None


_decode = msgspec.json.Decoder(_Kept).decode


@dataclass(slots=True)
class _Progress:
    """What came of one look so far."""

    done: list[Row]
    marks: dict[str, Mark]
    stopped: JingluoError | None = None


class DatabaseSource:
    """Takes rows in the order in which the query gives them, one message at a time."""

    Options: ClassVar[type[Options]] = SourceOptions
    codes = frozenset(("marked", "refused", "stays"))

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._table = Table(options, ground.base_dir)
        self._thread: ThreadPoolExecutor | None = None
        self._turn = ground.turn()
        self._poller = Poller(f"database {ground.name}", self._turn, self._look)
        self.pause, self.resume, self.close = self._poller.pause, self._poller.resume, self._poller.close
        self._unmarked: dict[str, Mark] = {}  # by digest: the engine has them, the database does not know
        self._marked: frozenset[str] = frozenset()  # rows that should be out of the query by now
        self._said: frozenset[str] = frozenset()  # of which it was logged that they cannot be marked
        self._deliver: Deliver

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._thread = ThreadPoolExecutor(1, f"database {self.ground.name}")
        await self._poller.start()

    async def stop(self) -> None:
        """Returns when what is being taken has its reply and its mark."""
        await self._poller.stop()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._table.close)
            thread.shutdown(wait=False)

    def told(self, message: Message, reply: Reply) -> Told:
        return Told({"refused": "refused", "failed": "stays"}.get(reply.state, "marked"))

    async def _look(self) -> float:
        """How long there is nothing more to do then. Raises JingluoError where it cannot go on."""
        kept = _decode(self._turn.value) if self._turn.value else _Kept()
        if kept.start != self.options.start:  # a new channel, or one that shall begin elsewhere
            kept = _Kept(start=self.options.start)
        limit = self.options.max_rows + len(kept.taken) + len(self._unmarked) + len(self._marked)
        rows: list[Row] = await self._ask(self._table.read, self._after(kept), limit)
        self._check(rows)
        there = {row.digest for row in rows}
        self._forget(there)
        known = self._marked.union(kept.taken, self._unmarked)
        fresh = list({row.digest: row for row in rows if row.digest not in known}.values())
        fresh, more = fresh[: self.options.max_rows], len(fresh) >= self.options.max_rows
        if fresh and not kept.open:
            kept = replace(kept, take=int(self.ground.now() * 1000), open=True)
            await self._keep(kept)
        progress = await self._take(fresh, kept)
        self._unmarked |= progress.marks
        await self._mark(there)
        takes = {digest: kept.unmarked.get(digest, kept.take) for digest in self._unmarked}
        kept = replace(kept, open=progress.stopped is not None, unmarked=takes)
        await self._keep(self._advanced(kept, rows, progress.done))
        if progress.stopped is not None:
            raise progress.stopped
        return 0.0 if more else self.options.every

    async def _keep(self, kept: _Kept) -> None:
        value = msgspec.json.encode(kept).decode()
        if value != self._turn.value:
            await self._turn.keep(value)

    async def _ask(self, work: Callable[..., T], *given: Any) -> T:
        assert self._thread is not None
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def _take(self, rows: Sequence[Row], kept: _Kept) -> _Progress:
        """Hands over row by row, until the engine takes no more."""
        progress = _Progress([], {})
        for group in self._groups(rows):
            if not await self._poller.may():
                progress.stopped = None if self._poller.ends else JingluoError("JL-B001", "the turn is lost")
                break
            reply = await self._hand_over(group, kept.unmarked.get(group[0].digest, kept.take))
            if reply.state == "failed":
                progress.stopped = JingluoError(reply.code, reply.text)
                break
            progress.done += group
            for row in group:
                if mark := self._mark_of(row, reply):
                    progress.marks[row.digest] = mark
        return progress

    def _groups(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Of rows that make one message. A row that can be none is refused by itself."""
        group: list[Row] = []
        for row in rows:
            if row.fault:
                if group:
                    yield group
                yield [row]
                group = []
                continue
            group.append(row)
            if len(group) == self.options.rows:
                yield group
                group = []
        if group:
            yield group

    async def _hand_over(self, group: Sequence[Row], take: int) -> Reply:
        once = Once(" ".join((str(take), *(row.digest for row in group))).encode(), at_ms=take)
        source = f"database {self.ground.name}"
        fault = group[0].fault
        if fault:
            head = group[0].body[:HEAD_SIZE]
            return await self._deliver(Message(head, source, fault=fault, fault_code="JL-E351", once=once))
        body = group[0].body if self.options.rows == 1 else b"[" + b",".join(row.body for row in group) + b"]"
        arrival = Arrival(self.ground.spool)
        try:
            for at in range(0, max(len(body), 1), _PIECE):
                await arrival.take(body[at : at + _PIECE])
            await arrival.end()
        except JingluoError as error:
            return not_kept(error)
        finally:
            await arrival.give_up()
        charset = self.options.charset if self.options.body else ""
        return await self._deliver(
            Message(arrival.body, source, charset=charset, blob=arrival.blob, once=once)
        )

    # Marks

    def _mark_of(self, row: Row, reply: Reply) -> Mark | None:
        refused = reply.state == "refused"
        statement = (self.options.on_refused or self.options.mark) if refused else self.options.mark
        if statement is None:
            return None
        told = {"jl_id": reply.id, "jl_code": reply.code, "jl_reason": reply.text, "jl_path": reply.path}
        return Mark(statement, {**row.values, **told})

    async def _mark(self, there: set[str]) -> None:
        """Tries all that are left. What cannot be marked is not taken again, and tried again at the next look.

        Nor is a row that is still in the query after it was marked: it would come for ever.
        """
        failed = dict.fromkeys(self._marked & there, "its row is still in the query")
        marked = set(failed)
        waiting = list(self._unmarked.items())
        results: list[int | Fault] = []
        if waiting:
            results = await self._ask(self._table.mark, [mark for _, mark in waiting])
        for (digest, _), result in zip(waiting, results, strict=True):
            if result == 0:
                failed[digest] = "it changes no row"
            elif isinstance(result, Fault):
                failed[digest] = result.text
            if digest not in failed or self.options.key:  # with a key, a mark is only for the other side
                del self._unmarked[digest]
                marked.add(digest)
        self._marked = frozenset() if self.options.key else frozenset(marked)
        self._say(failed)

    def _say(self, failed: dict[str, str]) -> None:
        if failed and not failed.keys() <= self._said:
            reasons = ", ".join(sorted(set(failed.values())))
            log.error(
                "database.not_marked",
                channel=self.ground.name,
                code="JL-E353",
                rows=len(failed),
                reason=reasons,
            )
        self._said = frozenset(failed)

    def _forget(self, there: set[str]) -> None:
        """Who is no longer in the query needs no mark: somebody else saw to it."""
        if self.options.mark is not None:
            self._unmarked = {digest: mark for digest, mark in self._unmarked.items() if digest in there}

    # How far

    def _after(self, kept: _Kept) -> Any:
        key = untagged(*kept.after) if kept.after else self.options.start
        return before(key, self.options.overlap) if key is not None else None

    def _check(self, rows: Sequence[Row]) -> None:
        """Raises Unfit where reading on would leave rows out."""
        if len(self._unmarked) > _UNMARKED:
            raise Unfit(f"{_UNMARKED} rows could not be marked; mend `mark`, or the rights of the user")
        if not self.options.key:
            return
        keys = [row.key for row in rows]
        if None in keys:
            raise Unfit(f"a row without {self.options.key}: nobody could say what comes after it")
        try:
            ordered = all(one <= next for one, next in pairwise(keys))
        except TypeError:
            raise Unfit(f"the values of {self.options.key} cannot be compared") from None
        if not ordered:
            raise Unfit(f"the rows do not come in the order of {self.options.key}")

    def _advanced(self, kept: _Kept, rows: Sequence[Row], done: Sequence[Row]) -> _Kept:
        """Past what was taken, with what must be known again of the overlap."""
        if not self.options.key or not done:
            return kept
        last = done[-1].key
        if kept.after is not None:
            last = max(last, untagged(*kept.after))
        edge = before(last, self.options.overlap)
        known = {*kept.taken, *(row.digest for row in done)}
        taken = [row.digest for row in rows if row.key >= edge and row.digest in known]
        if len(taken) > _REMEMBERED:
            raise Unfit(f"more than {_REMEMBERED} rows within `overlap`; make it shorter")
        return replace(kept, after=tagged(last), taken=tuple(taken))
