"""What the centre keeps: plain frozen records in dicts. Whoever writes holds `lock`; tests read them as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from deploy.sandbox.centre.indexed import Indexed
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.rules import Line, Setting, Split

Row = Mapping[str, Any]  # as it came over the wire


@dataclass(frozen=True, slots=True)
class Arrived:
    """A msgid, and what became of its first message: the others changed nothing."""

    msgid: str
    infno: str
    at: datetime
    times: int = 1
    outcome: str = ""  # '0' done, else the infcode of the refusal


@dataclass(frozen=True, slots=True)
class SignIn:
    sign_no: str
    opter: str
    fixmedins_code: str
    at: datetime
    over: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    mdtrt_id: str
    setting: Setting
    psn_no: str
    insutype: str
    fixmedins_code: str
    ipt_otp_no: str
    med_type: str
    begntime: str
    row: Row
    serial: int
    at: datetime
    opter: str
    opter_name: str
    state: Literal["open", "discharged", "void"] = "open"
    endtime: str = ""


@dataclass(frozen=True, slots=True)
class Fee:
    feedetl_sn: str
    mdtrt_id: str
    psn_no: str
    batch: str
    code: str
    cnt: Decimal
    pric: Decimal
    line: Line
    row: Row
    serial: int
    setl_id: str = ""  # of the settlement that it is in
    init_sn: str = ""  # of the line that it returns


@dataclass(frozen=True, slots=True)
class Settlement:
    """`refd_setl_flag` 1 is the record of a cancel; `of` is then what it cancels. `balance_fen` is what was left."""

    setl_id: str
    infno: str
    msgid: str
    mdtrt_id: str
    psn_no: str
    insutype: str
    fixmedins_code: str
    split: Split
    at: datetime
    clr_type: str
    med_type: str
    batch: str
    lines: tuple[str, ...]  # feedetl_sn
    row: Row
    serial: int
    opter: str
    opter_name: str
    balance_fen: int
    clr_optins: str
    clr_way: str = "1"
    refd_setl_flag: str = "0"
    of: str = ""
    state: Literal["valid", "cancelled", "reversed"] = "valid"


@dataclass(frozen=True, slots=True)
class Account:
    balance_fen: int
    family_fen: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person has had in a year, in one setting."""

    deducted_fen: int = 0
    pooled_fen: int = 0
    above_fen: int = 0
    scope_fen: int = 0
    times: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What a message of the list of 2601 made: the id of a settlement or a visit."""

    infno: str
    psn_no: str
    made: str
    state: Literal["done", "reversed"] = "done"


@dataclass(frozen=True, slots=True)
class Prescription:
    """`tree` is what the hospital said, `trace` its name before it is uploaded (D001), `sold` what the shop did."""

    hi_rxno: str
    hospital: str
    hosp_rxno: str
    psn_no: str
    tree: Row
    state: Literal["checked", "valid", "used", "undone"] = "checked"
    trace: str = ""
    sold: Row | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    number: str  # appRefdSn
    kind: str  # ALL, CASH, HI
    status: str  # SUCC, FAIL
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Order:
    """Of mobile payment. Paid it has a settlement, which a refund of its insured part cancels."""

    pay_ord_id: str
    pay_token: str
    med_org_ord: str
    hospital: str
    psn_no: str
    mdtrt_id: str
    batch: str
    row: Row
    total_fen: int
    serial: int
    at: datetime
    state: Literal["open", "paid", "revoked", "refunded"] = "open"
    setl_id: str = ""
    refunds: tuple[Refund, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A file. `data` is the zip, or makes it at a path; under one `key` it is made once."""

    number: str
    filename: str
    owner: str
    until: datetime
    data: bytes | Callable[[Path], None]
    key: str


def register(fixmedins_code: str, number: str) -> str:
    """By which a visit is found under the institution's own number."""
    return f"{fixmedins_code}/{number}"


def _visits() -> Indexed[str, Visit]:
    return Indexed(lambda visit: (visit.psn_no, register(visit.fixmedins_code, visit.ipt_otp_no)))


def _fees() -> Indexed[tuple[str, str], Fee]:
    return Indexed(lambda fee: (fee.mdtrt_id,))


def _settlements() -> Indexed[str, Settlement]:
    return Indexed(lambda settlement: (settlement.mdtrt_id,))


@dataclass
class Books:
    """All of it. Keys are said beside."""

    persons: dict[str, Insured]  # psn_no
    accounts: dict[str, Account]  # psn_no
    lock: RLock = field(default_factory=RLock)
    msgids: dict[str, Arrived] = field(default_factory=dict)
    signins: dict[str, SignIn] = field(default_factory=dict)  # sign_no
    visits: Indexed[str, Visit] = field(default_factory=_visits)  # mdtrt_id; of a psn_no, of a register()
    diagnoses: dict[str, tuple[Row, ...]] = field(default_factory=dict)  # mdtrt_id
    fees: Indexed[tuple[str, str], Fee] = field(default_factory=_fees)  # mdtrt_id, feedetl_sn; of a mdtrt_id
    settlements: Indexed[str, Settlement] = field(default_factory=_settlements)  # setl_id; of a mdtrt_id
    usage: dict[tuple[str, str, int, Setting], Usage] = field(default_factory=dict)  # psn_no, insutype, year
    done: dict[str, Done] = field(default_factory=dict)  # msgid
    # Filings (2501..2505), departments, mappings, stock, lists, records: by kind, then by their own key.
    kept: dict[str, dict[str, Row]] = field(default_factory=dict)
    files: dict[str, Stored] = field(default_factory=dict)  # file_qury_no
    prescriptions: dict[str, Prescription] = field(default_factory=dict)  # hi_rxno
    orders: dict[str, Order] = field(default_factory=dict)  # payOrdId
    serial: int = 0

    def next(self) -> int:
        """The number of the next thing that is booked."""
        self.serial += 1
        return self.serial

    def lines(self, mdtrt_id: str) -> Iterator[Fee]:
        """Of a visit, as they came."""
        return iter(self.fees.of(mdtrt_id))

    def unsettled(self, mdtrt_id: str, batch: str | None = None) -> list[Fee]:
        return [f for f in self.lines(mdtrt_id) if not f.setl_id and (batch is None or f.batch == batch)]

    def settled(self, mdtrt_id: str) -> list[Settlement]:
        """The settlements of a visit that hold."""
        return [s for s in self.settlements.of(mdtrt_id) if holds(s)]

    def mark(self, settlement: Settlement, setl_id: str) -> None:
        """Its lines are settled by it, or with '' by none."""
        for sn in settlement.lines:
            key = (settlement.mdtrt_id, sn)
            self.fees[key] = replace(self.fees[key], setl_id=setl_id)

    def put(self, kind: str, key: str, row: Row) -> None:
        self.kept.setdefault(kind, {})[key] = row

    def rows(self, kind: str) -> list[Row]:
        return list(self.kept.get(kind, {}).values())


def holds(settlement: Settlement) -> bool:
    """A settlement, no cancel, that nothing has undone."""
    return settlement.state == "valid" and settlement.refd_setl_flag == "0"
