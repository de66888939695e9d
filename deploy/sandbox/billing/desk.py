"""What the HIS does when it is asked, and how it says no. Knows neither face: plain fields, amounts in fen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.sandbox.billing.books import Books, Kind, Record, Stay

Fields = dict[str, Any]


class No(Exception):
    """`code` is absent or no."""

    def __init__(self, text: str, code: str = "no") -> None:
        super().__init__(text)
        self.code = code


_KINDS: dict[str, Kind] = {
    "settlement": "post",
    "deposit": "deposit",
    "admission": "admission",
    "discharge": "discharge",
    "registration": "registration",
    "slot": "slot",
    "pay_type": "pay type",
    "dialysis": "dialysis",
}
_TAKES_BACK: dict[str, Kind] = {
    "unpost_settlement": "post",
    "unpost_deposit": "deposit",
    "cancel_admission": "admission",
    "cancel_discharge": "discharge",
    "unregister": "registration",
    "unlock_slot": "slot",
    "unlink_dialysis": "dialysis",
}


class Desk:
    """`dedupe`: whether a key that came before is answered `repeated`, or done again."""

    def __init__(self, books: Books, now: Callable[[], str], dedupe: bool = True) -> None:
        self.books = books
        self.now = now
        self.dedupe = dedupe
        self.blind = 0  # queries see nothing from this serial on; 0 is all

    def do(self, name: str, asked: Fields, most: int = 0) -> Fields:
        """What it answers. `most`: of several bills only so many are done. Raises No."""
        if name in _TAKES_BACK:
            return self._back(_TAKES_BACK[name], str(asked.get("key")))
        if name.startswith("query_") and name[6:] in _KINDS:
            return self._query(_KINDS[name[6:]], str(asked.get("key")))
        doing: dict[str, Callable[[Fields, int], Fields]] = {
            "ping": lambda asked, most: {},
            "patient": self._patient,
            "deposits": self._deposits,
            "unpaid": self._unpaid,
            "bill_items": self._items,
            "hold_bills": self._hold,
            "query_hold": self._held,
            "release_bills": self._release,
            "post_settlement": self._post,
            "post_deposit": self._deposit,
            "deposit_balance": self._balance,
            "fee_list": self._fees,
            "fee_totals": self._total,
            "discharge_check": self._total,
            "change_pay_type": self._change,
            "link_dialysis": self._link,
            "admit": self._admit,
            "discharge": self._discharge,
            "slots": self._slots,
            "lock_slot": self._lock,
            "register": self._register,
        }
        if name not in doing:
            raise No(f"无此业务 {name}")
        return doing[name](asked, most)

    def _patient(self, asked: Fields, most: int) -> Fields:
        number = str(asked.get("patient"))
        known = {one.patient for one in self.books.bills.values()}
        known |= {one.patient for one in self.books.stays.values()}
        if number not in known:
            raise No("无此患者", "absent")
        return {"patient": number, "who": "测试患者"}

    def _deposits(self, asked: Fields, most: int) -> Fields:
        found = [one for one in self.books.records if one.kind == "deposit" and one.stay == asked.get("stay")]
        rows = [{"receipt": one.number, "fen": one.fen, "state": _state(one)} for one in found]
        return {"records": rows}

    def _unpaid(self, asked: Fields, most: int) -> Fields:
        bills = [
            one for one in self.books.bills.values() if one.patient == asked.get("patient") and not one.paid
        ]
        return {"bills": [{"bill": one.number, "visit": one.visit, "fen": one.fen} for one in bills]}

    def _items(self, asked: Fields, most: int) -> Fields:
        bill = self.books.bills.get(str(asked.get("bill")))
        if bill is None:
            raise No("无此单据", "absent")
        return {"items": bill.items}

    def _hold(self, asked: Fields, most: int) -> Fields:
        key, settlement = str(asked["key"]), str(asked["settlement"])
        wanted = list(asked.get("bills") or [])
        for one in wanted:
            bill = self.books.bills.get(str(one["bill"]))
            if bill is None or bill.paid or bill.fen != int(one["fen"]):
                raise No("单据已变更，请重新查询")
            if bill.held_by and bill.held_by != key:
                raise No("单据已被其他结算占用")
        for one in wanted[: most or None]:
            bill = self.books.bills[str(one["bill"])]
            bill.held_by, bill.held_for = key, settlement
        return {}

    def _held(self, asked: Fields, most: int) -> Fields:
        bills = [one for one in self.books.bills.values() if one.held_by == asked["key"]]
        return {"bills": [{"bill": one.number, "fen": one.fen} for one in bills]}

    def _release(self, asked: Fields, most: int) -> Fields:
        bills = [one for one in self.books.bills.values() if one.held_by == asked["key"]]
        if not bills:
            raise No("未锁定", "absent")
        for one in bills:
            one.held_by = one.held_for = ""
        return {}

    def _post(self, asked: Fields, most: int) -> Fields:
        before = self._before("post", asked)
        if before is not None:
            return before
        wanted = list(asked.get("bills") or [])
        bills = [self.books.bills.get(str(one["bill"])) for one in wanted]
        for one, bill in zip(wanted, bills, strict=True):
            again = bill is not None and bill.paid and not self.dedupe
            if bill is None or bill.fen != int(one["fen"]) or (bill.paid and not again):
                raise No("单据已变更，请重新查询")
            if bill.held_for and bill.held_for != asked["settlement"]:
                raise No("单据已被其他结算占用")
        total = sum(int(one["fen"]) for one in wanted)
        if bills and total != int(asked.get("total") or 0):
            raise No("金额不符")
        done = [one for one in bills if one is not None][: most or None]
        for bill in done:
            bill.paid, bill.held_by = True, ""
        fen = sum(bill.fen for bill in done) if bills else int(asked.get("total") or 0)
        used, stay = int(asked.get("deposit") or 0), str(asked.get("stay") or "")
        if used > (self.books.balance(stay) if stay else 0):
            raise No("预交金余额不足")
        numbers = tuple(bill.number for bill in done)
        made = self._write("post", asked, fen=fen, bills=numbers, stay=stay, deposit=used)
        return {"receipt": made.number}

    def _deposit(self, asked: Fields, most: int) -> Fields:
        before = self._before("deposit", asked)
        if before is not None:
            return before
        stay = self._stay(asked)
        fen = int(asked.get("fen") or 0)
        if fen <= 0:
            raise No("金额无效")
        made = self._write("deposit", asked, fen=fen, stay=stay.number, method=str(asked.get("method") or ""))
        return {"receipt": made.number, "balance": self.books.balance(stay.number)}

    def _balance(self, asked: Fields, most: int) -> Fields:
        return {"balance": self.books.balance(str(asked.get("stay")))}

    def _fees(self, asked: Fields, most: int) -> Fields:
        stay = self.books.stays.get(str(asked.get("stay")))
        if stay is None:
            raise No("无此住院号", "absent")
        return {"items": stay.fees}

    def _total(self, asked: Fields, most: int) -> Fields:
        stay = self.books.stays.get(str(asked.get("stay")))
        if stay is None:
            raise No("无此住院号", "absent")
        return {"total": sum(one["fen"] for one in stay.fees), "ready": "1"}

    def _admit(self, asked: Fields, most: int) -> Fields:
        before = self._before("admission", asked)
        if before is not None:
            return before
        stay = self.books.stay(f"ZY{self.books.serial + 1:06d}", str(asked.get("patient")))
        stay.pay_type, stay.mdtrt_id = str(asked.get("pay_type") or "self"), str(asked.get("mdtrt_id") or "")
        self._write("admission", asked, stay=stay.number)
        return {"stay": stay.number}

    def _change(self, asked: Fields, most: int) -> Fields:
        before = self._before("pay type", asked)
        if before is not None:
            return before
        stay = self._stay(asked)
        stay.pay_type, stay.mdtrt_id = str(asked.get("pay_type")), str(asked.get("mdtrt_id") or "")
        self._write("pay type", asked, stay=stay.number)
        return {"stay": stay.number}

    def _link(self, asked: Fields, most: int) -> Fields:
        before = self._before("dialysis", asked)
        if before is not None:
            return before
        made = self._write("dialysis", asked, stay=self._stay(asked).number, fen=int(asked.get("total") or 0))
        return {"receipt": made.number}

    def _stay(self, asked: Fields) -> Stay:
        stay = self.books.stays.get(str(asked.get("stay")))
        if stay is None or stay.discharged:
            raise No("患者不在院")
        return stay

    def _discharge(self, asked: Fields, most: int) -> Fields:
        before = self._before("discharge", asked)
        if before is not None:
            return before
        stay = self._stay(asked)
        stay.discharged = True
        self._write("discharge", asked, stay=stay.number)
        return {"stay": stay.number}

    def _slots(self, asked: Fields, most: int) -> Fields:
        taken = {one.slot for one in (*self.books.live("slot"), *self.books.live("registration"))}
        return {
            "slots": [{"slot": no, "fee": fee} for no, fee in self.books.slots.items() if no not in taken]
        }

    def _lock(self, asked: Fields, most: int) -> Fields:
        before = self._before("slot", asked)
        if before is not None:
            return before
        slot = str(asked.get("slot"))
        if slot not in self.books.slots or any(one.slot == slot for one in self.books.live("slot")):
            raise No("号源已被占用")
        self._write("slot", asked, slot=slot)
        return {"slot": slot}

    def _register(self, asked: Fields, most: int) -> Fields:
        before = self._before("registration", asked)
        if before is not None:
            return before
        slot = str(asked.get("slot"))
        if slot not in self.books.slots or any(one.slot == slot for one in self.books.live("registration")):
            raise No("号源已被占用")
        if int(asked.get("total") or 0) != self.books.slots[slot]:
            raise No("金额不符")
        made = self._write("registration", asked, fen=int(asked["total"]), slot=slot)
        return {"registration": made.number}

    def _before(self, kind: Kind, asked: Fields) -> Fields | None:
        """Of a key that it knows. Raises No where that is not allowed."""
        if self.dedupe and any(one.state == "valid" for one in self.books.of(kind, str(asked["key"]))):
            raise No("重复交易", "repeated")
        return None

    def _write(self, kind: Kind, asked: Fields, **more: Any) -> Record:
        serial = self.books.next()
        key, settlement, step = (str(asked.get(one) or "") for one in ("key", "settlement", "step"))
        made = Record(kind, key, settlement, step, f"H{serial:08d}", self.now(), serial, **more)
        self.books.records.append(made)
        return made

    def _query(self, kind: Kind, key: str) -> Fields:
        seen = [one for one in self.books.of(kind, key) if not self.blind or one.serial < self.blind]
        if not seen:
            raise No("无此交易", "absent")
        rows = [
            {
                "receipt": one.number,
                "registration": one.number,
                "state": _state(one),
                "fen": one.fen,
                "at": one.at,
                "stay": one.stay,
                "slot": one.slot,
            }
            for one in seen
        ]
        return {"records": rows}

    def _back(self, kind: Kind, key: str) -> Fields:
        found = [one for one in self.books.of(kind, key) if one.state == "valid"]
        if not found:
            raise No("无可撤销的交易", "absent")
        for one in found:
            one.state = "void"
            for number in one.bills:
                self.books.bills[number].paid = False
            if kind == "discharge":
                self.books.stays[one.stay].discharged = False
        return {}


def _state(record: Record) -> str:
    return "1" if record.state == "valid" else "9"
