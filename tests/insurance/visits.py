"""The flows of a hospital's day as its HIS would drive them: one call after the other, each with its undo.

What each step needs from an earlier one is kept in the visit; a `Desk` asks, and finds out what became of what got no
answer. After every step the money is looked at: within the call, and against the calls before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from deploy.sandbox.centre.insured import Insured
from schemas.nhsa.money_calls import (
    lines_and_total,
    preview_and_input,
    preview_and_settlement,
    settlement_and_cancel,
)
from tests.centre_parts import (
    admission,
    agreed,
    bill,
    departure,
    diagnoses,
    line,
    purchase,
    registration,
    stay,
)
from tests.insurance.desk import Desk

Tree = dict[str, Any]
Item = tuple[str, str, str]  # code, price, count
# 甲 25.00 x 2, 乙 30.00, 自费 6.50, a price over its limit, a third of a fen a piece.
BASKET: tuple[Item, ...] = (
    ("XTEST000000000000001", "25.00", "2"),
    ("XTEST000000000000002", "30.00", "1"),
    ("XTEST000000000000003", "6.50", "1"),
    ("XTEST000000000000005", "12.345678", "1.5"),
    ("TTEST000000000000001", "0.333333", "7"),
)


@dataclass
class Visit:
    """A patient's visit, and how far it has come."""

    patient: Insured
    number: str
    mdtrt_id: str = ""
    setl_id: str = ""
    lines: list[Tree] = field(default_factory=list)  # as they were sent
    preview: Mapping[str, Any] = field(default_factory=dict)
    settled: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> str:
        return str(sum((Decimal(one["det_item_fee_sumamt"]) for one in self.lines), Decimal(0)))

    def _undone(self, desk: Desk, told: Any) -> None:
        """Where the answer was lost, a query shows that it is cancelled, and no amounts."""
        if told:
            desk.expect(settlement_and_cancel(self.settled, told["setlinfo"], desk.money))

    @property
    def batch(self) -> str:
        return f"B{self.number}"

    def priced(self, items: Sequence[Item]) -> list[Tree]:
        """Fee lines, as this kind of visit sends them."""
        return [self._line(n, *item) for n, item in enumerate(items, 1)]

    def _line(self, number: int, code: str, pric: str, cnt: str) -> Tree:
        return line(
            self.patient, self.mdtrt_id, f"{self.number}F{number}", code, pric, cnt, chrg_bchno=self.batch
        )

    FORWARD: ClassVar[Sequence[str]] = ()
    BACK: ClassVar[Sequence[str]] = ()

    def key(self, **fields: str) -> Tree:
        return {"data": {"psn_no": self.patient.psn_no, "mdtrt_id": self.mdtrt_id, **fields}}


class Outpatient(Visit):
    """门诊: 1101, 2201, 2203A, 2204, 2206, 2207; back by 2208, 2205, 2202."""

    async def arrive(self, desk: Desk) -> None:
        asked = {"mdtrt_cert_type": "02", "mdtrt_cert_no": self.patient.certno, "psn_cert_type": "01"}
        found = await desk.do("1101", {"data": {**asked, "certno": self.patient.certno}})
        assert found["baseinfo"]["psn_no"] == self.patient.psn_no
        made = await desk.do("2201", registration(self.patient, self.number))
        self.mdtrt_id = made["data"]["mdtrt_id"]

    async def diagnose(self, desk: Desk) -> None:
        await desk.do("2203A", diagnoses(self.patient, self.mdtrt_id))

    async def charge(self, desk: Desk, items: Sequence[Item] = BASKET) -> None:
        self.lines = self.priced(items)
        await desk.do("2204", {"feedetail": self.lines})

    async def look(self, desk: Desk) -> None:
        self.preview = (await desk.do("2206", self.bill()))["setlinfo"]
        desk.expect(lines_and_total(self.lines, self.preview, desk.money))

    async def settle(self, desk: Desk) -> None:
        asked = self.bill(**agreed(self.preview))
        desk.expect(preview_and_input(self.preview, asked["data"], desk.money))
        self.settled = (await desk.do("2207", asked))["setlinfo"]
        self.setl_id = self.settled["setl_id"]
        desk.expect(preview_and_settlement(self.preview, self.settled, desk.money))

    async def unsettle(self, desk: Desk) -> None:
        self._undone(desk, await desk.do("2208", self.key(setl_id=self.setl_id)))
        self.setl_id = ""

    async def uncharge(self, desk: Desk) -> None:
        await desk.do("2205", self.key(chrg_bchno="0000"))
        self.lines = []

    async def leave(self, desk: Desk) -> None:
        await desk.do("2202", self.key(ipt_otp_no=self.number))
        self.mdtrt_id = ""

    FORWARD = ("arrive", "diagnose", "charge", "look", "settle")
    BACK = ("unsettle", "uncharge", "leave")

    def bill(self, **fields: str) -> Tree:
        return bill(self.patient, self.mdtrt_id, self.total, chrg_bchno=self.batch, **fields)


