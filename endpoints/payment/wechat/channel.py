"""WeChat Pay as a payment channel: orders (native, jsapi, app, h5), payment codes (付款码), refunds, bills.

A 4xx that is signed says that this request did nothing, and not that an earlier one under the same number did nothing:
so an order, or a refund, that was refused is looked up before it is said to be none.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from config.errors import Refused
from endpoints.base import Ground
from endpoints.payment.orders import RECEIVED, Evidence, Order, Refund, RefundEvidence
from endpoints.payment.wechat import states
from endpoints.payment.wechat.bill import bill
from endpoints.payment.wechat.options import WechatOptions
from endpoints.payment.wechat.states import evidence_of, refund_evidence_of
from endpoints.payment.wechat.wire import Heard, WechatWire

CHINA = timezone(timedelta(hours=8))
METHODS = ("native", "jsapi", "app", "h5")
_YEAR_MS = 365 * 86_400_000  # a payment can be given back for so long
_ARRIVES_MS = 60_000  # what WeChat does not know by then never came there
_CODES = {"native": "code_url", "h5": "h5_url"}


class WechatChannel:
    """Meets `PaymentChannel`."""

    def __init__(self, options: WechatOptions, ground: Ground) -> None:
        self.options = options
        self.wire = WechatWire(options, ground)
        self._now = ground.now

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """Raises Refused (JL-P105) for what cannot be asked for."""
        if order.method not in METHODS:
            raise Refused(
                "JL-P105", f"WeChat Pay knows no method {order.method[:20]!r}: {', '.join(METHODS)}"
            )
        body = self._order(order, asked)
        body["notify_url"] = self.options.notify
        body["time_expire"] = self._time(order.at_ms / 1000 + self.options.expires)
        if order.method == "jsapi":
            body["payer"] = self._payer(asked)
        if order.method == "h5":
            body["scene_info"] = {
                "payer_client_ip": str(asked.get("ip") or self.options.device_ip),
                "h5_info": {"type": "Wap"},
            }
        heard = await self.wire.ask("POST", f"{self._base}/{order.method}", body)
        if not heard.done:
            return await self._not_made(order, heard)
        facts = self._paid_by(order.method, heard.tree)
        if not facts:
            return Evidence("UNKNOWN", code="JL-P104", text="nothing to pay by stands in it 应答缺少支付链接")
        return Evidence("PREPAID", facts={**facts, **self._who})

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        body = self._order(order, asked)
        body["payer"] = {"auth_code": str(asked["auth_code"])}
        body["scene_info"] = {
            "device_id": str(asked.get("terminal") or "jingluo")[:32],
            "device_ip": str(asked.get("ip") or self.options.device_ip),
            "store_info": {"out_id": str(asked.get("window") or "0")[:32]},
        }
        heard = await self.wire.ask("POST", f"{self._base}/codepay", body)
        if heard.done:
            seen = evidence_of(heard.tree)
            return Evidence(
                seen.state,
                seen.fen,
                seen.at_ms,
                seen.channel_no,
                {**seen.facts, **self._who},
                seen.code,
                seen.text,
            )
        if heard.code in states.PAYING:
            return Evidence("PAYING", facts=self._who, code=heard.code, text=heard.text)
        return await self._not_made(order, heard)

    async def query(self, order: Order) -> Evidence:
        heard = await self.wire.ask("GET", self._of(order) + self._mine)
        if heard.status == 404 and heard.code in states.NO_ORDER:
            return Evidence("ABSENT", code=heard.code, text=heard.text)
        if not heard.done:
            return _unknown(heard)
        if heard.tree.get("out_trade_no") != order.number:
            return Evidence("UNKNOWN", code="JL-P104", text="it is about another order 应答与订单不符")
        seen = evidence_of(heard.tree)
        if seen.state == "REVERSED" and order.state in RECEIVED:  # what was paid went back with it
            return replace(seen, state="REFUNDED")
        return seen

    async def close(self, order: Order) -> Evidence:
        """Of one that WeChat never heard of: CLOSED once nothing can arrive any more."""
        heard = await self.wire.ask("POST", f"{self._of(order)}/close", self._merchants)
        if heard.done or heard.code in states.CLOSED:
            return Evidence("CLOSED")
        if not heard.refused:
            return _unknown(heard)
        seen = await self._no_order(order)
        # It is open, and cannot be closed: why says the refusal.
        return replace(seen, code=heard.code, text=heard.text) if seen.state == "PREPAID" else seen

    async def reverse(self, order: Order) -> Evidence:
        """撤销: an unpaid order is closed, a paid one refunded. Of payments by code; others are closed. What is known
        to be paid is refunded, under a number of our own."""
        if order.method != "code":
            return await self.close(order)
        if order.state in RECEIVED:
            return await self.query(order)
        if self._now() * 1000 < order.at_ms + self.options.reverse_after * 1000:
            text = f"not reversed before it is {self.options.reverse_after:g} s old 下单后过早，稍后撤销"
            return Evidence("UNKNOWN", code="JL-P106", text=text)
        body = {**self._apps, **self._merchants}
        heard = await self.wire.ask("POST", f"{self._of(order)}/reverse", body)
        if heard.done or heard.code in states.CLOSED:
            return Evidence("REVERSED")
        return await self._no_order(order) if heard.refused else _unknown(heard)

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        if order.paid_ms and self._now() * 1000 > order.paid_ms + _YEAR_MS:
            return RefundEvidence(
                "FAILED", code="JL-P107", text="paid over a year ago: pay it out 超过退款期限"
            )
        body: dict[str, Any] = {
            "out_trade_no": order.number,
            "out_refund_no": refund.number,
            "reason": refund.reason or "退费",
            "amount": {"refund": refund.fen, "total": order.paid_fen, "currency": "CNY"},
        }
        if notify := self.options.notify_refunds or self.options.notify:
            body["notify_url"] = notify
        if self.options.sub_merchant:
            body["sub_mchid"] = self.options.sub_merchant
        heard = await self.wire.ask("POST", "/v3/refund/domestic/refunds", body)
        if heard.done:
            return _about(refund, heard)
        if not heard.refused:
            return RefundEvidence("UNKNOWN", code=heard.code, text=heard.text)
        seen = await self.query_refund(order, refund)
        if seen.state == "ABSENT":
            state: Any = "FAILED" if heard.code in states.NO_REFUND else "UNKNOWN"
            return RefundEvidence(state, code=heard.code, text=heard.text)
        return seen

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        sub = f"?sub_mchid={self.options.sub_merchant}" if self.options.sub_merchant else ""
        heard = await self.wire.ask("GET", f"/v3/refund/domestic/refunds/{quote(refund.number)}{sub}")
        if heard.status == 404 and heard.code in states.NO_ORDER:
            return RefundEvidence("ABSENT", code=heard.code, text=heard.text)
        return _about(refund, heard)

    async def refund_otherwise(
        self, order: Order, refund: Refund, asked: Mapping[str, Any]
    ) -> RefundEvidence:
        """异常退款: to the merchant's own account (`to: merchant`), or to a card of the payer's: `bank_type`,
        `account`, `name`. Raises Refused (JL-P105)."""
        body: dict[str, Any] = {"out_refund_no": refund.number, "type": "MERCHANT_BANK_CARD"}
        serial = ""
        if asked.get("to", "merchant") != "merchant":
            if not all(asked.get(name) for name in ("bank_type", "account", "name")):
                raise Refused("JL-P105", "a card needs `bank_type`, `account` and `name` 缺少银行卡信息")
            try:
                account, serial = self.wire.signing.sealed(str(asked["account"]))
                name, _ = self.wire.signing.sealed(str(asked["name"]))
            except ValueError as error:
                raise Refused("JL-P105", str(error)) from None
            body |= {"type": "USER_BANK_CARD", "bank_type": asked["bank_type"]}
            body |= {"bank_account": account, "real_name": name}
        if self.options.sub_merchant:
            body["sub_mchid"] = self.options.sub_merchant
        path = f"/v3/refund/domestic/refunds/{quote(refund.channel_no)}/apply-abnormal-refund"
        heard = await self.wire.ask("POST", path, body, serial)
        return _about(refund, heard) if heard.done else await self.query_refund(order, refund)

    async def bill(self, day: str) -> bytes | None:
        return await bill(self.wire, day, self.options.sub_merchant, self.options.max_answer)

    async def close_connections(self) -> None:
        await self.wire.close()

    async def _not_made(self, order: Order, heard: Heard) -> Evidence:
        """A create or a payment that was refused: an earlier one under the number may have been made."""
        if not heard.refused:
            return Evidence("UNKNOWN", facts=self._who, code=heard.code, text=heard.text)
        seen = await self.query(order)
        if seen.state == "ABSENT":  # for good only where none was sent before, and this one's number was free
            never = order.state == "CREATED" and heard.code not in states.TAKEN
            return Evidence("FAILED" if never else "UNKNOWN", code=heard.code, text=heard.text)
        if seen.state == "PREPAID" and order.method != "code":  # made, and we have no code to show
            return Evidence("UNKNOWN", facts=self._who, code=heard.code, text=heard.text)
        return seen

    async def _no_order(self, order: Order) -> Evidence:
        """A close or a reverse that was refused: it is paid, or not there."""
        seen = await self.query(order)
        old = self._now() * 1000 > order.at_ms + _ARRIVES_MS + 1000 * self.options.timeout
        return Evidence("CLOSED", code=seen.code) if seen.state == "ABSENT" and old else seen

    def _order(self, order: Order, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self._apps,
            **self._merchants,
            "description": str(asked.get("description") or self.options.description)[:60],
            "out_trade_no": order.number,
            "attach": order.settlement[:128] or order.system,
            "amount": {"total": order.fen, "currency": "CNY"},
        }

    def _payer(self, asked: Mapping[str, Any]) -> dict[str, str]:
        payer = asked.get("payer") or ""
        openid = str(
            asked.get("openid") or (payer.get("openid") if isinstance(payer, Mapping) else payer) or ""
        )
        if not openid:
            raise Refused("JL-P105", "jsapi needs the payer's `openid` 缺少openid")
        return {("sp_openid" if self.options.sub_merchant else "openid"): openid}

    def _paid_by(self, method: str, tree: Mapping[str, Any]) -> dict[str, Any]:
        """What the payer's side is given; nothing where the answer has none."""
        if method in _CODES:
            url = str(tree.get(_CODES[method]) or "")
            return {("code_url" if method == "native" else "pay_url"): url} if url else {}
        prepay_id = str(tree.get("prepay_id") or "")
        if not prepay_id:
            return {}
        at_s, nonce = int(self._now()), secrets.token_hex(16)
        package = f"prepay_id={prepay_id}" if method == "jsapi" else prepay_id
        signature = self.wire.signing.pay_sign(self.options.app, at_s, nonce, package)
        if method == "app":
            prepay = {
                "appid": self.options.app,
                "partnerid": self.options.sub_merchant or self.options.merchant,
                "prepayid": prepay_id,
                "package": "Sign=WXPay",
                "noncestr": nonce,
                "timestamp": str(at_s),
                "sign": signature,
            }
        else:
            prepay = {
                "appId": self.options.app,
                "timeStamp": str(at_s),
                "nonceStr": nonce,
                "package": package,
                "signType": "SM2" if self.options.crypto == "sm" else "RSA",
                "paySign": signature,
            }
        return {"prepay_id": prepay_id, "prepay": prepay}

    @property
    def _base(self) -> str:
        return f"/v3/pay/{'partner/' if self.options.sub_merchant else ''}transactions"

    def _of(self, order: Order) -> str:
        return f"{self._base}/out-trade-no/{quote(order.number)}"

    @property
    def _merchants(self) -> dict[str, str]:
        options = self.options
        if options.sub_merchant:
            return {"sp_mchid": options.merchant, "sub_mchid": options.sub_merchant}
        return {"mchid": options.merchant}

    @property
    def _apps(self) -> dict[str, str]:
        return {("sp_appid" if self.options.sub_merchant else "appid"): self.options.app}

    @property
    def _mine(self) -> str:
        return "?" + "&".join(f"{name}={value}" for name, value in self._merchants.items())

    @property
    def _who(self) -> dict[str, str]:
        """What its notice must say too."""
        return {"merchant": self.options.merchant, "app": self.options.app}

    @staticmethod
    def _time(at_s: float) -> str:
        return f"{datetime.fromtimestamp(int(at_s), CHINA):%Y-%m-%dT%H:%M:%S}+08:00"


def _unknown(heard: Heard) -> Evidence:
    return Evidence("UNKNOWN", code=heard.code, text=heard.text)


def _about(refund: Refund, heard: Heard) -> RefundEvidence:
    """UNKNOWN where it is about another refund, or of another amount."""
    if not heard.done:
        return RefundEvidence("UNKNOWN", code=heard.code, text=heard.text)
    seen = refund_evidence_of(heard.tree)
    if heard.tree.get("out_refund_no") != refund.number or (seen.fen and seen.fen != refund.fen):
        return RefundEvidence("UNKNOWN", code="JL-P104", text="it is about another refund 应答与退款单不符")
    return seen
