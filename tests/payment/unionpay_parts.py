"""The simulated UnionPay, our channel to it, payments in memory and a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from deploy.sandbox.paying import CHINA
from deploy.sandbox.unionpay import UnionPaySandbox
from deploy.sandbox.unionpay.keys import certificate
from endpoints.base import Ground
from endpoints.payment.unionpay.channel import UnionPay, opened
from endpoints.payment.unionpay.options import UnionPayOptions
from tests.payment.alipay_parts import Clock, Shop, private_pem, rsa
from tests.payment.memory_payments import MemoryPayments

MERCHANT = "777290000000001"


def merchant_certificate() -> str:
    return certificate(f"merchant {MERCHANT}", rsa("app").public_key(), "Example CA", rsa("app"), 68759585097)


def unionpay_options(sandbox: UnionPaySandbox, **more: Any) -> UnionPayOptions:
    base = sandbox.url if sandbox.port else "http://127.0.0.1:9"
    known: dict[str, Any] = {
        "name": "unionpay",
        "url": f"{base}/gateway/api",
        "file_url": f"{base}/files",
        "mer_id": MERCHANT,
        "private_key": private_pem(rsa("app")),
        "certificate": merchant_certificate(),
        "trusted": sandbox.trusted,
        "timeout": "20s",
    }
    return UnionPayOptions.model_validate(known | more)


def sandbox_of(clock: Clock, **more: Any) -> UnionPaySandbox:
    return UnionPaySandbox(MERCHANT, merchant_certificate(), now=clock.china, key=rsa("unionpay"), **more)


def china(text: str) -> float:
    """Unix seconds of `2026-01-05 22:59:59`."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).timestamp()


@asynccontextmanager
async def unionpay_shop(secure_key: str = "", **more: Any) -> AsyncIterator[Shop]:
    clock, payments = Clock(), MemoryPayments()
    sandbox = sandbox_of(clock, secure_key=secure_key)
    await sandbox.start()
    try:
        ground = Ground("unionpay", now=clock, payments=payments)
        keyed = {"secure_key": secure_key} if secure_key else {}
        channel: UnionPay = opened(unionpay_options(sandbox, **keyed, **more), ground)
        try:
            yield Shop(sandbox, channel, payments, clock, "unionpay")
        finally:
            await channel.close_connections()
    finally:
        await sandbox.stop()
