"""WeChat's mixed orders for tests: its books, a cash half and a payment centre in memory, and what a network loses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from alipay_parts import public_pem, rsa
from memory_payments import MemoryPayments

from config.errors import Unreachable
from deploy.sandbox.mixed.books import MixedBooks
from endpoints.payment.mixed.asked import Institution
from endpoints.payment.mixed.channel import PASSWORD_PASSED, MixedChannel
from endpoints.payment.mixed.party import MixedParty
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence
from endpoints.payment.wechat.signing import key_of
from endpoints.payment.wechat.wire import Heard
from schemas.json import Json

KEY = rsa("wechat")
US = Institution(
    appid="wxtest",
    city="530100",
    name="示例医院",
    number="H99999900001",
    callback="https://pay.example.org/mixed",
    test_env=True,
)


def sealed(text: str) -> tuple[str, str]:
    """As a merchant seals for WeChat's key."""
    seal = key_of(public_pem(KEY), "rsa").seal
    assert seal is not None
    return b64encode(seal(text.encode())).decode(), "PUB_KEY_ID_0100000001"


class CashBook:
    """The merchant's cash orders at WeChat."""

    def __init__(self) -> None:
        self.orders: dict[str, tuple[str, int]] = {}  # number: state, fen
        self.back: dict[str, int] = {}
        self.locked: set[str] = set()

    def prepaid(self, number: str) -> tuple[str, int] | None:
        state, fen = self.orders.get(number, ("", 0))
        return (f"wx{number}", fen) if state == "NOTPAY" else None

    def pay(self, number: str) -> bool:
        state, fen = self.orders[number]
        if state == "NOTPAY":
            self.orders[number] = ("SUCCESS", fen)
        return state == "NOTPAY"

    def state(self, number: str) -> str:
        return self.orders[number][0]

    def lock(self, number: str) -> None:
        self.locked.add(number)


class CashChannel:
    """Our side of the cash orders."""

    def __init__(self, book: CashBook) -> None:
        self._book = book

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        self._book.orders.setdefault(order.number, ("NOTPAY", order.fen))
        prepay = {"package": f"prepay_id=wx{order.number}"}
        return Evidence("PREPAID", facts={"prepay": prepay, "prepay_id": f"wx{order.number}"})

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return Evidence("FAILED")

    async def close(self, order: Order) -> Evidence:
        state, fen = self._book.orders[order.number]
        if state == "NOTPAY" and order.number in self._book.locked:
            return Evidence("UNKNOWN", code=PASSWORD_PASSED)
        if state != "NOTPAY":
            return Evidence("PAID" if state == "SUCCESS" else "CLOSED", fen=fen)
        self._book.orders[order.number] = ("CLOSED", fen)
        return Evidence("CLOSED")

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        state, fen = self._book.orders[order.number]
        if state not in ("SUCCESS", "REFUND"):
            return RefundEvidence("FAILED")
        self._book.orders[order.number] = ("REFUND", fen)
        self._book.back.setdefault(refund.number, refund.fen)
        return await self.query_refund(order, refund)

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        fen = self._book.back.get(refund.number)
        return RefundEvidence("ABSENT") if fen is None else RefundEvidence("SUCCESS", fen=fen, at_ms=1)

    async def query(self, order: Order) -> Evidence:
        raise AssertionError("a mixed order is asked for as a whole")

    reverse = query

    async def bill(self, day: str) -> bytes | None:
        return None

    async def close_connections(self) -> None: ...


class Centre:
    """Payment orders of the insurance: which are settled."""

    def __init__(self) -> None:
        self.settled: set[str] = set()

    def settle(self, order: str, authorisation: str) -> bool:
        self.settled.add(order)
        return True


class BooksWire:
    """`acts`, one for each call: `lost` is done and its answer is not heard, `away` never leaves."""

    def __init__(self, books: MixedBooks) -> None:
        self._books = books
        self.acts: list[str] = []
        self.calls: list[tuple[str, str]] = []

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, serial: str = ""
    ) -> Heard:
        act = self.acts.pop(0) if self.acts else ""
        if act == "away":
            raise Unreachable("JL-E220", "no connection")
        url = urlsplit(path)
        self.calls.append((method, url.path))
        said = self._books.answer(method, url.path, dict(parse_qsl(url.query)), dict(body or {}))
        return Heard(0, {}) if act == "lost" else Heard(*said)


class Clinic:
    """A hospital whose patients pay by telephone. Calls are made as a settlement makes them."""

    def __init__(self) -> None:
        self.cash, self.centre, self.payments = CashBook(), Centre(), MemoryPayments()
        self.books = MixedBooks(self.cash, self.centre)
        self.wire = BooksWire(self.books)
        channel = MixedChannel(self.wire, CashChannel(self.cash), US, sealed, lambda: 1_767_576_600.0)
        self.party = MixedParty("mixed", channel, self.payments, lambda: 1_767_576_600_000)

    async def ask(
        self, operation: str, direction: str = "do", about: str = "", **asked: Any
    ) -> dict[str, Any]:
        headers = {"key": "S1/order", "settlement": "S1", "direction": direction, "about": about}
        receipt = await self.party.ask(operation, asked, headers)
        told = Json().decode(receipt.answer)
        assert isinstance(told, dict)
        assert told["outcome"] == receipt.code
        return told

    @property
    def order(self) -> Order:
        (one,) = self.payments.orders.values()
        return one


def asked(**more: Any) -> dict[str, Any]:
    """An order of 2,020 yuan: 1,500 by the insurance, 420 in cash, 100 by a deposit."""
    return {
        "amount": "2020.00",
        "cash": "420.00",
        "insurance": {"gov": "1000", "self": "450", "other": "50", "cash": "500"},
        "add": [{"type": "FREIGHT", "amount": "20"}],
        "reduce": [{"type": "DEPOSIT_DEDUCTION", "amount": "100"}],
        "order_type": "DIAG_PAY",
        "openid": "o1",
        "payer": {"name": "测试", "id": "999999190001010000"},
        "serial_no": "S1",
        "pay_order_id": "ORD1",
        "pay_auth_no": "AUTH1",
        "geo_location": "102.682296,25.054260",
        "ordered_at": "2026-01-05T09:30:00+08:00",
        **more,
    }
