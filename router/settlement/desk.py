"""The settlements of one process: begun, driven, waited for. Others may drive the same ones: the fence decides.

The database decides, and a clock wakes: whatever is due is taken up again, also what a process that is gone had begun.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import structlog

from channels.settling.loader import Pipeline, compiled
from channels.settling.model import Definition
from config.errors import JingluoError, Refused, Unreachable
from router.chore import Chore
from router.settlement.book import Differs, Locked, New, Settlement
from router.settlement.facts import kept
from router.settlement.operators import Operators
from router.settlement.owner import Owner
from router.settlement.posting import Entry, Journal
from router.settlement.progress import Progress, progress_of
from router.settlement.publishing import Publisher, Tell
from router.settlement.reason import reason
from router.settlement.rows import ENDED, Decision, Notice, Outcome, Place, State
from router.settlement.runner import Calls, Runner
from router.settlement.suspense import AFTER_END, NoItem
from router.settlement.taking import Taken, Taker
from router.settlement.watch import EVERY_S, Watch
from router.store.settlement_book import SettlementBook
from router.store.settlement_outbox import Outbox
from transforms.library import Library

log = structlog.get_logger()

_LOOK_S = 1.0  # how often it is looked for what is due
_HERE_S = 10.0  # the same for one that this process drives: it says when it moved
_AT_ONCE = 64  # settlements that one process drives at the same time
_TAKEN = 1000  # settlements that are claimed at once
_OUTCOMES: Mapping[str, Outcome] = {"OK": "OK", "REJECTED": "REJECTED", "PROCESSING": "PROCESSING"}


class Desk:
    """Meets `endpoints.settling.Settle`."""

    def __init__(
        self,
        book: SettlementBook,
        calls: Calls,
        pipelines: Callable[[], Mapping[str, Pipeline]],
        library: Library,
        owner: Owner,
        now_ms: Callable[[], int],
        publisher: Callable[[Outbox, Tell], Publisher] | None = None,
        kind: Callable[[str], str] = lambda system: "",
    ) -> None:
        """`kind` says to what kind of endpoint the calls of a system go."""
        self._book = book
        self._publisher = publisher(book.outbox, self._event) if publisher else None
        self._kind = kind
        self._pipelines = pipelines
        self._library = library
        self._now_ms = now_ms
        self._owner = owner
        self._runner = Runner(book, calls, self._definition, owner.name, now_ms)
        self._taker = Taker(book, self._runner, self._definition, owner.name, now_ms)
        self._taken: deque[Taken] = deque()  # to be driven, as soon as there is room
        self._known: dict[str, Definition] = {}  # by digest
        self._driving: dict[str, asyncio.Task[None]] = {}
        self._moved: dict[str, set[asyncio.Event]] = {}  # who waits for a settlement is told that it moved
        self.watch = Watch(book, self.operators, self._definition, now_ms)
        self._watching = Chore("what must hold of settlements", self._watched, EVERY_S, EVERY_S)
        self._always: list[asyncio.Task[None]] = []

    @property
    def book(self) -> SettlementBook:
        return self._book

    @property
    def operators(self) -> Operators:
        """What people see and say of these settlements."""
        return Operators(self._book, self._now_ms, self._drive, self._definition, self._kind)

    def start(self) -> None:
        self._always = [asyncio.create_task(self._look(), name="settlements")]
        self._watching.start()
        if self._publisher is not None:
            publishing = self._publisher.run(self._in_use)
            self._always.append(asyncio.create_task(publishing, name="settlements' events"))

    async def stop(self) -> None:
        """What is under way is left to whoever comes next: nothing of it is in memory alone."""
        await self._watching.stop()
        self._taken.clear()  # else one that ends begins the next
        tasks = [*self._driving.values(), *self._always]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._book.used:
            with contextlib.suppress(Unreachable):
                await self._book.free(self._owner.name, self._now_ms())
        self._owner.let_go()
        await asyncio.to_thread(self._book.close)

    async def _watched(self) -> None:
        if self._book.used or self._pipelines():
            await self.watch.once()

    async def begin(
        self, name: str, request: Mapping[str, Any], caller: str, within_s: float
    ) -> dict[str, Any]:
        pipeline = self._pipelines().get(name)
        if pipeline is None:
            raise Refused("JL-T013", f"no settlement is called {name} 没有这个结算流程")
        definition = pipeline.definition
        number = definition.key(request)
        if not number or not isinstance(number, str | int):
            raise Refused("JL-T014", "the request gives no number (`key`) 缺少结算号")
        locks = tuple(
            f"{kind}:{value}" for kind, read in definition.lock.items() for value in read(request) or ()
        )
        await self._keep(pipeline)
        new = New(str(number), name, definition.digest, request, self._now_ms(), locks, caller)
        try:
            await self._book.begin(new)
        except (Locked, Differs) as error:
            raise Refused(error.code, error.text) from None
        return await self.show(new.number, within_s)

    async def show(self, number: str, within_s: float) -> dict[str, Any]:
        """Waits while it is under way."""
        moved = asyncio.Event()
        self._moved.setdefault(number, set()).add(moved)
        try:
            return await self._shown(number, within_s, moved)
        finally:
            self._moved[number].discard(moved)
            if not self._moved[number]:
                del self._moved[number]

    async def _shown(self, number: str, within_s: float, moved: asyncio.Event) -> dict[str, Any]:
        until = asyncio.get_running_loop().time() + within_s
        while True:
            moved.clear()
            settlement = await self._load(number)
            if settlement.state in (*ENDED, "SUSPENDED", "WAITING"):
                return await self._told(settlement)
            if settlement.due_ms <= self._now_ms():
                self._drive(number)
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return await self._told(settlement)
            with contextlib.suppress(TimeoutError):
                look_s = _HERE_S if number in self._driving else _LOOK_S
                await asyncio.wait_for(moved.wait(), min(left, look_s))

    async def cancel(self, number: str, who: str) -> dict[str, Any]:
        await self._load(number)
        await self._book.tell(number, Decision("cancel", who or "caller", self._now_ms()))
        self._drive(number)
        return await self.show(number, _LOOK_S)

    async def notice(
        self, number: str, step: str, outcome: str, reply: Any, about: Literal["do", "undo"] = "do"
    ) -> dict[str, Any]:
        settlement = await self._load(number)
        definition = await self._definition(settlement.digest)
        said, of = _OUTCOMES.get(outcome), definition.noticed(step)
        if said is None:
            raise Refused("JL-T012", "a notice says OK, REJECTED or PROCESSING 通知结果无法识别")
        if of is None:
            raise Refused("JL-T016", f"{settlement.name} has no step {step[:64]!r} 流程没有该步骤")
        place = Place(of.name)
        state = await self._book.tell(number, Notice(place, self._now_ms(), said, reply, about))
        if state not in ENDED:
            self._drive(number)
            return {"number": number, "state": state, "late": False}
        progress = progress_of((await self._load(number)).rows).get(place, Progress(place))
        known = progress.standing(of) in (("UNDONE",) if about == "undo" else ("OK", "UNDONE"))
        return {"number": number, "state": state, "late": not known}

    async def found(self, system: str, order: str, fen: int, cls: str, text: str, account: str = "") -> None:
        book, own = f"order:{system}/{order}", f"suspense:{system}"
        came = Journal(f"{book}/came/done", book, (Entry(f"clearing:{system}", fen), Entry(own, -fen)))
        journals = () if account else (came,)
        await self._book.suspense.open(book, account or own, fen, cls, text, system, journals)

    async def cleared(self, system: str, order: str, fen: int, settlement: str, by: str) -> None:
        book, own = f"order:{system}/{order}", f"suspense:{system}"
        back = Journal(f"{book}/back/done", book, (Entry(f"clearing:{system}", -fen), Entry(own, fen)))
        items = await self._book.suspense.items(book=book)
        late = await self._book.suspense.items(book=settlement, cls=AFTER_END) if items and settlement else ()
        for item in (*items, *late):
            with contextlib.suppress(NoItem):  # another process was quicker
                journals = (back,) if item.account == own else ()
                await self._book.suspense.close(item.id, by, journals)

    async def _load(self, number: str) -> Settlement:
        try:
            return await self._book.load(number)
        except LookupError:
            raise Refused("JL-T012", "no settlement has this number 没有这笔结算") from None

    async def _told(self, settlement: Settlement) -> dict[str, Any]:
        definition = await self._definition(settlement.digest)
        told = {
            "number": settlement.number,
            "settlement": settlement.name,
            "state": settlement.state,
            "facts": kept(definition, settlement.rows),
            "request": settlement.rows.request,
        }
        if settlement.state in ("COMPENSATED", "REJECTED"):
            told["reason"] = reason(definition, settlement.rows)
        return told | ({"code": settlement.code, "text": settlement.text} if settlement.code else {})

    async def _event(self, number: str) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What an event tells of a settlement, and all events of its pipeline in their order."""
        settlement = await self._book.load(number)
        definition = await self._definition(settlement.digest)
        told = await self._told(settlement)
        del told["request"]  # the facts are what others are told
        return told, [step.emit for step in definition.steps if step.emit]

    def _in_use(self) -> bool:
        return self._book.used or bool(self._pipelines())

    async def _keep(self, pipeline: Pipeline) -> None:
        definition = pipeline.definition
        if definition.digest not in self._known:
            await self._book.define(definition.digest, definition.name, pipeline.data)
            self._known[definition.digest] = definition

    async def _definition(self, digest: str) -> Definition:
        if digest not in self._known:
            data = await self._book.definition(digest)
            self._known[digest] = compiled(data, self._library)
        return self._known[digest]

    def _drive(self, number: str) -> None:
        if number not in self._driving and len(self._driving) < _AT_ONCE:
            self._begin(number, partial(self._runner.drive, number))

    def _begin(self, number: str, drive: Callable[[], Awaitable[State | None]]) -> None:
        task = asyncio.create_task(self._driven(number, drive), name=f"settlement {number}")
        self._driving[number] = task

    async def _driven(self, number: str, drive: Callable[[], Awaitable[State | None]]) -> None:
        state: State | None = None
        try:
            state = await drive()
        except Unreachable as error:
            log.warning("settlement.database_down", code=error.code)
        except JingluoError as error:
            log.error("settlement.not_driven", settlement=number, code=error.code)
        except Exception:
            log.exception("settlement.bug", settlement=number)
        finally:
            del self._driving[number]
            self._drive_taken()
            for moved in self._moved.get(number, ()):
                # Where another has it, who waits looks again, but not at once.
                asyncio.get_running_loop().call_later(0 if state else _LOOK_S, moved.set)

    def _drive_taken(self) -> None:
        """As many of what was taken as there is room for."""
        for _ in range(len(self._taken)):
            if len(self._driving) >= _AT_ONCE:
                return
            one = self._taken.popleft()
            number = one.settlement.number
            if number in self._driving:  # who began meanwhile finds it taken, and ends
                self._taken.append(one)
            else:
                self._begin(number, partial(self._runner.drive_on, one.settlement, one.fence))

    async def _look(self) -> None:
        """For what is due, whoever began it."""
        while True:
            more = False
            try:
                if self._in_use():
                    await self._free_gone()
                    more = await self._take()
            except Unreachable as error:
                log.warning("settlement.database_down", code=error.code)
            except Exception:
                log.exception("settlement.bug")
            await asyncio.sleep(0 if more else _LOOK_S)

    async def _take(self) -> bool:
        """Whether there may be more."""
        if self._taken or len(self._driving) >= _AT_ONCE:
            return False
        others, count = await self._taker.take(_TAKEN, tuple(self._driving))
        self._taken += others
        self._drive_taken()
        return count == _TAKEN and not self._taken

    async def _free_gone(self) -> None:
        """What processes of this machine had that have ended. Where the file system does not say, their leases do."""
        try:
            self._owner.hold()
            for name in self._owner.gone():
                freed = await self._book.free(name, self._now_ms())
                self._owner.forget(name)
                log.info("settlement.taken_over", owner=name, settlements=freed)
        except OSError as error:
            log.warning("settlement.owner_unseen", error=str(error))
