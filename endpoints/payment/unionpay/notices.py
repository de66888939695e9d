"""UnionPay's back notices (后台通知): a signed form, answered with status 200 once it is kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from endpoints.base import Options
from endpoints.payment.notices import NoticeDoor, Said, Unproved, notice
from endpoints.payment.unionpay.answers import TAKEN, of_order
from endpoints.payment.unionpay.options import UnionPayNoticeOptions
from endpoints.payment.unionpay.proof import Proof

_MOST_FIELDS = 200
_BACK = ("04", "31")  # 退货, 消费撤销


class UnionPayNotices(NoticeDoor):
    Options: ClassVar[type[Options]] = UnionPayNoticeOptions

    @functools.cached_property
    def _proof(self) -> Proof:
        return Proof(self.options, lambda: int(self.ground.now() * 1000))

    def understood(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        """What came to another end than 00 says nothing: its order is asked about all the same."""
        fields = self._proved(body)
        number, kind = fields.get("orderId", ""), fields.get("txnType", "")
        if not number or not fields.get("queryId"):
            raise Unproved("JL-P130", "no notice of a trade 通知格式错误")
        back = kind in _BACK
        order = fields.get("reqReserved", "") if back else number
        if fields.get("respCode") != TAKEN or not order or (kind != "01" and not back):
            return None
        seen = of_order(fields, TAKEN)
        return notice(
            f"{kind}{fields['queryId']}",
            "refunded" if back else "paid",
            order,
            seen.fen,
            refund=number.removeprefix("T") if back else "",
            state=TAKEN,
            channel_no=seen.channel_no,
            at_ms=seen.at_ms,
            merchant=fields["merId"],
        )

    def yes(self) -> Said:
        return Said(200, b"ok", "text/plain")

    def _proved(self, body: bytes) -> dict[str, str]:
        try:
            pairs = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except ValueError:
            raise Unproved("JL-P130", "no form 通知格式错误") from None
        fields = dict(pairs)
        if len(fields) != len(pairs) or not self._proof.holds(fields):
            raise Unproved("JL-P130", "its signature does not hold, or it is another merchant's 通知验签失败")
        return fields
