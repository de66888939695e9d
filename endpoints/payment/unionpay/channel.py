"""UnionPay as settlements see it: `PaymentChannel` over 后台交易 and 交易状态查询.

An order is merId, orderId and txnTime together: txnTime is the time on the order's record, so a process that dies finds
it there. A refund's number is an orderId of its own.
"""

from __future__ import annotations

import functools
import zlib
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from endpoints.base import Ground
from endpoints.payment.giving_back import give_all_back
from endpoints.payment.orders import RECEIVED, Evidence, Order, Refund, RefundEvidence, RefundState
from endpoints.payment.records import Payments
from endpoints.payment.unionpay import answers
from endpoints.payment.unionpay.day import day, txn_time
from endpoints.payment.unionpay.gateway import Ask, Gateway, Said
from endpoints.payment.unionpay.options import UnionPayOptions
from endpoints.rest.sending import Sending

_GRACE_MS = 60_000  # after a code's end: a payment that was on its way then has arrived
_LAG_MS = 180_000  # for so long "no such trade" may yet turn into one
_REVERSED = {"action": "reversal"}
_MOST_FILE = 100_000_000  # bytes of a statement file


def opened(options: UnionPayOptions, ground: Ground) -> UnionPay:
    sending = Sending(options, ground, afresh=True)
    return UnionPay(options, sending.ask, ground.payments, lambda: int(ground.now() * 1000), sending.close)


