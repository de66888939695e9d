"""An invented aggregator (聚合支付): orders of any wallet in books of its own, as the profile `example` has it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.sandbox.centre import wire
from deploy.sandbox.paying import Notice, PayDoor, china

PAY_TYPES = {"100": "", "101": "wechat", "102": "alipay", "200": "", "516": "ecny", "517": "ecny"}
_TIME = "%Y%m%d%H%M%S"
Fields = dict[str, Any]


@dataclass(slots=True)
class Trade:
    number: str
    trade_no: str
    amount: int
    pay_type: str
    notify_url: str
    at: datetime
    state: str = "NOTPAY"
    third_no: str = ""  # the wallet's own number
    paid_at: str = ""
    back: dict[str, int] = field(default_factory=dict)  # outRefundNo: fen


class No(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Signing:
    """HMAC-SHA256 over the fields by name; another one may stand in its place."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def sign(self, fields: Mapping[str, Any]) -> str:
        parts = []
        for name in sorted(fields):
            value = fields[name]
            if name == "sign" or value is None or value == "":
                continue
            parts.append(f"{name}={_text(value)}")
        text = "&".join([*parts, f"key={self._secret}"])
        return hmac.digest(self._secret.encode(), text.encode(), hashlib.sha256).hex().upper()

    def holds(self, fields: Mapping[str, Any]) -> bool:
        return fields.get("sign") == self.sign(fields)


