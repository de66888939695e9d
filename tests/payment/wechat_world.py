"""A world of its own for each seed: WeChat's books, our channel over a wire that loses and lies, payers and cashiers.

One process, a virtual clock, and chance from the seed alone. What becomes of money is decided by WeChat's books.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from config.errors import JingluoError, Refused, Unreachable
from deploy.sandbox.centre.wire import Asked
from deploy.sandbox.wechat.books import Bought, Repaid
from deploy.sandbox.wechat.desk import No
from deploy.sandbox.wechat.party import WechatSandbox, _no, _page
from endpoints.base import Ground
from endpoints.payment.numbers import number_of
from endpoints.payment.orders import OVER
from endpoints.payment.party import PaymentParty, Rules
from endpoints.payment.wechat.channel import WechatChannel
from endpoints.payment.wechat.ends import WechatNotices
from endpoints.payment.wechat.wire import Heard
from schemas.json import Json
from tests.payment.alipay_parts import Clock
from tests.payment.memory_payments import MemoryPayments
from tests.payment.wechat_parts import MERCHANT, notice_options, simulator, wechat_options

BAD = ("lost", "done", "busy", "late", "well", "well")
LATEST_S = 60  # that a request arrives after its sender gave it up


class LossyWire:
    """Meets what WechatChannel asks of its wire. `faults` is the share of requests that something happens to."""

    def __init__(self, sandbox: WechatSandbox, chance: Random) -> None:
        self.sandbox, self.chance, self.faults = sandbox, chance, 0.4
        self.late: list[tuple[float, Asked]] = []  # requests that arrive when nobody waits for them any more
        self.signing: Any = SimpleNamespace(pay_sign=lambda *_: "signature")

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, serial: str = ""
    ) -> Heard:
        kind = self.chance.choice(BAD) if self.chance.random() < self.faults else "well"
        if kind == "lost":
            if self.chance.random() < 0.5:
                raise Unreachable("JL-E220", "no connection")
            return Heard(0, {"code": "JL-E221"})
        if kind == "busy":
            return Heard(500, {"code": "SYSTEM_ERROR", "message": "系统错误"})
        url = urlsplit(path)
        asked = Asked(method, url.path, {}, json.dumps(body).encode() if body else b"", url.query)
        if kind == "late":
            self.late.append((self.sandbox.now().timestamp() + self.chance.randrange(LATEST_S), asked))
            return Heard(0, {"code": "JL-E221"})
        status, tree = self.done(asked)
        return Heard(0, {"code": "JL-P101"}) if kind == "done" else Heard(status, tree or {})

    def done(self, asked: Asked) -> tuple[int, dict[str, Any] | None]:
        name, found = _page(asked)
        try:
            return self.sandbox._done(name, found, asked)
        except No as no:
            return no.status, _no(no)

    def arrives(self) -> None:
        """What was under way so long."""
        now = self.sandbox.now().timestamp()
        due = [asked for at, asked in self.late if at <= now]
        self.late = [one for one in self.late if one[0] > now]
        for asked in due:
            self.done(asked)


class World:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.clock = Clock()
        self.sandbox = simulator(self.clock)
        self.sandbox.desk._told = self._told
        self.wire = LossyWire(self.sandbox, self.chance)
        self.channel = WechatChannel(_options(), Ground("wechat", now=self.clock))
        self.channel.wire = self.wire  # type: ignore[assignment]
        self.payments = MemoryPayments()
        rules = Rules(returns="return-payment", sweep_after_s=5)
        self.party = PaymentParty(
            "wechat", self.channel, self.payments, lambda: self.clock.ms, settle=self, rules=rules
        )
        self.door = WechatNotices(notice_options(simulator(self.clock)), Ground("notices", now=self.clock))
        self.told: list[dict[str, Any]] = []  # notices under way
        self.ended: dict[str, str] = {}  # settlement to its end
        self.seen: set[str] = set()  # settlements that were told of their money
        self.suspense: dict[str, int] = {}
        self.returns: dict[str, Mapping[str, Any]] = {}

    def _told(self, one: Bought, refund: Repaid | None) -> None:
        """As many copies as chance wants, none among them, in any order."""
        tree = self.sandbox.desk.shown(one, plain=True) | {"trade_state": "SUCCESS"}
        event = "TRANSACTION.SUCCESS"
        if refund is not None:
            tree = self.sandbox.desk.shown_refund(one, refund)
            tree["refund_status"] = tree.pop("status")
            event = f"REFUND.{refund.state}"
        read = self.door.of_event(f"EV{self.chance.random()}", event, tree, MERCHANT)
        assert read is not None
        ours = self.payments.orders.get(one.number)
        once = refund is None and ours is not None and ours.state in OVER  # else only a statement shows it
        self.told += [read] * max(self.chance.choice((0, 1, 1, 3)), once)

    async def begin(
        self, name: str, request: Mapping[str, Any], caller: str, within_s: float
    ) -> dict[str, Any]:
        self.returns.setdefault(str(request["number"]), request)
        return {"state": "RUNNING"}

    async def show(self, number: str, within_s: float) -> dict[str, Any]:
        return {"state": self.ended.get(number, "WAITING")}

    async def cancel(self, number: str, who: str) -> dict[str, Any]:
        raise AssertionError

    async def notice(
        self, number: str, step: str, outcome: str, reply: Any, about: str = "do"
    ) -> dict[str, Any]:
        end = self.ended.get(number, "")
        if step == "payment.notice" and outcome == "OK":
            self.seen.add(number)
        return {"number": number, "state": end or "WAITING", "late": end == "COMPENSATED"}

    async def found(self, system: str, order: str, fen: int, cls: str, text: str, account: str = "") -> None:
        self.suspense[order] = fen

    async def cleared(self, system: str, order: str, fen: int, settlement: str, by: str) -> None:
        assert self.suspense.pop(order, fen) == fen

    async def asks(self, operation: str, key: str, direction: str = "do", **asked: Any) -> str:
        """The outcome; what never left is UNSENT."""
        self.clock.at += self.chance.choice((0.2, 1, 7))
        headers = {"key": key, "direction": direction, "settlement": key.partition("/")[0]}
        try:
            receipt = await self.party.ask(operation, asked, headers)
        except Unreachable:
            return "UNSENT"
        except Refused as error:
            return error.code
        tree = Json().decode(receipt.answer)
        assert isinstance(tree, dict)
        return str(tree["outcome"])

    async def until(self, wanted: tuple[str, ...], operation: str, key: str, **asked: Any) -> str:
        for _ in range(60):
            outcome = await self.asks(operation, key, **asked)
            if outcome in wanted:
                return outcome
            await self.meanwhile()
        raise AssertionError(f"{operation} of {key} never came to {wanted}, but to {outcome}")

    async def meanwhile(self) -> None:
        """Requests that were late, payers, refunds that end, notices, the sweep."""
        self.wire.arrives()
        self.sandbox.desk.refunds_are = self.chance.choice(("SUCCESS", "PROCESSING"))
        for one in list(self.sandbox.books.orders.values()):
            self._ends(one, 0.2)
            if one.state == "CLOSED" and one.kind == "NATIVE" and self.chance.random() < 0.02:
                one.state = "NOTPAY"  # its payer was quicker
                self.sandbox.pays(one.number)
        open_ones = [
            one for one in self.sandbox.books.orders.values() if one.state in ("NOTPAY", "USERPAYING")
        ]
        if open_ones and self.chance.random() < 0.3:
            self.sandbox.pays(self.chance.choice(open_ones).number)
        for one in self.sandbox.books.orders.values():  # a query that lags behind
            if one.state == "SUCCESS" and self.chance.random() < 0.05 * (self.wire.faults > 0):
                self.sandbox.books.lies[one.number] = self.chance.choice(("NOTPAY", ""))
        if self.chance.random() < 0.3:
            self.sandbox.books.lies.clear()
        while self.told and self.chance.random() < 0.7:
            told = self.told.pop(self.chance.randrange(len(self.told)))
            try:
                await self.party.ask("noticed", told, {})
            except JingluoError:
                self.told.append(told)  # it stays in its queue
                break
        if self.chance.random() < 0.3:
            await self.asks("sweep", "")

    def _ends(self, one: Bought, share: float) -> None:
        for back in one.refunds.values():
            if back.state == "PROCESSING" and self.chance.random() < share:
                self.sandbox.desk.ends(back.number, "SUCCESS", self.sandbox.now())

    async def settlement(self, number: str) -> None:
        """As a pipeline would: by a code to scan, or by the payer's."""
        fen = self.chance.randrange(1, 90_000)
        amount, key = f"{fen // 100}.{fen % 100:02d}", f"{number}/pay"
        if self.chance.random() < 0.4:
            await self._by_code(number, key, amount)
            return
        outcome = await self.until(("OK", "REJECTED"), "create", key, amount=amount)
        order = number_of("wechat", key)
        for _ in range(self.chance.randrange(12)):
            if number in self.seen or await self.asks("paid", f"{number}/paid", order=order) == "OK":
                outcome = "PAID"
                break
            await self.meanwhile()
        if outcome == "OK":
            closed = await self.until(("OK", "REJECTED"), "close", f"{number}/paid", order=order)
            outcome = "PAID" if closed == "REJECTED" else "CLOSED"
        if outcome == "PAID" and self.chance.random() < 0.4:
            back = ("OK", "PROCESSING")
            await self.until(back, "refund", f"{number}/paid", direction="undo", order=order)
            outcome = "CLOSED"
        self.ended[number] = "COMPLETED" if outcome == "PAID" else "COMPENSATED"

    async def _by_code(self, number: str, key: str, amount: str) -> None:
        code = self.chance.choice(("01", "20", "40", "41", "51"))
        outcome = await self.asks("pay", key, amount=amount, auth_code=f"1300000000000000{code}")
        for _ in range(6):
            if outcome in ("OK", "REJECTED"):
                break
            await self.meanwhile()
            outcome = await self.asks("query", key)
        if outcome not in ("OK", "REJECTED") or (outcome == "OK" and self.chance.random() < 0.3):
            await self.until(("OK", "ABSENT", "PROCESSING"), "reverse", key, direction="reverse")
            outcome = "REVERSED"
        self.ended[number] = "COMPLETED" if outcome == "OK" else "COMPENSATED"

    async def quiet(self) -> None:
        """No more faults; what is open comes to its end."""
        self.wire.faults = 0
        for _ in range(40):
            self.sandbox.books.lies.clear()
            self.clock.at += 60
            self.wire.arrives()
            for order in list(self.sandbox.books.orders.values()):
                self._ends(order, 1)
            told, self.told = self.told, []
            for one in told:
                await self.party.ask("noticed", one, {})
            await self.party.ask("sweep", {}, {})
            for number, asked in self.returns.items():
                await self.asks("refund", f"{number}/refund", order=asked["order"], amount=asked["amount"])

    def wrong(self) -> list[str]:
        """What does not agree between WeChat's books, ours, and what the settlements came to."""
        found = []
        books = self.sandbox.books.orders
        for order in self.payments.orders.values():
            theirs = books.get(order.number)
            back = sum(r.fen for r in theirs.refunds.values() if r.state == "SUCCESS") if theirs else 0
            there = theirs.fen - back if theirs is not None and theirs.paid is not None else 0
            given = sum(
                r.fen
                for r in self.payments.given_back.values()
                if r.order == order.number and r.state == "SUCCESS"
            )
            ours = 0 if order.state == "REFUNDED" else order.paid_fen - given
            if there != ours:
                found.append(f"{order.number} {order.state}: WeChat has {there}, we {ours}")
            due = order.fen if self.ended.get(order.settlement) == "COMPLETED" else 0
            if there != due:
                found.append(f"{order.number}: {there} at WeChat, {due} due by {order.settlement}")
        if set(books) - set(self.payments.orders):
            found.append("an order that is not on record")
        return found + [f"{number}: {fen} in suspense" for number, fen in self.suspense.items()]


_OPTIONS: list[Any] = []


def _options() -> Any:
    if not _OPTIONS:
        _OPTIONS.append(wechat_options(simulator(Clock())))
    return _OPTIONS[0]
