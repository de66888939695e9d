"""The simulated Alipay, our channel to it, payments in memory and a clock that tests move."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.paying import CHINA
from endpoints.base import Ground
from endpoints.payment.alipay.channel import Alipay, opened
from endpoints.payment.alipay.options import AlipayOptions
from endpoints.payment.orders import Order
from endpoints.payment.party import PaymentParty
from schemas.json import Json
from tests.payment.memory_payments import MemoryPayments

APP_ID = "2021000000000001"
SELLER = "2088000000000001"
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=CHINA).timestamp()


@functools.cache
def rsa(name: str) -> RSAPrivateKey:
    """Made once in a test run."""
    return generate_private_key(65537, 2048)


def private_pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Clock:
    """Unix seconds."""

    def __init__(self, at: float = NOON) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    @property
    def ms(self) -> int:
        return int(self.at * 1000)

    def china(self) -> datetime:
        return datetime.fromtimestamp(self.at, CHINA)


class Shop:
    """`asks("create", amount="36.50", key="S1/pay")` is what a settlement would ask."""

    def __init__(
        self, sandbox: Any, channel: Any, payments: MemoryPayments, clock: Clock, system: str
    ) -> None:
        self.sandbox, self.channel, self.payments, self.clock = sandbox, channel, payments, clock
        self.party = PaymentParty(system, channel, payments, lambda: clock.ms)

    async def asks(
        self, operation: str, key: str = "S1/pay", direction: str = "do", **asked: Any
    ) -> dict[str, Any]:
        headers = {"key": key, "direction": direction, "settlement": "S1"}
        receipt = await self.party.ask(operation, asked, headers)
        tree = Json().decode(receipt.answer)
        assert isinstance(tree, dict)
        return tree

    async def order(self, key: str = "S1/pay") -> Order:
        order = await self.payments.of_key(self.party.system, key)
        assert order is not None
        return order

    async def number(self, key: str = "S1/pay") -> str:
        return (await self.order(key)).number


def alipay_options(sandbox: AlipaySandbox, **more: Any) -> AlipayOptions:
    known: dict[str, Any] = {
        "name": "alipay",
        "url": sandbox.gateway if sandbox.port else "http://127.0.0.1:9/gateway.do",
        "app_id": APP_ID,
        "seller_id": SELLER,
        "private_key": private_pem(rsa("app")),
        "public_key": sandbox.public_pem,
        "timeout": "20s",
    }
    return AlipayOptions.model_validate(known | more)


@asynccontextmanager
async def alipay_shop(**more: Any) -> AsyncIterator[Shop]:
    clock, payments = Clock(), MemoryPayments()
    sandbox = AlipaySandbox(
        APP_ID, rsa("app").public_key(), seller=SELLER, now=clock.china, key=rsa("alipay")
    )
    await sandbox.start()
    try:
        ground = Ground("alipay", now=clock, payments=payments)
        channel: Alipay = opened(alipay_options(sandbox, **more), ground)
        try:
            yield Shop(sandbox, channel, payments, clock, "alipay")
        finally:
            await channel.close_connections()
    finally:
        await sandbox.stop()
