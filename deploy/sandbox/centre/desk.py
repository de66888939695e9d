"""What every transaction has at hand: the call, the books, the numbers; and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.centre.books import Books, Row, Stored, Visit
from deploy.sandbox.centre.catalogue import Catalogues
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.settings import Institution, Settings


@dataclass(frozen=True, slots=True)
class FileOut:
    """The answer is the file itself, without an envelope."""

    file: Stored


Output = dict[str, Any] | list[Any] | FileOut | None
ALL = 1 << 62


class No(Exception):
    """A refusal in the centre's words (err_msg). Nothing is booked."""

    def __init__(self, text: str, infcode: str = "-1") -> None:
        super().__init__(text)
        self.infcode = infcode


@dataclass(frozen=True, slots=True)
class Call:
    """One message that came. `blind` is the serial from which on a lagging query sees nothing."""

    infno: str
    msgid: str
    head: Row  # the envelope
    input: Mapping[str, Any]
    at: datetime
    hospital: Institution
    blind: int = ALL

    @property
    def opter(self) -> str:
        return str(self.head.get("opter") or "")

    @property
    def opter_name(self) -> str:
        return str(self.head.get("opter_name") or "")


@dataclass(frozen=True, slots=True)
class Desk:
    books: Books
    settings: Settings
    catalogues: Catalogues

    def node(self, call: Call, name: str = "data") -> Row:
        """An object of the input, under the name that the province gives it."""
        name = self.called(call, name)
        found = call.input.get(name)
        if not isinstance(found, Mapping):
            raise No(f"输入节点[{name}]不能为空")
        return found

    def rows(self, call: Call, name: str) -> list[Row]:
        """A list of the input; one object counts as a list of one."""
        found = call.input.get(self.called(call, name))
        found = [found] if isinstance(found, Mapping) else found
        if not isinstance(found, Sequence) or not found or not all(isinstance(row, Mapping) for row in found):
            raise No(f"输入节点[{name}]不能为空")
        return list(found)

    def called(self, call: Call, name: str) -> str:
        """What the province calls a node; only `data` has another name here and there."""
        return self.settings.input_nodes.get(call.infno, name) if name == "data" else name

    def person(self, call: Call, row: Row) -> Insured:
        """Who the message is about: insured, and where the envelope says."""
        found = self.books.persons.get(need(row, "psn_no"))
        if found is None:
            raise No("未查询到人员编号对应的参保人员信息")
        place = str(call.head.get("insuplc_admdvs") or "")
        if self.settings.insured_place_required:
            if not place:
                raise No("参保地医保区划[insuplc_admdvs]不能为空")
            if place != found.insuplc_admdvs:
                raise No("参保地医保区划与人员参保信息不一致")
        return found

    def visit(self, call: Call, row: Row, *settings: str) -> Visit:
        """The visit that the message is about: this person's, in this institution, not cancelled."""
        found = self.books.visits.get(need(row, "mdtrt_id"))
        if found is None or found.state == "void" or (settings and found.setting not in settings):
            raise No("未查询到就诊登记信息")
        if found.psn_no != need(row, "psn_no"):
            raise No("就诊登记信息与人员编号不一致")
        if found.fixmedins_code != call.hospital.code:
            raise No("就诊登记信息不属于本机构")
        return found

    def institution(self, code: str) -> Institution:
        return next(one for one in self.settings.institutions if one.code == code)

    def number(self, letter: str) -> str:
        """An id of the centre's own: area, a letter, 13 digits."""
        return f"{self.settings.institutions[0].admvs}{letter}{self.books.next():013d}"


Handler = Callable[[Desk, Call], Output]
HANDLERS: dict[str, Handler] = {}


def serves(*infnos: str) -> Callable[[Handler], Handler]:
    """Says which transactions a function answers."""

    def keep(handler: Handler) -> Handler:
        for infno in infnos:
            assert infno not in HANDLERS, infno
            HANDLERS[infno] = handler
        return handler

    return keep


def need(row: Row, name: str) -> str:
    """A text that must be there."""
    value = row.get(name)
    if value is None or str(value).strip() == "":
        raise No(f"[{name}]不能为空")
    return str(value)


def amount(row: Row, name: str) -> Decimal:
    """A number that must be there, as JSON number or as text."""
    try:
        value = Decimal(need(row, name))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise No(f"[{name}]不是数值")
    return value


def yuan(fen: int) -> Decimal:
    """With two decimals."""
    return Decimal(fen).scaleb(-2)


def when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
