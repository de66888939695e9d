"""What an operator sees of settlements and says of them. A decision is a row, carried out under the rules of all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from channels.settling.model import Definition
from config.errors import JingluoError
from router.settlement.book import Settlement
from router.settlement.ledger import Floored
from router.settlement.ledger_shown import (
    DepositShown,
    Proved,
    Suspended,
    Unsound,
    Waits,
    WaitsLong,
    WrongJournal,
)
from router.settlement.manual import asked, lacking, shown
from router.settlement.progress import progress_of
from router.settlement.rows import ENDED, Decision, Place
from router.settlement.shown import Line, Shown, Story, Tried, decided, head_shown, tried
from router.settlement.stuck import UNKNOWN_MS, Why, is_late, is_unknown
from router.settlement.suggestions import Suggestion, suggested
from router.settlement.suspense import NoItem
from router.store.settlement_book import SettlementBook
from router.store.settlement_lists import Head

# What says that something happened outside needs two people and a document; the others only a reason.
_FOUR_EYES = ("done", "not done")


class NotDecided(JingluoError):
    """JL-T012 no such settlement; JL-T015 the decision lacks something, or comes too late."""


class Decide(BaseModel):
    """What a person says. `done` and `not done` of a step need a second person and the document that shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Literal["done", "not done", "retry", "compensate", "forward", "cancel"]
    who: str = Field(min_length=1, max_length=100, description="who decides 决定人")
    reason: str = Field(min_length=1, max_length=500, description="why 原因")
    step: str = Field("", max_length=64, description="of done and not done: which step")
    item: int = Field(0, ge=0)
    second: str = Field("", max_length=100, description="the second person 复核人")
    evidence: str = Field("", max_length=500, description="the document that shows it 凭证")
    reply: Any = Field(None, description="of done: what the party would have answered, or a form's fields")
    role: str = Field("", max_length=64, description="of a step that says who may decide it: as what 角色")


class Ask(BaseModel):
    """Which step's party is asked now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str = Field(min_length=1, max_length=64)
    item: int = Field(0, ge=0)
    who: str = Field(min_length=1, max_length=100, description="who asks 查询人")
    reason: str = Field("", max_length=500)


class Release(BaseModel):
    """Who frees the bills of a settlement of which nothing is left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: str = Field(min_length=1, max_length=100, description="who decides 决定人")
    reason: str = Field(min_length=1, max_length=500, description="why 原因")
    second: str = Field("", max_length=100, description="the second person 复核人")


