"""The two ends of kind `wechat_pay`: what is asked of WeChat Pay, and the door of its notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from config.errors import BadMessage
from endpoints.base import Ground, Options
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination
from endpoints.payment.notices import NoticeDoor, Unproved, notice
from endpoints.payment.wechat.channel import WechatChannel
from endpoints.payment.wechat.options import WechatNoticeOptions, WechatOptions
from endpoints.payment.wechat.signing import Signing, Unsigned
from endpoints.payment.wechat.states import evidence_of, refund_evidence_of
from schemas.json import Json

_JSON = Json()
_REFUNDS = {
    "REFUND.SUCCESS": "refunded",
    "REFUND.CLOSED": "refund_closed",
    "REFUND.ABNORMAL": "refund_abnormal",
}


class WechatPay(PaymentDestination):
    Options: ClassVar[type[Options]] = WechatOptions
    statement = "wechat"

    def merchants(self) -> tuple[str, ...]:
        return (self.options.sub_merchant or self.options.merchant,)

    def channel_of(self) -> PaymentChannel:
        return WechatChannel(self.options, self.ground)

    async def start(self) -> None:
        if isinstance(self.channel, WechatChannel):
            await self.channel.wire.prepare()


class WechatNotices(NoticeDoor):
    """Answers 200 without a body, or 4xx, 5xx and why: then WeChat sends it again, 15 times in a day."""

    Options: ClassVar[Any] = WechatNoticeOptions
    unnamed: ClassVar[frozenset[str]] = frozenset()  # events that name no merchant: the seal alone says whose

    def __init__(self, options: WechatNoticeOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self._signing = Signing(options.crypto, options.api_key, options.wechat_keys, options.clock)

    def understood(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        try:
            self._signing.verify(headers, body, self.ground.now())
            whole = _JSON.decode(body)
            if not isinstance(whole, dict) or not isinstance(whole.get("resource"), dict):
                raise Unproved("JL-P104", "no notice 通知格式错误")
            tree = self._signing.opened(whole["resource"])
        except (Unsigned, BadMessage) as error:
            raise Unproved(error.code, error.text) from None
        merchant, event = (
            str(tree.get("sp_mchid") or tree.get("mchid") or ""),
            str(whole.get("event_type") or ""),
        )
        if merchant != self.options.merchant and (merchant or event not in self.unnamed):
            raise Unproved("JL-P104", "another merchant's 商户号不符")
        if not whole.get("id"):  # what has none would all be one notice, and told once
            raise Unproved("JL-P104", "a notice without an id 通知缺少编号")
        return self.of_event(str(whole.get("id") or ""), event, tree, merchant)

    def of_event(self, id: str, event: str, tree: Mapping[str, Any], merchant: str) -> dict[str, Any] | None:
        """The message of it. Raises Unproved for an event that this door does not know."""
        order, channel_no = str(tree.get("out_trade_no") or ""), str(tree.get("transaction_id") or "")
        if event == "TRANSACTION.SUCCESS":
            seen = evidence_of(tree)
            if seen.state != "PAID":
                raise Unproved("JL-P104", "a notice of a payment that is none 通知状态不符")
            currency = str(tree["amount"].get("currency") or "CNY")
            return notice(
                id,
                "paid",
                order,
                seen.fen,
                state=str(tree.get("trade_state")),
                channel_no=channel_no,
                at_ms=seen.at_ms,
                merchant=merchant,
                app=str(tree.get("sp_appid") or tree.get("appid") or ""),
                currency=currency,
            )
        if event in _REFUNDS:
            back = refund_evidence_of(tree)
            return notice(
                id,
                _REFUNDS[event],
                order,
                back.fen,
                refund=str(tree.get("out_refund_no") or ""),
                state=back.code,
                channel_no=back.channel_no,
                at_ms=back.at_ms,
                merchant=merchant,
            )
        raise Unproved("JL-P104", f"an event that is not known: {event[:40]!r} 未知通知类型")
