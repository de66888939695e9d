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


@dataclass
class Desk:
    party: Any
    centre: Centre
    money: MoneyRules
    discharge: str = "before"  # 2402 before or after 2304
    told: list[Told] = field(default_factory=list)
    lose: tuple[int, str] | None = None  # the writing step of this number is lost, in this way
    writes: int = 0

    async def do(self, infno: str, tree: Tree) -> Any:
        """The output of what must be done in the end, whatever is lost on the way."""
        if transaction(infno).writes:
            if self.lose is not None and self.lose[0] == self.writes:
                self.centre.behave(infno, self.lose[1], times=1)
            self.writes += 1
        said = await self.party.ask(infno, tree)
        self.told.append(said)
        assert said.outcome == "OK", said
        self.expect(problems(infno, tree, said.output, self.money))
        assert said.warnings == (), said.warnings
        return said.output

    def expect(self, faults: Iterable[Fault]) -> None:
        """No difference of a fen."""
        assert not [str(fault) for fault in faults]
