"""What the platform does when it is asked. Amounts are integer fen; what was written off has a red bill of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ISSUES = {
    "invoiceEBillOutpatient": "02",
    "invEBillHospitalized": "01",
    "invEBillRegistration": "06",
    "invEBillCheckUp": "05",
    "invoicePayMentVoucher": "07",
}
WRITES_OFF = ("writeOffEBill", "writeOffPayMentVoucher", "cancelPayMentVoucherBalance")


class No(Exception):
    """`code` is the platform's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Bill:
    bus_no: str
    bus_type: str
    fen: int
    batch: str
    number: str
    random: str
    day: str  # yyyyMMdd
    payer: str = ""
    place: str = ""
    scarlet: str = ""  # the number of its red bill
    scarlet_day: str = ""
    paper: str = ""


class Desk:
    """`dedupe`: whether a business number is good once. `blind`: queries do not see the last so many bills."""

    def __init__(self, dedupe: bool = True) -> None:
        self.bills: list[Bill] = []
        self.dedupe = dedupe
        self.blind = 0
        self._serial = 0

    def live(self) -> list[Bill]:
        return [one for one in self.bills if not one.scarlet]

    def do(self, method: str, asked: Mapping[str, Any]) -> Any:
        """Raises No."""
        if method in ISSUES:
            return self._issue(ISSUES[method], asked)
        if method in WRITES_OFF:
            return self._write_off(method, asked)
        doing: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "getEBillByBusNo": self._by_bus_no,
            "getEBillStatesByBillInfo": self._state,
            "checkTotalData": self._totals,
            "checkWriteOffData": self._write_offs,
            "getBillByBusDate": self._of_day,
            "getPaperBillNo": lambda asked: {"pBillBatchCode": "P99", "pBillNo": f"{self._serial + 1:010d}"},
            "getValidBillBatchCode": lambda asked: {"billBatchCodeList": [{"pBillBatchCode": "P99"}]},
            "turnPaper": self._paper,
            "reTurnPaper": self._paper,
            "invalidPaper": self._void,
        }
        if method not in doing:
            raise No("E0001", f"接口{method}不存在")
        return doing[method](asked)

    def _issue(self, bus_type: str, asked: Mapping[str, Any]) -> Any:
        for name in ("busNo", "busDateTime", "placeCode", "payer"):
            if not asked.get(name):
                raise No("E0002", f"{name}不能为空")
        if asked.get("busType") != bus_type:
            raise No("E0003", "业务标识有误")
        if len(str(asked["busDateTime"])) != 17:
            raise No("E0003", "业务发生时间格式有误")
        if self.dedupe and any(one.bus_no == asked["busNo"] for one in self.bills):
            raise No("E0010", "业务流水号重复")
        total = Decimal(str(asked.get("amt" if bus_type == "07" else "totalAmt") or 0))
        lines = asked.get("chargeDetail") or []
        if total <= 0 or (lines and sum(Decimal(str(one["amt"])) for one in lines) != total):
            raise No("E0011", "开票金额与明细合计不一致")
        self._serial += 1
        made = Bill(
            str(asked["busNo"]),
            bus_type,
            int(total * 100),
            "99060126" if bus_type != "07" else "99070126",
            f"{self._serial:010d}",
            f"r{self._serial:05d}",
            str(asked["busDateTime"])[:8],
            str(asked["payer"]),
            str(asked["placeCode"]),
        )
        self.bills.append(made)
        voucher = {"voucherBatchCode": "V99", "voucherNo": made.number} if bus_type == "07" else {}
        pictures = {"pictureUrl": f"http://10.0.0.9/h5/{made.random}", "billQRCode": "iVBORw0KGgo="}
        return {**_shown(made), **voucher, "createTime": asked["busDateTime"], **pictures}

    def _write_off(self, method: str, asked: Mapping[str, Any]) -> Any:
        bill = self._found(asked)
        if (bill.bus_type == "07") != (method != "writeOffEBill"):
            raise No("E0020", "票据类型与冲红接口不符")
        if bill.scarlet:
            raise No("E0021", "票据已冲红")
        if bill.paper:
            raise No("E0022", "已换开纸质票据，请先作废")
        self._serial += 1
        bill.scarlet, bill.scarlet_day = f"{self._serial:010d}", str(asked["busDateTime"])[:8]
        return {
            "eScarletBillBatchCode": bill.batch,
            "eScarletBillNo": bill.scarlet,
            "eScarletRandom": f"s{self._serial:05d}",
            "createTime": asked["busDateTime"],
        }

    def _by_bus_no(self, asked: Mapping[str, Any]) -> Any:
        seen = self.bills[: len(self.bills) - self.blind]
        found = next((one for one in seen if one.bus_no == asked.get("busNo")), None)
        if found is None:
            raise No("E0404", "未查询到票据信息")
        voucher = {"voucherBatchCode": "V99", "voucherNo": found.number} if found.bus_type == "07" else {}
        return {**_shown(found), **voucher}

    def _state(self, asked: Mapping[str, Any]) -> Any:
        bill = self._found(asked)
        red = {"eScarletBillBatchCode": bill.batch, "eScarletBillNo": bill.scarlet} if bill.scarlet else {}
        return {**_shown(bill), "state": "1", "isScarlet": "1" if bill.scarlet else "0", **red}

    def _totals(self, asked: Mapping[str, Any]) -> Any:
        day = str(asked.get("busDate"))
        return _sums([one for one in self.bills if one.day == day])

    def _write_offs(self, asked: Mapping[str, Any]) -> Any:
        day = str(asked.get("busDate"))
        return _sums(
            [
                one
                for one in self.bills
                if one.scarlet_day == day and asked.get("busType", one.bus_type) == one.bus_type
            ]
        )

    def _of_day(self, asked: Mapping[str, Any]) -> Any:
        first, last = str(asked.get("busBgnDate"))[:8], str(asked.get("busEndDate"))[:8]
        red = str(asked.get("dataType") or "1") == "2"
        found = [
            one
            for one in self.bills
            if first <= (one.scarlet_day if red else one.day) <= last and (one.scarlet or not red)
        ]
        size, page = int(asked.get("pageSize") or 200), int(asked.get("pageNo") or 1)
        rows = found[(page - 1) * size : page * size]
        listed = [{**_shown(one), "busType": one.bus_type, "totalAmt": _yuan(one.fen)} for one in rows]
        return {"total": len(found), "pageNo": page, "billList": listed}

    def _paper(self, asked: Mapping[str, Any]) -> Any:
        bill = self._found(asked)
        if bill.scarlet:
            raise No("E0021", "票据已冲红")
        bill.paper = str(asked.get("pBillNo") or "")
        return {}

    def _void(self, asked: Mapping[str, Any]) -> Any:
        bill = next((one for one in self.bills if one.paper == asked.get("pBillNo")), None)
        if bill is None:
            raise No("E0404", "纸质票据不存在")
        bill.paper = ""
        return {}

    def _found(self, asked: Mapping[str, Any]) -> Bill:
        wanted = (asked.get("billBatchCode"), asked.get("billNo"))
        found = next((one for one in self.bills if (one.batch, one.number) == wanted), None)
        if found is None:
            raise No("E0404", "票据不存在")
        return found


def _shown(bill: Bill) -> dict[str, Any]:
    return {
        "billBatchCode": bill.batch,
        "billNo": bill.number,
        "random": bill.random,
        "busNo": bill.bus_no,
    }


def _sums(bills: list[Bill]) -> dict[str, Any]:
    return {"allTotalNum": len(bills), "allTotalAmt": _yuan(sum(one.fen for one in bills))}


def _yuan(fen: int) -> float:
    """As the platform writes it: a number in JSON."""
    return float(Decimal(fen) / 100)