class Aggregator(PayDoor):
    """`pays(number)` is the payer; `codes` are payment codes and what comes of them: SUCCESS, USERPAYING, PAYERROR."""

    def __init__(
        self,
        merchant: str,
        signing: Any,
        *,
        port: int = 0,
        now: Callable[[], datetime] = china,
        tells: bool = False,
    ) -> None:
        super().__init__("aggregator", port, 0, now, tells)
        self.trades: dict[str, Trade] = {}
        self.codes: dict[str, str] = {}
        self.refunds_are = "SUCCESS"
        self._merchant = merchant
        self._signing = signing

    def pays(self, number: str) -> None:
        trade = self.trades[number]
        if trade.state not in ("NOTPAY", "USERPAYING"):
            raise No("1003", "订单状态不允许支付")
        trade.state, trade.third_no = "SUCCESS", f"3RD{len(self.trades):020d}"
        trade.paid_at = f"{self.now():{_TIME}}"
        data = self._order(trade)
        self._notify(trade, {"noticeId": f"N{trade.trade_no}", "mchId": self._merchant, "data": data})

    def balance(self) -> int:
        """Fen that are the merchant's."""
        paid = sum(
            one.amount for one in self.trades.values() if one.state in ("SUCCESS", "REVOKED") and one.third_no
        )
        return paid - sum(fen for one in self.trades.values() for fen in one.back.values())

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        name = asked.path.rpartition("/")[2]
        act = self.next(name)
        fields = json.loads(asked.body or b"{}")
        if name == "daily" and act.kind == "well":
            return await wire.say(
                writer, self.bill(str(fields.get("billDate"))), kind="text/csv;charset=UTF-8"
            )
        forged = act.kind == "forged"
        await self.answered(reader, writer, act, lambda code: self.answer(asked.path, fields, code, forged))

    def answer(self, path: str, fields: Fields, code: str = "", forged: bool = False) -> bytes:
        try:
            if code:
                raise No("9999" if code == "refused" else code, "系统繁忙")
            if not self._signing.holds(fields):
                raise No("1002", "签名错误")
            if fields.get("mchId") != self._merchant:
                raise No("1002", "商户号错误")
            said: Fields = {"code": "0000", "msg": "成功", "data": self._done(path, fields)}
        except No as no:
            said = {"code": no.code, "msg": no.text}
        sign = self._signing.sign(said)
        return json.dumps({**said, "sign": sign[::-1] if forged else sign}, ensure_ascii=False).encode()

    def bill(self, day: str) -> bytes:
        """CSV, amounts in fen: one line for each payment, one for each refund."""
        lines = ["商户订单号,平台订单号,渠道订单号,支付方式,金额(分),退款单号,时间"]
        for one in self.trades.values():
            if one.paid_at[:8] == day.replace("-", ""):
                row = (one.number, one.trade_no, one.third_no, one.pay_type, str(one.amount), "", one.paid_at)
                lines.append(",".join(row))
                back = one.back.items()
                lines += [
                    f"{one.number},{one.trade_no},{one.third_no},{one.pay_type},-{fen},{number},{one.paid_at}"
                    for number, fen in back
                ]
        return "\r\n".join(lines).encode() + b"\r\n"

    def _done(self, path: str, asked: Fields) -> Fields:
        number = str(asked.get("outTradeNo") or "")
        if path in ("/api/pay/unified", "/api/pay/micro"):
            return self._placed(number, asked, path.endswith("micro"))
        if path == "/api/refund/query":
            return self._refund_of(str(asked.get("outRefundNo")))
        trade = self.trades.get(number)
        if trade is None:
            raise No("1004", "订单不存在")
        match path:
            case "/api/pay/query":
                return self._order(trade)
            case "/api/pay/close":
                if trade.state not in ("NOTPAY", "CLOSED"):
                    raise No("1003", "订单已支付")
                trade.state = "CLOSED"
                return self._order(trade)
            case "/api/pay/reverse":
                trade.back |= {"REVERSE": trade.amount} if trade.state == "SUCCESS" else {}
                trade.state = "REVOKED"
                return self._order(trade)
            case "/api/refund/apply":
                return self._refunded(trade, str(asked["outRefundNo"]), int(asked["refundAmount"]))
        raise No("1002", "接口不存在")

    def _placed(self, number: str, asked: Fields, micro: bool) -> Fields:
        there = self.trades.get(number)
        amount, kind = asked.get("amount"), str(asked.get("payType"))
        if (
            not isinstance(amount, int)
            or amount <= 0
            or kind not in PAY_TYPES
            or micro != (kind in ("200", "517"))
        ):
            raise No("1002", "参数错误")
        if there is not None:
            if (there.amount, there.pay_type) != (amount, kind) or there.state != "NOTPAY":
                raise No("1001", "订单已存在")
            return self._order(there)
        trade_no = f"AG{len(self.trades) + 1:018d}"
        trade = Trade(number, trade_no, amount, kind, str(asked.get("notifyUrl") or ""), self.now())
        self.trades[number] = trade
        if micro:
            trade.state = "USERPAYING"
            word = self.codes.get(str(asked.get("authCode")), "PAYERROR")
            if word == "SUCCESS":
                self.pays(number)
            trade.state = word
        return self._order(trade)

    def _refunded(self, trade: Trade, number: str, fen: int) -> Fields:
        if number not in trade.back:
            if trade.state != "SUCCESS" or sum(trade.back.values()) + fen > trade.amount:
                raise No("1005", "退款金额超限")
            trade.back[number] = fen
            data = self._refund_of(number)
            self._notify(trade, {"noticeId": f"N{number}", "mchId": self._merchant, "data": data})
        return self._refund_of(number)

    def _refund_of(self, number: str) -> Fields:
        found = next((one for one in self.trades.values() if number in one.back), None)
        if found is None:
            raise No("1004", "退款单不存在")
        return {
            "outTradeNo": found.number,
            "outRefundNo": number,
            "refundNo": f"RF{number[-20:]}",
            "refundState": self.refunds_are,
            "refundAmount": found.back[number],
        }

    def _order(self, trade: Trade) -> Fields:
        data = {
            "outTradeNo": trade.number,
            "tradeNo": trade.trade_no,
            "thirdNo": trade.third_no,
            "payType": trade.pay_type,
            "tradeState": trade.state,
            "amount": trade.amount,
            "payTime": trade.paid_at,
        }
        if trade.state == "NOTPAY":
            data["qrCode"] = f"https://qr.example.org/{trade.trade_no}"
        return data

    def _notify(self, trade: Trade, fields: Fields) -> None:
        made = {**fields, "sign": self._signing.sign(fields)}
        body = json.dumps(made, ensure_ascii=False).encode()
        self.notify(Notice(trade.number, trade.notify_url, body, "application/json"))

    def acknowledged(self, status: int, body: bytes) -> bool:
        return status == 200 and body == b"success"


def _text(value: Any) -> str:
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if isinstance(value, dict)
        else str(value)
    )
