"""WeChat's books of mixed orders: what /v3/med-ins/ is asked, and what patients do with their telephones.

The cash half stands in the merchant's ordinary books, the insurance's half at a payment centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

AUTHORISED_S = 600  # a pay_auth_no lives so long, and once
Said = tuple[int, dict[str, Any]]  # status, body


class Cash(Protocol):
    """The merchant's ordinary orders, by out_trade_no."""

    def prepaid(self, number: str) -> tuple[str, int] | None:
        """prepay_id and fen of an order that is open."""

    def pay(self, number: str) -> bool: ...
    def state(self, number: str) -> str:
        """NOTPAY, SUCCESS, CLOSED, REFUND."""

    def lock(self, number: str) -> None:
        """The patient has given the password: it can be closed no more."""


class Insurance(Protocol):
    def settle(self, order: str, authorisation: str) -> bool: ...


@dataclass(slots=True)
class MixedOrder:
    mix: str
    asked: dict[str, Any]
    cash: str  # CREATED, SUCCESS, FAIL, NONE
    insurance: str
    failed: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)  # refund notices of the hospital's

    @property
    def number(self) -> str:
        return str(self.asked["out_trade_no"])


class MixedBooks:
    """`now_s` is the simulated day's clock. `authorised` are pay_auth_no and when they were given."""

    def __init__(self, cash: Cash, insurance: Insurance) -> None:
        self.orders: dict[str, MixedOrder] = {}  # by mix_trade_no
        self.now_s = 0.0
        self.authorised: dict[str, float] = {}
        self._cash, self._insurance = cash, insurance
        self._used: set[str] = set()
        self._serial = 0

    def of(self, number: str) -> MixedOrder | None:
        return next((one for one in self.orders.values() if one.number == number), None)

    def authorise(self, code: str) -> None:
        """The patient allows one payment (授权)."""
        self.authorised[code] = self.now_s

    def answer(self, method: str, path: str, query: Mapping[str, str], body: dict[str, Any]) -> Said:
        parts = path.removeprefix("/v3/med-ins/").split("/")
        if (method, parts) == ("POST", ["orders"]):
            return self._placed(body)
        if method == "GET" and parts[0] == "orders" and len(parts) == 3:
            by = self.orders.get(parts[2]) if parts[1] == "mix-trade-no" else self.of(parts[2])
            return (200, self.shown(by)) if by else _no("ORDER_NOT_EXIST", "订单不存在", 404)
        if (method, parts) == ("POST", ["refunds", "notify"]):
            return self._told(query.get("mix_trade_no", ""), body)
        return _no("RESOURCE_NOT_EXISTS", "接口不存在", 404)

    def pays(self, number: str, cash: bool = True, insurance: bool = True) -> None:
        """A patient gives the password; which of the halves come true."""
        order = self.of(number)
        assert order is not None, "no such order"
        assert not order.failed, "the order is over"
        self.password(number)
        if order.insurance == "CREATED":
            done = insurance and self._insurance.settle(
                str(order.asked["pay_order_id"]), str(order.asked["pay_auth_no"])
            )
            order.insurance = "SUCCESS" if done else "FAIL"
        if order.cash == "CREATED":
            order.cash = "SUCCESS" if cash and self._cash.pay(number) else "FAIL"
        order.failed = "FAIL" in (order.cash, order.insurance)

    def password(self, number: str) -> None:
        """The patient passed the password step: nothing can be closed any more."""
        order = self.of(number)
        assert order is not None
        if order.cash == "CREATED":
            self._cash.lock(number)

    def shown(self, order: MixedOrder) -> dict[str, Any]:
        cash = order.cash
        state = self._cash.state(order.number) if cash != "NONE" else ""
        if cash == "SUCCESS" and state == "REFUND":
            cash = "REFUND"
        if cash == "CREATED" and state == "CLOSED":
            cash, order.failed = "FAIL", True
        insurance = "REFUND" if order.told and order.insurance == "SUCCESS" else order.insurance
        if order.failed and insurance == "CREATED":
            insurance = "FAIL"
        return {
            **{name: value for name, value in order.asked.items() if name not in ("payer", "relative")},
            "mix_trade_no": order.mix,
            "mix_pay_status": f"MIX_PAY_{_whole(order, cash, insurance)}",
            "self_pay_status": "NO_SELF_PAY" if cash == "NONE" else f"SELF_PAY_{cash}",
            "med_ins_pay_status": "NO_MED_INS_PAY" if insurance == "NONE" else f"MED_INS_PAY_{insurance}",
            "paid_time": "2026-01-05T09:30:00+08:00" if "SUCCESS" in (cash, insurance) else "",
        }

    def _placed(self, asked: dict[str, Any]) -> Said:
        if self.of(str(asked.get("out_trade_no"))) is not None:
            return _no("INVALID_REQUEST", "268512536 订单已存在")
        if wrong := self._wrong(asked):
            return _no("PARAM_ERROR", wrong)
        if wrong := self._refused(asked):
            return _no("INVALID_REQUEST", f"268510610 {wrong}")
        self._used.add(str(asked.get("pay_auth_no") or ""))
        self._serial += 1
        mix = f"MIX{self._serial:025d}"
        kind = asked["mix_pay_type"]
        order = MixedOrder(
            mix,
            asked,
            "NONE" if kind == "INSURANCE_ONLY" else "CREATED",
            "NONE" if kind == "CASH_ONLY" else "CREATED",
        )
        self.orders[mix] = order
        return 200, self.shown(order)

    def _wrong(self, asked: dict[str, Any]) -> str:
        """What breaks the interface's own rules, '' where nothing does."""
        kind = asked.get("mix_pay_type")
        insured = [name for name in ("pay_order_id", "pay_auth_no", "med_ins_gov_fee") if name in asked]
        parts = {
            name: int(asked.get(f"med_ins_{name}_fee") or 0) for name in ("gov", "self", "other", "cash")
        }
        add = sum(int(one["cash_add_fee"]) for one in asked.get("cash_add_detail", ()))
        less = sum(int(one["cash_reduce_fee"]) for one in asked.get("cash_reduce_detail", ()))
        paid, total = int(asked.get("wechat_pay_cash_fee") or 0), int(asked.get("total_fee") or 0)
        covered = parts["gov"] + parts["self"] + parts["other"]
        if kind == "CASH_ONLY" and insured:
            return "纯自费订单不能有医保字段"
        if kind != "CASH_ONLY" and len(insured) < 3:
            return "缺少医保字段"
        if (kind == "INSURANCE_ONLY") != (paid == 0) or (paid == 0) == bool(asked.get("prepay_id")):
            return "自费金额与支付方式不符"
        if total != covered + paid + less or (kind != "CASH_ONLY" and total != covered + parts["cash"] + add):
            return "金额不平"
        prepaid = self._cash.prepaid(str(asked.get("out_trade_no"))) if paid else ("", 0)
        if prepaid is None or (paid and prepaid != (asked.get("prepay_id"), paid)):
            return "预支付单与订单不符"
        return ""

    def _refused(self, asked: dict[str, Any]) -> str:
        """What the insurance (医保局) says no to."""
        if asked["mix_pay_type"] == "CASH_ONLY":
            return ""
        code = str(asked["pay_auth_no"])
        given = self.authorised.get(code)
        if given is None or code in self._used or self.now_s - given > AUTHORISED_S:
            return "支付授权码无效或已过期"
        return ""

    def _told(self, mix: str, body: dict[str, Any]) -> Said:
        order = self.orders.get(mix)
        if order is None:
            return _no("ORDER_NOT_EXIST", "订单不存在", 404)
        parts = [int(body[f"med_refund_{name}_fee"]) for name in ("gov", "self", "other")]
        if sum(parts) != int(body["med_refund_total_fee"]) or order.insurance != "SUCCESS":
            return _no("PARAM_ERROR", "医保退款金额不平或医保未支付")
        if not any(one["out_refund_no"] == body["out_refund_no"] for one in order.told):
            order.told.append(body)
        return 204, {}


def _whole(order: MixedOrder, cash: str, insurance: str) -> str:
    if "REFUND" in (cash, insurance):
        return "REFUND"
    if order.failed:
        return "FAIL"
    return "SUCCESS" if {cash, insurance} <= {"SUCCESS", "NONE"} else "CREATED"


def _no(code: str, text: str, status: int = 400) -> Said:
    return status, {"code": code, "message": text}
