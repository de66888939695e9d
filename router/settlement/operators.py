"""What an operator sees of settlements and says of them. A decision is a row, carried out under the rules of all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from channels.settling.model import Definition
from config.errors import JingluoError
from router.settlement.book import Settlement
from router.settlement.ledger_shown import DepositShown, Proved, Suspended, Waits, WaitsLong, WrongJournal
from router.settlement.manual import asked, lacking, shown
from router.settlement.rows import ENDED, Attempt, Decision, Place
from router.store.settlement_book import Head, SettlementBook

# What says that something happened outside needs two people and a document; the others only a reason.
_FOUR_EYES = ("done", "not done")


class NotDecided(JingluoError):
    """JL-T012 no such settlement; JL-T015 the decision lacks something, or comes too late."""


class Shown(BaseModel):
    """A settlement in a list. Times are Unix milliseconds; `held_fen` is what stands in its transit account."""

    number: str
    settlement: str
    state: str
    began_ms: int
    changed_ms: int
    code: str = ""
    held_fen: int = 0


class Tried(BaseModel):
    """One attempt, in the column of its system."""

    number: int
    system: str
    step: str
    item: int
    direction: str
    about: str
    operation: str
    key: str
    began_ms: int
    ended_ms: int
    outcome: str
    code: str
    text: str


class Line(BaseModel):
    """An entry of the ledger."""

    journal: str
    account: str
    fen: int


class Story(Shown):
    """All of one: what was tried, in order, and what the ledger has."""

    text: str = ""
    asks: dict[str, Any] | None = None  # where it waits for a person: step, form, roles, four_eyes
    attempts: list[Tried] = []
    decisions: list[dict[str, Any]] = []
    ledger: list[Line] = []


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


class Operators:
    """`wake` is told of a settlement that is to be taken up again."""

    def __init__(
        self,
        book: SettlementBook,
        now_ms: Callable[[], int],
        wake: Callable[[str], None],
        definition: Callable[[str], Awaitable[Definition]],
    ) -> None:
        self._book = book
        self._definition = definition
        self._now_ms = now_ms
        self._wake = wake

    async def list(self, state: str, name: str, since_ms: int, limit: int, after: str) -> list[Shown]:
        """Newest first."""
        heads = await self._book.search(state, name, since_ms, limit, after)
        held = await self._book.held([head.number for head in heads])
        return [_shown(head, held.get(head.number, 0)) for head in heads]

    async def show(self, number: str) -> Story:
        """Raises NotDecided (JL-T012)."""
        settlement, head = await self._known(number)
        lines = await self._book.lines(number)
        held = sum(fen for _, account, fen in lines if account == f"transit:{number}")
        waits = None
        if settlement.state == "WAITING":
            waits = asked(await self._definition(settlement.digest), settlement.rows, self._now_ms())
        return Story(
            **_shown(head, held).model_dump(),
            text=settlement.text,
            asks=shown(waits[0], waits[1].manual) if waits and waits[1].manual else None,
            attempts=[_tried(one) for one in settlement.rows.attempts],
            decisions=[_decided(one) for one in settlement.rows.decisions],
            ledger=[Line(journal=journal, account=account, fen=fen) for journal, account, fen in lines],
        )

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


def _shown(head: Head, held_fen: int) -> Shown:
    return Shown(
        number=head.number,
        settlement=head.name,
        state=head.state,
        began_ms=head.began_ms,
        changed_ms=head.changed_ms,
        code=head.code,
        held_fen=held_fen,
    )


def _tried(one: Attempt) -> Tried:
    return Tried(
        number=one.number,
        system=one.operation.rpartition(".")[0],
        step=one.place.step,
        item=one.place.item,
        direction=one.direction,
        about=one.about,
        operation=one.operation,
        key=one.key,
        began_ms=one.began_ms,
        ended_ms=one.ended_ms,
        outcome=one.outcome or "",
        code=one.code,
        text=one.text,
    )


def _decided(one: Decision) -> dict[str, Any]:
    place = {"step": one.place.step, "item": one.place.item} if one.place else {}
    told = {"what": one.what, "who": one.who, "second": one.second, "at_ms": one.at_ms, "reason": one.reason}
    return {**told, "evidence": one.evidence, **place, **({"role": one.role} if one.role else {})}