class Inpatient(Visit):
    """住院: 2401, 2403, 2301, 2303, 2402 and 2304 in the province's order; back by 2305, 2405, 2302, 2404."""

    async def arrive(self, desk: Desk) -> None:
        made = await desk.do("2401", self.admission())
        self.mdtrt_id = made["result"]["mdtrt_id"]

    async def charge(self, desk: Desk, items: Sequence[Item] = BASKET) -> None:
        """Two days, and on the second one a thing comes back."""
        made = self.priced(items)
        await desk.do("2301", {"feedetail": made})
        code, pric, cnt = items[0]
        one = str(-min(Decimal(1), Decimal(cnt)))
        back = self._line(len(items) + 1, code, pric, one, init_feedetl_sn=made[0]["feedetl_sn"])
        await desk.do("2301", {"feedetail": [back]})
        self.lines = [*made, back]

    async def look(self, desk: Desk) -> None:
        asked = stay(self.patient, self.mdtrt_id, self.total, **dict.fromkeys(_PARTS, "0"))
        self.preview = (await desk.do("2303", asked))["setlinfo"]
        desk.expect(lines_and_total(self.lines, self.preview, desk.money))

    async def discharge(self, desk: Desk) -> None:
        await desk.do("2402", self.departure())

    async def settle(self, desk: Desk) -> None:
        asked = stay(self.patient, self.mdtrt_id, self.total, **agreed(self.preview))
        self.settled = (await desk.do("2304", asked))["setlinfo"]
        self.setl_id = self.settled["setl_id"]
        desk.expect(preview_and_settlement(self.preview, self.settled, desk.money))

    async def unsettle(self, desk: Desk) -> None:
        self._undone(desk, await desk.do("2305", self.key(setl_id=self.setl_id)))
        self.setl_id = ""

    async def return_to_ward(self, desk: Desk) -> None:
        await desk.do("2405", self.key())

    async def uncharge(self, desk: Desk) -> None:
        await desk.do("2302", {"data": [{**self.key()["data"], "feedetl_sn": "0000"}]})
        self.lines = []

    async def leave(self, desk: Desk) -> None:
        await desk.do("2404", self.key())
        self.mdtrt_id = ""

    def admission(self) -> Tree:
        return admission(self.patient, ipt_no=self.number)

    def departure(self) -> Tree:
        return departure(self.patient, self.mdtrt_id)

    FORWARD = ("arrive", "charge", "look", "discharge", "settle")
    BACK = ("unsettle", "return_to_ward", "uncharge", "leave")
    # Where a province discharges after the settlement.
    FORWARD_AFTER = ("arrive", "charge", "look", "settle", "discharge")
    BACK_AFTER = ("return_to_ward", "unsettle", "uncharge", "leave")

    def _line(self, number: int, code: str, pric: str, cnt: str, **fields: str) -> Tree:
        sn = f"{self.number}F{number}"
        made = line(self.patient, self.mdtrt_id, sn, code, pric, cnt, med_type="21", **fields)
        del made["chrg_bchno"]
        return made


_PARTS = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")


class Purchase(Visit):
    """药店: 2101, 2102; back by 2103."""

    async def look(self, desk: Desk) -> None:
        self.preview = (await desk.do("2101", self.sale(BASKET)))["setlinfo"]
        desk.expect(lines_and_total(self.lines, self.preview, desk.money))

    async def settle(self, desk: Desk) -> None:
        made = await desk.do("2102", self.sale(BASKET))
        self.settled = made["setlinfo"]
        self.mdtrt_id, self.setl_id = self.settled["mdtrt_id"], self.settled["setl_id"]
        desk.expect(preview_and_settlement(self.preview, self.settled, desk.money))

    async def unsettle(self, desk: Desk) -> None:
        self._undone(desk, await desk.do("2103", self.key(setl_id=self.setl_id)))
        self.setl_id = self.mdtrt_id = ""

    FORWARD = ("look", "settle")
    BACK = ("unsettle",)

    def _line(self, number: int, code: str, pric: str, cnt: str) -> Tree:
        made = line(self.patient, "", f"{self.number}F{number}", code, pric, cnt)
        for name in ("mdtrt_id", "chrg_bchno"):
            del made[name]
        return made

    def sale(self, items: Sequence[Item]) -> Tree:
        self.lines = self.priced(items)
        return purchase(self.patient, self.total, self.lines)


def ways(visit: Visit, discharge: str) -> tuple[Sequence[str], Sequence[str]]:
    """The steps forth and back, as the province orders them: 2402 `before` or `after` 2304."""
    if isinstance(visit, Inpatient) and discharge == "after":
        return visit.FORWARD_AFTER, visit.BACK_AFTER
    return visit.FORWARD, visit.BACK