class UnionPay:
    def __init__(
        self,
        options: UnionPayOptions,
        ask: Ask,
        payments: Payments | None,
        now_ms: Callable[[], int],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.options = options
        self._ask = ask
        self._payments = payments
        self._now_ms = now_ms
        self._close = close

    @functools.cached_property
    def gateway(self) -> Gateway:
        """Made with the first request: keys are read then."""
        return Gateway(self.options, self._ask, self._now_ms)

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """申请二维码 (主扫)."""
        more = {"payTimeout": txn_time(self._ends_ms(order))}
        said = await self.gateway.trade({**self._purchase(order, "07"), **more})
        facts = {"txn_time": txn_time(order.at_ms), "merchant": self.options.mer_id}
        if said.code == answers.TAKEN and said.get("qrCode"):
            return Evidence("PREPAID", facts={**facts, "code_url": said.get("qrCode")})
        if answers.taken(said) == "REJECTED":
            return Evidence("FAILED", facts=facts, code=said.code, text=said.text)
        seen = await self.query(order)
        return replace(seen, state="UNKNOWN") if seen.state == "ABSENT" else seen

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """二维码消费 (被扫): what was taken is asked about at once; its answer says nothing of its end."""
        code = str(asked.get("auth_code") or "")
        said = await self.gateway.trade(
            {**self._purchase(order, "06"), "qrNo": code, "termId": self.options.terminal}
        )
        how = answers.taken(said)
        facts = {"txn_time": txn_time(order.at_ms), "merchant": self.options.mer_id}
        if how == "REJECTED":
            return Evidence("FAILED", facts=facts, code=said.code, text=said.text)
        seen = await self.query(order)
        if seen.state in ("ABSENT", "UNKNOWN"):
            waits = said.code in (answers.TAKEN, *answers.UNSURE)
            return Evidence("PAYING" if waits else "UNKNOWN", facts=facts, code=said.code, text=said.text)
        return replace(seen, facts={**seen.facts, **facts})

    async def query(self, order: Order) -> Evidence:
        """A code that nobody paid may be no trade yet, and a try that failed is not the order's end: it is PREPAID
        until its code ends, and then CLOSED."""
        seen = answers.of_query(await self._asked(order.number, order.at_ms))
        if order.method == "code" or seen.state not in ("ABSENT", "FAILED"):
            return seen
        if self._over(order):
            return replace(seen, state="CLOSED")
        return (
            replace(seen, state="PREPAID") if order.facts.get("code_url") else replace(seen, state="ABSENT")
        )

    async def close(self, order: Order) -> Evidence:
        """UnionPay closes no QR code: what nobody paid ends by its time. A payment code is reversed."""
        if order.method == "code":
            return await self._reversed(order)
        seen = await self.query(order)
        if seen.state in ("CLOSED", "PAID"):
            return seen
        return replace(seen, state="UNKNOWN", text=seen.text or "its code has not ended yet 二维码未到期")

    async def reverse(self, order: Order) -> Evidence:
        """冲正 where nobody knows, 撤销 or 退货 where it was paid."""
        seen = await self._reversed(order) if order.method == "code" else await self.close(order)
        if seen.state != "PAID":
            return seen
        return await give_all_back(self, self._payments, order, seen, self._now_ms())

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        """消费撤销 while that is possible, else 退货; never the second before the first is known to have failed."""
        if not order.channel_no or order.state == "PAID_AFTER_CLOSE":
            before = await self.query(order)
            if before.state == "FAILED" and refund.fen == order.paid_fen:  # its reversal was before the news
                return RefundEvidence("SUCCESS", refund.fen, code=before.code, text="it was reversed 已冲正")
            order = replace(order, channel_no=before.channel_no or order.channel_no)
        if self._voids(order, refund):
            seen = await self._void(order, refund)
            if seen is not None:
                return seen
        number = self._returned(order, refund)
        said = await self.gateway.trade(self._back(order, refund, "04", number))
        return await self._came_of(said, number, refund, lagging="PROCESSING")

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        if self._voids(order, refund):
            seen = await self._back_seen(refund.number, refund)
            if seen.state not in ("ABSENT", "FAILED"):
                return seen
            failed = seen.state == "FAILED"
            seen = await self._back_seen(self._returned(order, refund), refund)
            return replace(seen, state="UNKNOWN") if failed and seen.state == "ABSENT" else seen
        return await self._back_seen(refund.number, refund)

    async def bill(self, day: str) -> bytes | None:
        """文件传输: the ZIP of a 清算日期. Its members are GBK with fixed widths; ZM_ has the merchant's trades."""
        said = await self.gateway.file(
            {
                "txnType": "76",
                "txnSubType": "01",
                "bizType": "000000",
                "fileType": "00",
                "settleDate": day[5:7] + day[8:10],
                "txnTime": txn_time(self._now_ms()),
            }
        )
        if said.code != answers.TAKEN:
            return None
        try:
            wide = zlib.decompressobj()
            file = wide.decompress(b64decode(said.get("fileContent"), validate=True), _MOST_FILE)
        except (ValueError, zlib.error):
            return None
        return file if wide.eof else None

    async def close_connections(self) -> None:
        await self._close()

    async def _reversed(self, order: Order) -> Evidence:
        """Of a payment code, by the original's own orderId and txnTime, in UnionPay's day only. What is known to be
        paid is not reversed; where it was, before that was known, it shows as failed."""
        seen = await self.query(order)
        if order.state in RECEIVED:
            if seen.state == "FAILED":
                return replace(seen, state="REFUNDED", facts={**seen.facts, **_REVERSED})
            return seen if seen.state == "PAID" else replace(seen, state="UNKNOWN")
        if seen.state in ("PAID", "FAILED"):
            return seen
        if day(order.at_ms) != day(self._now_ms()):
            text = "too late for a reversal 已过冲正时间"
            if seen.state == "ABSENT" and self._now_ms() - order.at_ms > _LAG_MS:
                return replace(seen, state="REVERSED")
            return replace(seen, state="UNKNOWN", text=seen.text or text)
        fields = {**self._purchase(order, "01"), "txnType": "99"}
        said = await self.gateway.trade(fields)
        if said.code == answers.TAKEN:
            return Evidence("REVERSED", facts=_REVERSED, code=said.code, text=said.text)
        seen = await self.query(order)
        if seen.state == "ABSENT" and self._now_ms() - order.at_ms > _LAG_MS:
            return replace(seen, state="REVERSED")
        if seen.state in ("PAID", "FAILED"):
            return seen
        return Evidence("UNKNOWN", code=said.code, text=said.text)

    async def _void(self, order: Order, refund: Refund) -> RefundEvidence | None:
        """None where it is known not to be voided, and will not be."""
        number = refund.number
        seen = await self._back_seen(number, refund)
        if seen.state == "FAILED":
            return None
        if seen.state != "ABSENT":
            return seen
        if day(self._now_ms()) != day(order.paid_ms):
            soon = self._now_ms() - refund.at_ms < _LAG_MS
            return replace(seen, state="UNKNOWN", text="it may have been voided 可能已撤销") if soon else None
        said = await self.gateway.trade(self._back(order, refund, "31", number))
        if answers.taken(said) == "REJECTED":
            return None
        seen = await self._came_of(said, number, refund, lagging="UNKNOWN")
        return None if seen.state == "FAILED" else seen

    async def _came_of(self, said: Said, number: str, refund: Refund, lagging: RefundState) -> RefundEvidence:
        how = answers.taken(said, refund=True)
        if how == "REJECTED":
            return RefundEvidence("FAILED", code=said.code, text=said.text)
        seen = await self._back_seen(number, refund)
        if seen.state != "ABSENT":
            return seen
        was_taken = said.code in (answers.TAKEN, *answers.UNSURE)
        state: RefundState = lagging if was_taken else "UNKNOWN"
        return RefundEvidence(state, code=said.code, text=said.text)

    def _voids(self, order: Order, refund: Refund) -> bool:
        """Whether it is, or began as, a void: all of it, on the day on which it was paid. By the records alone, so that
        it is the same whenever it is asked."""
        return refund.fen == order.paid_fen and day(refund.at_ms) == day(order.paid_ms)

    def _returned(self, order: Order, refund: Refund) -> str:
        """orderId of a 退货: the refund's number, or another where a void has that already."""
        return f"T{refund.number}" if self._voids(order, refund) else refund.number

    async def _back_seen(self, number: str, refund: Refund) -> RefundEvidence:
        said = await self._asked(number, refund.at_ms)
        return answers.of_refund(answers.of_query(said), refund.fen)

    async def _asked(self, number: str, at_ms: int) -> Said:
        named = {"orderId": number, "txnTime": txn_time(at_ms)}
        kind = {"txnType": "00", "txnSubType": "00", "bizType": self.options.biz_type}
        return await self.gateway.query(named | kind)

    def _purchase(self, order: Order, sub_type: str) -> dict[str, str]:
        return self._trade("01", sub_type, order.number, order.at_ms, order.fen)

    def _back(self, order: Order, refund: Refund, kind: str, number: str) -> dict[str, str]:
        return {
            **self._trade(kind, "00", number, refund.at_ms, refund.fen),
            "origQryId": order.channel_no,
            "reqReserved": order.number,  # its notice has it again
        }

    def _trade(self, kind: str, sub_type: str, number: str, at_ms: int, fen: int) -> dict[str, str]:
        return {
            "txnType": kind,
            "txnSubType": sub_type,
            "bizType": self.options.biz_type,
            "channelType": self.options.channel_type,
            "orderId": number,
            "txnTime": txn_time(at_ms),
            "txnAmt": str(fen),
            "currencyCode": "156",
            "backUrl": self.options.notify_url,
        }

    def _ends_ms(self, order: Order) -> int:
        return order.at_ms + int(self.options.code_lifetime * 1000)

    def _over(self, order: Order) -> bool:
        return self._now_ms() > self._ends_ms(order) + _GRACE_MS
