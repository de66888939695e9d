"""What a HIS has written down. Amounts are integer fen; nothing is deleted, what was taken back is `void`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["valid", "void"]
Kind = Literal["post", "deposit", "admission", "discharge", "registration", "slot", "pay type", "dialysis"]


@dataclass
class Bill:
    number: str
    patient: str
    fen: int
    visit: str = "V1"
    held_by: str = ""  # the key of the trade that holds it
    held_for: str = ""  # its settlement
    paid: bool = False
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Record:
    """One thing that was done. `key` is the caller's number of the trade."""

    kind: Kind
    key: str
    settlement: str
    step: str
    number: str  # the HIS' own
    at: str
    serial: int
    fen: int = 0
    bills: tuple[str, ...] = ()
    stay: str = ""  # inpatient number
    deposit: int = 0  # what a settlement used of the stay's deposits, in fen
    slot: str = ""
    method: str = ""
    state: State = "valid"


@dataclass
class Stay:
    number: str
    patient: str
    fees: list[dict[str, Any]] = field(default_factory=list)
    pay_type: str = "self"
    mdtrt_id: str = ""
    discharged: bool = False


@dataclass
class Books:
    bills: dict[str, Bill] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)  # number to fee
    serial: int = 0

    def bill(self, number: str, yuan_fen: int, patient: str = "P1") -> Bill:
        """Writes a bill of so many fen."""
        made = self.bills[number] = Bill(number, patient, yuan_fen)
        made.items.append({"code": f"I{number}", "name": "诊查费", "fen": yuan_fen})
        return made

    def stay(self, number: str, patient: str = "P1", *fees: int) -> Stay:
        made = self.stays[number] = Stay(number, patient)
        made.fees += [{"code": f"F{n}", "name": "床位费", "fen": fen} for n, fen in enumerate(fees)]
        return made

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def of(self, kind: Kind, key: str) -> list[Record]:
        return [one for one in self.records if one.kind == kind and one.key == key]

    def live(self, kind: Kind) -> list[Record]:
        return [one for one in self.records if one.kind == kind and one.state == "valid"]

    def balance(self, stay: str) -> int:
        """Deposits of a stay, less what settlements used of them."""
        paid = sum(one.fen for one in self.live("deposit") if one.stay == stay)
        return paid - sum(one.deposit for one in self.live("post") if one.stay == stay)
