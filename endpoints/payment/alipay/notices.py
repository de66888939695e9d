"""Alipay's asynchronous notices (异步通知): a form, answered `success` and nothing else once it is kept.

One that is not answered so comes about 8 times within 25 hours; it says nothing of how old it may be.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from endpoints.base import Options
from endpoints.payment.alipay.answers import fen, of_trade
from endpoints.payment.alipay.options import AlipayNoticeOptions
from endpoints.payment.alipay.signing import notice_holds
from endpoints.payment.keys import public_key
from endpoints.payment.notices import NoticeDoor, Said, Unproved, notice

_MOST_FIELDS = 200


class AlipayNotices(NoticeDoor):
    Options: ClassVar[type[Options]] = AlipayNoticeOptions

    @functools.cached_property
    def _key(self) -> RSAPublicKey:
        return public_key(self.options.public_key)

    def understood(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        fields = self._proved(body)
        if fields.get("app_id") != self.options.app_id:
            raise Unproved("JL-P121", "another application's 应用不符")
        if self.options.seller_id and fields.get("seller_id") != self.options.seller_id:
            raise Unproved("JL-P121", "another seller's 收款账号不符")
        if not fields.get("out_trade_no") or not fields.get("notify_id"):
            raise Unproved("JL-P120", "no notice of an order 通知格式错误")
        kind, amount, refund = _kind(fields)
        if not kind:
            return None
        seen = of_trade(fields)
        return notice(
            fields["notify_id"],
            kind,
            fields["out_trade_no"],
            amount,
            refund=refund,
            state=fields.get("trade_status", ""),
            channel_no=seen.channel_no,
            at_ms=seen.at_ms,
            merchant=fields.get("seller_id", ""),
            app=fields["app_id"],
        )

    def yes(self) -> Said:
        return Said(200, b"success", "text/plain")

    def no(self, status: int, text: str) -> Said:
        return Said(status, b"failure", "text/plain")

    def _proved(self, body: bytes) -> dict[str, str]:
        codec = "gb18030" if self.options.charset == "GBK" else "utf-8"
        try:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                encoding=codec,
                errors="strict",
                max_num_fields=_MOST_FIELDS,
            )
        except ValueError:
            raise Unproved("JL-P120", "no form 通知格式错误") from None
        fields = dict(pairs)
        if len(fields) != len(pairs) or fields.get("sign_type") != "RSA2":
            raise Unproved("JL-P120", "a field twice, or not signed with RSA2 通知格式错误")
        if not notice_holds(self._key, fields, codec):
            raise Unproved("JL-P120", "its signature does not hold 通知验签失败")
        return fields


def _kind(fields: Mapping[str, str]) -> tuple[str, int, str]:
    """Kind, fen and refund's number; '' of what moves nothing. `refund_fee` is of all refunds, so it is no refund's."""
    status = fields.get("trade_status", "")
    if fields.get("gmt_refund") and fields.get("out_biz_no"):
        return "refunded", 0, fields["out_biz_no"]
    if status in ("TRADE_SUCCESS", "TRADE_FINISHED"):
        return "paid", fen(fields.get("total_amount")), ""
    return ("closed", 0, "") if status == "TRADE_CLOSED" and not fields.get("gmt_payment") else ("", 0, "")
