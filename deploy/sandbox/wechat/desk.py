"""What the simulated WeChat Pay does when it is asked. Each page answers a status and a tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from deploy.sandbox.wechat.books import Books, Bought, Repaid

Tree = Mapping[str, Any]
Done = tuple[int, dict[str, Any] | None]
_KINDS = {"native": "NATIVE", "jsapi": "JSAPI", "app": "APP", "h5": "MWEB", "codepay": "MICROPAY"}
_STATUS = {"SYSTEM_ERROR": 500, "SYSTEMERROR": 500, "ORDER_NOT_EXIST": 404, "RESOURCE_NOT_EXISTS": 404}
_STATUS |= {"SIGN_ERROR": 401, "NO_AUTH": 403, "FREQUENCY_LIMITED": 429, "ORDERPAID": 403}
_MOST_REFUNDS = 50
_SOONEST = timedelta(seconds=15)  # after an order is made it may be reversed


class No(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code, self.text = code, text

    @property
    def status(self) -> int:
        return _STATUS.get(self.code, 400)


class Desk:
    """`told(order, refund)` is called when something is to be told to the merchant. `refunds_are` is what becomes of a
    refund at once: SUCCESS, PROCESSING, ABNORMAL or CLOSED.

    Codes of payers by their last two digits: 51 asks for the password, 40 has not enough, 41 is too old, 20 is charged
    and answered with SYSTEM_ERROR, others pay.
    """

    def __init__(
        self, merchant: str, app: str, books: Books, told: Callable[[Bought, Repaid | None], None]
    ) -> None:
        self.merchant, self.app, self.books = merchant, app, books
        self.refunds_are = "SUCCESS"
        self._told = told

    def create(self, kind: str, asked: Tree, now: datetime) -> Done:
        one = self._order(kind, asked, now)
        if one.state == "SUCCESS":
            raise No("ORDERPAID", "该订单已支付")
        if one.state != "NOTPAY":
            raise No("ORDER_CLOSED", "订单已关闭")
        serial = self.books.next()
        if kind == "native":
            return 200, {"code_url": f"weixin://wxpay/bizpayurl?pr={serial:07d}"}
        if kind == "h5":
            return 200, {"h5_url": f"https://wx.example/pay?prepay_id=wx{serial:07d}"}
        if kind == "jsapi" and not asked.get("payer"):
            raise No("PARAM_ERROR", "缺少openid")
        return 200, {"prepay_id": f"wx{one.number}"}

    def codepay(self, asked: Tree, now: datetime) -> Done:
        code = str(asked["payer"]["auth_code"])
        if asked["out_trade_no"] in self.books.orders:
            raise No(
                "ORDERPAID" if self.books.orders[asked["out_trade_no"]].paid else "INVALID_REQUEST",
                "商户订单号重复",
            )
        if code[-2:] == "41":
            raise No("AUTH_CODE_EXPIRED", "二维码已过期，请用户刷新后再试")
        one = self._order("codepay", asked, now)
        if code[-2:] == "40":
            one.state = "PAYERROR"
            raise No("NOT_ENOUGH", "用户余额不足")
        if code[-2:] == "51":
            one.state = "USERPAYING"
            raise No("USERPAYING", "需要用户输入支付密码")
        self.books.pay(one.number, now)
        if code[-2:] == "20":
            raise No("SYSTEM_ERROR", "系统超时")
        return 200, self.shown(one)

    def query(self, number: str) -> Done:
        return 200, self.shown(self._known(number))

    def close(self, number: str, now: datetime) -> Done:
        one = self._known(number)
        if one.paid is not None:
            raise No("ORDERPAID", "该订单已支付")
        if one.locked:
            raise No("268560650", "用户已输入密码，不能关单")
        one.state = "CLOSED"
        return 204, None

    def reverse(self, number: str, now: datetime) -> Done:
        one = self._known(number)
        if now < one.made + _SOONEST:
            raise No("INVALID_REQUEST", "下单15秒内不能撤销")
        if one.paid is not None and not one.refunds:
            self._repaid(one, f"{number}-reverse", one.fen, "", now, "SUCCESS")
        one.state = "REVOKED"
        return 200, {"out_trade_no": number, "mchid": self.merchant}

    def refund(self, asked: Tree, now: datetime) -> Done:
        one = self.books.orders.get(str(asked.get("out_trade_no")))
        if one is None:
            raise No("RESOURCE_NOT_EXISTS", "订单不存在")
        number, fen = str(asked["out_refund_no"]), int(asked["amount"]["refund"])
        there = one.refunds.get(number)
        if there is not None:
            if there.fen != fen:
                raise No("INVALID_REQUEST", "退款单号重复，金额不一致")
            return 200, self.shown_refund(one, there)
        if one.paid is None or int(asked["amount"]["total"]) != one.fen:
            raise No("INVALID_REQUEST", "订单未支付或订单金额不一致")
        if fen <= 0 or one.back + fen > one.fen or len(one.refunds) >= _MOST_REFUNDS:
            raise No("INVALID_REQUEST", "退款金额大于可退金额")
        made = self._repaid(one, number, fen, str(asked.get("notify_url") or ""), now, self.refunds_are)
        return 200, self.shown_refund(one, made)

    def query_refund(self, number: str) -> Done:
        found = self.books.refund(number)
        if found is None:
            raise No("RESOURCE_NOT_EXISTS", "退款单不存在")
        return 200, self.shown_refund(*found)

    def abnormal(self, refund_id: str, asked: Tree, now: datetime) -> Done:
        found = self.books.refund(str(asked.get("out_refund_no")))
        if found is None or found[1].refund_id != refund_id:
            raise No("RESOURCE_NOT_EXISTS", "退款单不存在")
        if found[1].state != "ABNORMAL":
            raise No("INVALID_REQUEST", "退款单状态不是退款异常")
        found[1].state = "PROCESSING"
        return 200, self.shown_refund(*found)

    def pays(self, number: str, now: datetime, fen: int | None = None) -> bool:
        """The payer does, and the merchant is to hear of it. `fen`: a wrong amount."""
        if not self.books.pay(number, now):
            return False
        one = self.books.orders[number]
        if fen is not None:
            one.fen = fen
        if one.kind != "MICROPAY":
            self._told(one, None)
        return True

    def ends(self, refund_number: str, state: str, now: datetime) -> None:
        """A refund that is under way has an end, and the merchant is to hear of it."""
        found = self.books.refund(refund_number)
        assert found is not None
        found[1].state = state
        found[1].done = now if state == "SUCCESS" else None
        self._told(*found)

    def _order(self, kind: str, asked: Tree, now: datetime) -> Bought:
        number, fen = str(asked["out_trade_no"]), int(asked["amount"]["total"])
        merchant = asked.get("mchid") or asked.get("sp_mchid")
        if merchant != self.merchant or (asked.get("appid") or asked.get("sp_appid")) != self.app:
            raise No("APPID_MCHID_NOT_MATCH", "appid和mchid不匹配")
        there = self.books.orders.get(number)
        if there is not None:
            if (there.fen, there.kind) != (fen, _KINDS[kind]):
                raise No("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")
            return there
        ends = datetime.fromisoformat(asked["time_expire"]) if asked.get("time_expire") else None
        made = Bought(
            number,
            fen,
            _KINDS[kind],
            str(asked.get("description") or ""),
            str(asked.get("attach") or ""),
            str(asked.get("notify_url") or ""),
            now,
            ends,
        )
        self.books.orders[number] = made
        return made

    def _known(self, number: str) -> Bought:
        one = self.books.orders.get(number)
        if one is None or self.books.lies.get(number) == "":
            raise No("ORDER_NOT_EXIST", "订单不存在")
        return one

    def _repaid(
        self, one: Bought, number: str, fen: int, notify_url: str, now: datetime, state: str
    ) -> Repaid:
        refund_id = f"50000{now:%Y%m%d}{self.books.next():012d}"
        made = Repaid(number, refund_id, fen, now, state, notify_url, now if state == "SUCCESS" else None)
        one.refunds[number] = made
        if state != "PROCESSING" and notify_url:
            self._told(one, made)
        return made

    def shown(self, one: Bought, *, plain: bool = False) -> dict[str, Any]:
        """`plain`: without what queries lie about."""
        state = one.shown if plain else self.books.lies.get(one.number, one.shown)
        tree: dict[str, Any] = {
            "appid": self.app,
            "mchid": self.merchant,
            "out_trade_no": one.number,
            "trade_state": state,
            "trade_state_desc": {"SUCCESS": "支付成功", "NOTPAY": "订单未支付"}.get(state, state),
            "trade_type": one.kind,
            "attach": one.attach,
            "amount": {"total": one.fen, "currency": "CNY"},
        }
        if one.paid is not None and state in ("SUCCESS", "REFUND", "REVOKED"):
            tree |= {
                "transaction_id": one.transaction_id,
                "success_time": _time(one.paid),
                "payer": {"openid": one.openid},
                "bank_type": "OTHERS",
            }
            tree["amount"] |= {"payer_total": one.fen, "payer_currency": "CNY"}
        return tree

    def shown_refund(self, one: Bought, refund: Repaid) -> dict[str, Any]:
        tree = {
            "refund_id": refund.refund_id,
            "out_refund_no": refund.number,
            "transaction_id": one.transaction_id,
            "out_trade_no": one.number,
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": _time(refund.at),
            "status": refund.state,
            "amount": {"total": one.fen, "refund": refund.fen, "payer_refund": refund.fen, "currency": "CNY"},
        }
        return tree | ({"success_time": _time(refund.done)} if refund.done is not None else {})


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}+08:00"