class Close(BaseModel):
    """How a suspense item is explained: by a document, and two people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=300)
    who: str = Field(min_length=1, max_length=100, description="who decides 决定人")
    second: str = Field(min_length=1, max_length=100, description="the second person 复核人")
    reason: str = Field(min_length=1, max_length=500, description="why 原因")
    evidence: str = Field(min_length=1, max_length=500, description="the document that shows it 凭证")
    to: str = Field(
        "",
        pattern=r"^([a-z]+(:[A-Za-z0-9_./-]+)+)?$",
        max_length=200,
        description="the account that gets its money",
    )


class Operators:
    """`wake` is told of a settlement that is to be taken up again."""

    def __init__(
        self,
        book: SettlementBook,
        now_ms: Callable[[], int],
        wake: Callable[[str], None],
        definition: Callable[[str], Awaitable[Definition]],
        kind: Callable[[str], str] = lambda system: "",
    ) -> None:
        """`kind` says of which kind a system is, as systems.yaml has it."""
        self._book = book
        self._definition = definition
        self._kind = kind
        self._now_ms = now_ms
        self._wake = wake

    async def list(self, state: str, name: str, since_ms: int, limit: int, after: str) -> Sequence[Shown]:
        """Newest first."""
        return await self._shown(await self._book.search(state, name, since_ms, limit, after))

    async def stuck(self, name: str, limit: int) -> Sequence[Shown]:
        """Those that wait for a person, are late, or know too long of no outcome; of the 1000 oldest without an end."""
        heads = await self._book.search("open", name, oldest=True, limit=1000)
        return [one for one in await self._shown(heads) if one.stuck][:limit]

    async def _shown(self, heads: Sequence[Head]) -> Sequence[Shown]:
        now_ms = self._now_ms()
        held = await self._book.held([head.number for head in heads])
        open = [head for head in heads if head.state not in ENDED]
        usual = await self._book.usual({head.name for head in open})
        unknown = await self._unknown(now_ms) if open else frozenset()
        return [
            head_shown(head, held.get(head.number, 0), stuck_of(head, usual, unknown, now_ms))
            for head in heads
        ]

    async def _unknown(self, now_ms: int) -> frozenset[str]:
        """Those that know too long of no outcome."""
        found = set()
        for number in await self._book.unheard(now_ms - UNKNOWN_MS):
            settlement = await self._book.load(number)
            try:
                unknown = is_unknown(await self._definition(settlement.digest), settlement.rows, now_ms)
            except ValueError:  # its pipeline cannot be read any more: nobody finds it out
                unknown = True
            if unknown:
                found.add(number)
        return frozenset(found)

    async def show(self, number: str) -> Story:
        """Raises NotDecided (JL-T012)."""
        settlement, head = await self._known(number)
        (shown_head,) = await self._shown([head])
        lines = await self._book.lines(number)
        waits = None
        if settlement.state == "WAITING":
            waits = asked(await self._definition(settlement.digest), settlement.rows, self._now_ms())
        attempts = [tried(one, self._kind) for one in settlement.rows.attempts]
        return Story(
            **shown_head.model_dump(),
            text=settlement.text,
            suggests=_suggests(shown_head, attempts),
            asks=shown(waits[0], waits[1].manual) if waits and waits[1].manual else None,
            attempts=attempts,
            decisions=[decided(one) for one in settlement.rows.decisions],
            ledger=[Line(**one._asdict()) for one in lines],
        )

    async def ask(self, number: str, said: Ask) -> Story:
        """Asks a party now; the answer is an attempt as any other. Raises NotDecided."""
        settlement, _ = await self._known(number)
        if settlement.state in ENDED:
            raise NotDecided("JL-T015", f"it is {settlement.state}: nothing is asked any more 结算已结束")
        definition = await self._definition(settlement.digest)
        step = next((one for one in definition.steps if one.name == said.step), None)
        place, rows = Place(said.step, said.item), settlement.rows
        tried_there = any(one.place == place for one in rows.attempts)
        if step is None or step.ask is None or not (tried_there or step.wait is not None):
            raise NotDecided("JL-T015", f"{said.step}: there is nothing to ask of it 该步骤无可查询")
        after = len(rows.attempts)
        decision = Decision("ask", said.who, self._now_ms(), place, reason=said.reason, after=after)
        await self._book.tell(number, decision)
        self._wake(number)
        return await self.show(number)

    async def release(self, number: str, said: Release) -> Story:
        """Frees the bills of a SUSPENDED settlement of which nothing is left. Raises NotDecided."""
        settlement, _ = await self._known(number)
        left = await self._left(settlement)
        if settlement.state != "SUSPENDED" or left:
            why = left or f"it is {settlement.state}, not SUSPENDED 未挂起"
            raise NotDecided("JL-T015", f"not released: {why}")
        decision = Decision("release", said.who, self._now_ms(), second=said.second, reason=said.reason)
        if not await self._book.release(number, decision):
            raise NotDecided("JL-T015", "it is under way again 正在处理")
        self._wake(number)
        return await self.show(number)

    async def _left(self, settlement: Settlement) -> str:
        """What is left of it outside and in the ledger, for people; '' where nothing is."""
        held = await self._book.held([settlement.number])
        if held:
            return "money stands in its transit account 有在途资金"
        definition = await self._definition(settlement.digest)
        for place, progress in progress_of(settlement.rows).items():
            step = next((one for one in definition.steps if one.name == place.step), None)
            standing = progress.standing(step) if step is not None else "OPEN"
            if standing == "OPEN" or (standing == "OK" and step is not None and step.unknowable):
                return f"{place.step} is done, or nobody knows 该步骤已生效或结果不明"
        return ""

    async def suspense(
        self, party: str, cls: str, least_fen: int, by: str, closed: bool, limit: int
    ) -> Suspended:
        """Oldest first, or (`by` amount) largest first."""
        book = self._book.suspense
        items = await book.items(party, cls, "", least_fen, by, closed, limit)
        aged = await book.aged()
        return Suspended(
            aged=[WaitsLong(**msgspec.to_builtins(one)) for one in aged],
            items=[Waits(**msgspec.to_builtins(one)) for one in items],
        )

    async def close_item(self, said: Close) -> Waits:
        """Two people say how an item is explained. Raises NotDecided."""
        if said.second == said.who:
            raise NotDecided("JL-T015", "closing an item needs a second person 需复核人")
        by = f"{said.who} + {said.second}: {said.reason} ({said.evidence})"
        try:
            closed = await self._book.suspense.close(said.id, by, to=said.to)
        except (NoItem, Floored) as error:
            raise NotDecided(error.code, error.text) from None
        return Waits(**msgspec.to_builtins(closed))

    async def findings(self, closed: bool, limit: int) -> Sequence[Unsound]:
        """What did not hold, newest first."""
        found = await self._book.findings.list(closed, limit)
        return [Unsound(**msgspec.to_builtins(one)) for one in found]

    async def proof(self, after: str, most: int) -> Proved:
        """The journals of the next `most` settlements behind `after`, recomputed."""
        proof = await self._book.proof(after, most)
        found = [WrongJournal(**msgspec.structs.asdict(one)) for one in proof.found]
        return Proved(found=found, settlements=proof.settlements, journals=proof.journals, after=proof.after)

    async def deposit(self, admission: str, since_ms: int, until_ms: int) -> DepositShown:
        """What was paid in advance for an admission, and what became of it."""
        found = await self._book.deposit(admission, since_ms, until_ms)
        return DepositShown.model_validate(msgspec.to_builtins(found))

    async def decide(self, number: str, said: Decide) -> Story:
        """Raises NotDecided."""
        settlement, _ = await self._known(number)
        if settlement.state in ENDED:
            raise NotDecided("JL-T015", f"it is {settlement.state}: nothing is left to decide 结算已结束")
        if any(one.what == "release" for one in settlement.rows.decisions) and said.what != "compensate":
            raise NotDecided("JL-T015", "its bills were released: it only goes back 单据已释放，只能冲正")
        place = Place(said.step, said.item) if said.step else None
        if said.what == "retry" and settlement.state != "SUSPENDED":
            raise NotDecided("JL-T015", "it is under way, and tried by itself 正在自动重试")
        mine = [one.direction for one in settlement.rows.attempts if one.place == place]
        calls = mine.count("undo") or mine.count("do")  # what is said of an undoing is said of the latest
        decision = Decision(
            said.what,
            said.who,
            self._now_ms(),
            place,
            said.second,
            said.reason,
            said.evidence,
            said.reply,
            calls,
            said.role,
        )
        if said.what in _FOUR_EYES:
            await self._may(settlement, decision)
        await self._book.tell(number, decision)
        self._wake(number)
        return await self.show(number)

    async def _may(self, settlement: Settlement, said: Decision) -> None:
        """Whether done or not done may be said. Raises NotDecided (JL-T015)."""
        definition = await self._definition(settlement.digest)
        step = next(
            (s for s in definition.steps if said.place is not None and s.name == said.place.step), None
        )
        if step is not None and step.manual is not None:
            waits = asked(definition, settlement.rows, self._now_ms())
            if waits is None or waits[0] != said.place:
                raise NotDecided("JL-T015", f"{step.name} does not wait for anybody 该步骤未在等待审批")
            if lacks := lacking(step.manual, said):
                raise NotDecided("JL-T015", f"{step.name}: {lacks}")
        elif step is None or not said.evidence or not said.second or said.second == said.who:
            text = f"{said.what}: needs a step, a document and a second person 需步骤、凭证和复核人"
            raise NotDecided("JL-T015", text)

    async def _known(self, number: str) -> tuple[Settlement, Head]:
        try:
            return await self._book.load(number), await self._book.head(number)
        except LookupError:
            raise NotDecided("JL-T012", f"no settlement has the number {number} 没有这笔结算") from None


def stuck_of(head: Head, usual: Mapping[str, int], unknown: frozenset[str], now_ms: int) -> Why:
    """Why one does not come to its end; '' where it does, or has."""
    if head.state in ENDED:
        return ""
    late = is_late(head.state, head.began_ms, usual.get(head.name, 0), now_ms)
    return late if late == "person" else ("unknown" if head.number in unknown else late)


def _suggests(head: Shown, attempts: Sequence[Tried]) -> Suggestion | None:
    if head.state in ENDED:
        return None
    column = attempts[-1].column if attempts else ""
    held = head.held_fen != 0
    return suggested(
        {"state": head.state, "code": head.code, "column": column, "held": held, "stuck": head.stuck}
    )
