"""What settlements ask of terminals, and what terminals report.

| asked | as | means |
|---|---|---|
| create | do | an order that the terminal is to take: `terminal`, `amount`, `method` (card, cash) |
| report | a channel of terminals | what a terminal says: `event`, below |

| event | the terminal says |
|---|---|
| started | it begins, or comes back after a crash; `last` is its POS's last transaction, null where it has none |
| charged, declined | what the POS answered to a sale |
| cancelled | the patient went away; nothing was charged |
| note | the box has swallowed a note |
| voided, refunded, paid_out | a refund was done, or not |
| box_closed | a box was taken out and counted |
| tasks | it asks what is to be done here |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from config.errors import Refused
from endpoints.payment.noticed import follow, follow_refund
from endpoints.payment.numbers import fen_of, number_of, yuan_of
from endpoints.payment.orders import OVER, RECEIVED, Evidence, Order, Refund, RefundEvidence
from endpoints.payment.party import Asked, PaymentParty
from endpoints.payment.terminal.boxes import Boxes, Finding
from endpoints.payment.terminal.matching import match, way_of
from endpoints.payment.terminal.reports import (
    Transaction,
    name_of,
    note_of,
    terminal_of,
    time_of,
    transaction_of,
)
from endpoints.payment.told import told
from schemas.message import Receipt

log = structlog.get_logger()
Headers = Mapping[str, str]
METHODS = ("card", "cash")
_MOST_OPEN = 1000  # orders without an end, over all terminals


class TerminalParty(PaymentParty):
    """`owners` are terminals and the callers (callers.yaml) who may speak for them; empty: whoever the channel lets in.
    `voids`: a charge of no order, or of one that is over, is given back at once, and does not wait for a person."""

    owners: Mapping[str, str] = {}
    voids = True

    async def ask(self, operation: str, asked: Asked, headers: Headers) -> Receipt:
        if operation != "report":
            return await super().ask(operation, asked, headers)
        events: Mapping[str, Callable[[str, Asked], Awaitable[dict[str, Any]]]] = {
            "started": self._started,
            "charged": self._charged,
            "declined": self._charged,
            "cancelled": self._cancelled,
            "note": self._note,
            "voided": self._voided,
            "refunded": self._voided,
            "paid_out": self._paid_out,
            "box_closed": self._box_closed,
            "tasks": self._nothing,
        }
        event, terminal = str(asked.get("event") or ""), terminal_of(asked)
        if event not in events:
            raise Refused("JL-P320", f"a terminal reports no {event[:20]!r}: {', '.join(events)} 事件无效")
        caller = headers.get("caller.name", "")
        if self.owners and self.owners.get(terminal) != caller:
            raise Refused("JL-P322", f"{caller or 'nobody'} does not speak for {terminal} 终端与调用方不符")
        made = await events[event](terminal, asked)
        for finding in made.get("findings", ()):
            log.warning("payment.terminal", system=self.system, terminal=terminal, **finding)
        return told("OK", **made, do=await self._tasks(terminal))

    async def _create(self, asked: Asked, headers: Headers) -> Receipt:
        """REJECTED while another card order is open at the terminal: its last transaction is to be asked for first."""
        terminal, method = terminal_of(asked), str(asked.get("method") or "card")
        if method not in METHODS:
            raise Refused("JL-P320", f"`method` is one of {', '.join(METHODS)} 支付方式无效")
        key = headers.get("key", "") or str(asked.get("key", ""))
        open_ones = [one for one in await self._open(terminal) if one.key != key and one.method == "card"]
        if open_ones and method == "card":
            text = "the terminal first reports its last transaction 请先查询末笔交易"
            return told("REJECTED", code="JL-P321", err_msg=text, open=open_ones[0].number)
        return await super()._create({**asked, "method": method}, headers)

    async def _open(self, terminal: str) -> list[Order]:
        found = await self.payments.open(self.system, self.now_ms() + 1, _MOST_OPEN)
        return [one for one in found if one.facts.get("terminal") == terminal]

    async def _started(self, terminal: str, asked: Asked) -> dict[str, Any]:
        """The last transaction first: what is open and is not of it was not charged."""
        at_ms = time_of(asked)
        mine = [
            one for one in await self._open(terminal) if one.at_ms <= at_ms
        ]  # a repeat says nothing of later ones
        findings: list[Finding] = []
        about = ""
        if asked.get("last") is not None:
            last = transaction_of(terminal, asked["last"])
            order, findings = await self._last(last, [one for one in mine if one.method == "card"])
            about = order.number if order is not None else ""
        for one in mine:
            if one.method == "cash":
                await self._gone(one)
            else:
                await self.payments.seen(one, Evidence("FAILED", code="JL-P321", text="not charged 未扣款"))
        return {"order": about, "findings": findings}

    async def _last(self, last: Transaction, mine: Sequence[Order]) -> tuple[Order | None, list[Finding]]:
        """The order that it is of, and is now PAID; what belongs to none is kept, and goes back."""
        if not last.done:
            return None, []
        if last.kind != "sale":
            await self._back(last)
            return None, []
        known = await self.payments.of_channel(self.system, last.reference)
        if known is not None:
            return known, []
        order = match(mine, last)
        if order is None and last.order:
            order = await self.payments.order(self.system, last.order)
            order = order if order is not None and order.facts.get("terminal") == last.terminal else None
        if order is not None:
            return await self._paid_by(order, last), []
        return await self._found(last)

    async def _charged(self, terminal: str, asked: Asked) -> dict[str, Any]:
        order, sale = await self._named(terminal, asked), transaction_of(terminal, asked)
        if sale.done:
            known = await self.payments.of_channel(self.system, sale.reference)
            if known is not None and known.number != order.number:
                raise Refused("JL-P327", f"{sale.reference} is another order's: {known.number} 参考号重复")
            order = await self._paid_by(order, sale)
        else:
            order = await self.payments.seen(
                order, Evidence("FAILED", facts=sale.facts, code=sale.response, text="declined 交易被拒绝")
            )
        return {"order": order.number, "state": order.state, "findings": []}

    async def _paid_by(self, order: Order, sale: Transaction) -> Order:
        seen = Evidence("PAID", sale.fen, sale.at_ms, sale.reference, sale.facts, sale.response)
        order = await self.payments.seen(order, seen)
        if order.state == "PAID_AFTER_CLOSE" and self.voids and not self.rules.returns:
            log.warning("payment.after_close", system=self.system, order=order.number)
            after = {"order": order.number, "key": f"after {order.number}", "reason": "关单后扣款"}
            await self._refund(after, {})
        else:
            await follow(self, order)
        return order

    async def _found(self, sale: Transaction) -> tuple[Order, list[Finding]]:
        """A charge of no order: it stands as one without a settlement, and is voided or waits for a person."""
        key = f"found {sale.terminal}/{sale.batch}/{sale.trace}/{sale.reference}"  # a POS's own numbers begin anew
        found = Order(self.system, number_of(self.system, key), key, sale.fen, "card", self.now_ms())
        order = await self._paid_by(await self.payments.place(found), sale)
        if self.voids and order.state == "PAID":
            await self._refund({"order": order.number, "key": key, "reason": "无对应支付单"}, {})
        text = f"{sale.terminal}: {yuan_of(sale.fen)} was charged for no order, {sale.reference} 无对应支付单的扣款"
        return order, [{"code": "JL-P328", "text": text}]

    async def _cancelled(self, terminal: str, asked: Asked) -> dict[str, Any]:
        """The terminal's own word that its POS has charged nothing. Notes that were swallowed stay money."""
        order = await self._named(terminal, asked)
        if order.method == "cash":
            order = await self._gone(order)
        else:
            order = await self.payments.seen(
                order, Evidence("FAILED", text="cancelled at the terminal 已取消")
            )
        return {"order": order.number, "state": order.state, "findings": []}

    async def _gone(self, order: Order) -> Order:
        """A cash order ends with what is in the box: nothing, or less than was to be paid."""
        fen = _notes_of(order)
        state = Evidence("PAID", fen, self.now_ms()) if fen else Evidence("FAILED")
        order = await self.payments.seen(order, state)
        await follow(self, order)
        return order

    async def _note(self, terminal: str, asked: Asked) -> dict[str, Any]:
        """On record first as a note, then in its order: both once, whatever comes twice."""
        note = note_of(asked)
        findings = await self._boxes.take(note)
        order = await self.payments.order(self.system, note.order) if note.order else None
        if order is None or order.method != "cash" or order.facts.get("terminal") != terminal:
            text = f"{note.key}: {yuan_of(note.fen)} for no order 无对应支付单的现金"
            return {"order": "", "findings": [*findings, {"code": "JL-P328", "text": text}]}
        order = await self.payments.seen(order, Evidence("PAYING", facts={f"note {note.key}": note.fen}))
        have = _notes_of(order)
        late = order.state in OVER  # it ended before this note was told: what is in the box goes back
        if (have >= order.fen or late) and order.state not in RECEIVED:
            order = await self.payments.seen(order, Evidence("PAID", have, note.at_ms))
            await follow(self, order)
        elif have > order.paid_fen and order.state in RECEIVED:
            text = f"{order.number}: {yuan_of(have)} is in the box, {yuan_of(order.paid_fen)} was counted 多收现金"
            findings.append({"code": "JL-P328", "text": text})
        return {"order": order.number, "state": order.state, "taken": yuan_of(have), "findings": findings}

    async def _voided(self, terminal: str, asked: Asked) -> dict[str, Any]:

        await self._back(
            transaction_of(terminal, asked, "void" if asked.get("event") == "voided" else "refund")
        )
        return {"refund": str(asked.get("refund") or ""), "findings": []}

    async def _back(self, back: Transaction) -> None:
        """A void or a refund at a POS; a void that the bank refuses becomes a refund."""
        refund = await self.payments.refund(self.system, back.refund)
        if refund is None:
            raise Refused("JL-P032", f"no refund {back.refund[:40]!r} was asked for 退款不存在")
        order = await self._named(back.terminal, {"order": refund.order})
        if back.done and back.fen != refund.fen:
            raise Refused("JL-P031", f"{refund.number}: another amount was given back 退款金额不符")
        if back.done:
            seen = RefundEvidence("SUCCESS", back.fen, back.at_ms, back.reference, back.response)
            await self._given_back(refund, seen)
            return
        if back.kind == "void":
            await self.payments.seen(order, Evidence("PAYING", facts={"void_refused": back.response}))
        else:
            seen = RefundEvidence("ABNORMAL", code=back.response, text="the bank refused it 银行拒绝退款")
            await self._given_back(refund, seen)

    async def _paid_out(self, terminal: str, asked: Asked) -> dict[str, Any]:
        """Cash went back over the counter, by one who gives and one who confirms."""
        refund = await self.payments.refund(self.system, str(asked.get("refund") or ""))
        if refund is None:
            raise Refused("JL-P032", "no such refund was asked for 退款不存在")
        await self._named(terminal, {"order": refund.order})
        if name_of(asked, "by") == name_of(asked, "second"):
            raise Refused("JL-P325", "cash is paid out by two people 现金退款须双人办理")
        if fen_of(asked.get("amount")) != refund.fen:
            raise Refused("JL-P031", f"{refund.number}: another amount was paid out 退款金额不符")
        await self._given_back(refund, RefundEvidence("SUCCESS", refund.fen, self.now_ms()))
        return {"refund": refund.number, "findings": []}

    async def _given_back(self, refund: Refund, seen: RefundEvidence) -> None:
        await follow_refund(self, await self.payments.refund_seen(refund, seen))

    async def _box_closed(self, terminal: str, asked: Asked) -> dict[str, Any]:
        amounts = {name: _fen(asked, name) for name in ("counted", "journal")}
        return await self._boxes.close(asked, amounts, self.now_ms())

    async def _nothing(self, terminal: str, asked: Asked) -> dict[str, Any]:
        return {}

    async def _tasks(self, terminal: str) -> list[dict[str, Any]]:
        """What is to go back at this terminal, and how: void, refund, payout. Nothing at its POS while a card order is
        open there: a void would be the last transaction in the place of a charge, which nobody would then find."""
        tasks: list[dict[str, Any]] = []
        charging = any(one.method == "card" for one in await self._open(terminal))
        for refund in await self.payments.open_refunds(self.system, self.now_ms() + 1, _MOST_OPEN):
            order = await self.payments.order(self.system, refund.order)
            if (
                order is None
                or order.facts.get("terminal") != terminal
                or (charging and order.method == "card")
            ):
                continue
            way = way_of(order, refund, await self.payments.refunds(self.system, order.number), self.now_ms())
            task = {"way": way, "refund": refund.number, "amount": yuan_of(refund.fen), "order": order.number}
            numbers = {"reference": order.channel_no, "trace": str(order.facts.get("trace_no") or "")}
            tasks.append({**task, **{name: value for name, value in numbers.items() if value}})
        return tasks

    async def _named(self, terminal: str, asked: Asked) -> Order:
        number = str(asked.get("order") or "")
        order = await self.payments.order(self.system, number)
        if order is None:
            raise Refused(
                "JL-P030", f"a terminal's report of {number[:40]!r}, which is no order 支付单不存在"
            )
        if order.facts.get("terminal") != terminal:
            raise Refused("JL-P322", f"{number} is not an order of {terminal} 支付单不属于该终端")
        return order

    @property
    def _boxes(self) -> Boxes:
        return Boxes(self.system, self.payments)


def _notes_of(order: Order) -> int:
    return sum(int(fen) for name, fen in order.facts.items() if name.startswith("note "))


def _fen(asked: Asked, name: str) -> int:
    return 0 if str(asked.get(name)) in ("0", "0.00") else fen_of(asked.get(name))
