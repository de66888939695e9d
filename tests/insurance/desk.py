"""A hospital's desk before the gateway: asks, looks at the money, and finds out what became of what got no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from deploy.sandbox.centre import Centre
from schemas.nhsa.amounts import MoneyRules
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.money import problems
from schemas.validation.base import Fault

Tree = Mapping[str, Any]
TIMES = 12
# What nothing undoes: what undid something else as a piece of business.
FINAL = frozenset(("2202", "2205", "2302", "2404", "2405"))
# Of a centre that was told to refuse, or to have forgotten the sign-in.
EXCUSES = ("系统忙,请稍后再试", "签到信息已失效,请重新签到")


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway answered."""

    infno: str
    outcome: str
    msgid: str = ""
    output: Any = None
    err_msg: str = ""
    warnings: tuple[Mapping[str, Any], ...] = ()
    whole: Mapping[str, Any] = field(default_factory=dict)


class Party(Protocol):
    """The gateway as a channel or a settlement sees it."""

    async def ask(self, infno: str, tree: Tree, key: str = "") -> Told: ...
    async def send(self, name: str, body: Tree, key: str = "") -> Told: ...
    def wait(self) -> None: ...


@dataclass
class Desk:
    party: Any
    centre: Centre
    money: MoneyRules
    discharge: str = "before"  # 2402 before or after 2304
    told: list[Told] = field(default_factory=list)
    lose: tuple[int, str] | None = None  # the writing step of this number is lost, in this way
    reverses: bool = False  # what is unknown is undone and done anew; else it is asked what became of it
    writes: int = 0
    lost: int = 0

    async def do(self, infno: str, tree: Tree) -> Any:
        """The output of what must be done in the end, whatever is lost on the way; None where a query that showed
        that it was done could not tell it."""
        if transaction(infno).writes:
            if self.lose is not None and self.lose[0] == self.writes:
                self.centre.behave(infno, self.lose[1], times=1)
            self.writes += 1
        for _ in range(TIMES):
            said = await self.party.ask(infno, tree)
            self.told.append(said)
            if said.outcome == "UNKNOWN":
                self.lost += 1
                said = await self._found_out(infno, said)
            if said.outcome == "OK" and not self._says_nothing(said):
                if said.output:
                    self.expect(problems(infno, tree, said.output, self.money))
                assert said.warnings == () or not said.output, said.warnings
                return said.output
            if said.outcome == "OK":
                continue
            assert said.outcome == "NOT_DONE" or self.misbehaves(said), said
        raise AssertionError(f"{infno} was not done in {TIMES} times")

    def _says_nothing(self, said: Told) -> bool:
        """A success of a question that tells nothing: a question may be put again."""
        asks = transaction(said.infno)
        return said.output in (None, "") and bool(asks.output) and not asks.writes

    def misbehaves(self, said: Told) -> bool:
        """Whether that is what the centre was told to say, whatever is asked."""
        return said.err_msg in EXCUSES

    async def _found_out(self, infno: str, lost: Told) -> Told:
        """OK, or NOT_DONE: it may be asked anew."""
        undoing = transaction(infno).undoing
        if undoing.repeatable and not undoing.probes:  # an upload that overwrites what may be there
            return Told(infno, "NOT_DONE")
        if self.reverses and infno not in FINAL:
            undone = await self._again("reverse", lost.msgid)
            assert undone["outcome"] == "OK", undone
            return Told(infno, "NOT_DONE")
        probed = await self._again("probe", lost.msgid)
        assert probed["verdict"] in ("DONE", "NOT_DONE"), probed
        if probed["verdict"] == "NOT_DONE":
            return Told(infno, "NOT_DONE")
        return Told(infno, "OK", lost.msgid, probed["output"])

    async def _again(self, operation: str, msgid: str) -> Mapping[str, Any]:
        """Until it is clear: what finds out may be lost too."""
        for _ in range(TIMES):
            found = (await self.party.send(operation, {"msgid": msgid})).whole
            clear = found.get("verdict", found.get("outcome"))
            if clear in ("CANNOT_SAY", "UNKNOWN"):
                self.party.wait()
            elif not any(one in found["text"] for one in EXCUSES):
                break
        return found

    def expect(self, faults: Iterable[Fault]) -> None:
        """No difference of a fen."""
        assert not [str(fault) for fault in faults]
