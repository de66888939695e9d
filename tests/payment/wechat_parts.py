"""The simulated WeChat Pay, our channel to it, payments in memory and a clock that tests move."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from config import sm2
from config.errors import Refused
from deploy.sandbox.wechat import WechatSandbox
from endpoints.base import Ground
from endpoints.payment.party import PaymentParty, Rules
from endpoints.payment.wechat.channel import WechatChannel
from endpoints.payment.wechat.ends import WechatNotices
from endpoints.payment.wechat.options import WechatNoticeOptions, WechatOptions
from schemas.json import Json
from tests.payment.alipay_parts import Clock, private_pem, public_pem, rsa
from tests.payment.memory_payments import MemoryPayments

MERCHANT, APP = "1900000001", "wx0000000000000001"
API_KEY = "0123456789abcdef0123456789ABCDEF"
SERIAL = "5157F09EFDC096DE15EBE81A47057A7200000001"
_SM_PRIVATE = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"


@functools.cache
def merchant_keys(crypto: str) -> tuple[str, str]:
    """Private and public."""
    if crypto == "sm":
        return _SM_PRIVATE, "04" + sm2.key_pair(bytes.fromhex(_SM_PRIVATE)).point.hex()
    return private_pem(rsa("merchant")), public_pem(rsa("merchant"))


class Settled:
    """What settlements were told, and which were begun."""

    def __init__(self) -> None:
        self.state = "WAITING"
        self.notices: list[tuple[str, str, str, Any]] = []
        self.begun: list[tuple[str, Mapping[str, Any]]] = []
        self.suspense: dict[str, tuple[int, str]] = {}

    async def begin(
        self, name: str, request: Mapping[str, Any], caller: str, within_s: float
    ) -> dict[str, Any]:
        if all(request != there for _, there in self.begun):
            self.begun.append((name, request))
        return {"state": "RUNNING"}

    async def show(self, number: str, within_s: float) -> dict[str, Any]:
        if not self.state:
            raise Refused("JL-T012", "no such settlement")
        return {"state": self.state}

    async def cancel(self, number: str, who: str) -> dict[str, Any]:
        raise AssertionError

    async def notice(
        self, number: str, step: str, outcome: str, reply: Any, about: str = "do"
    ) -> dict[str, Any]:
        if step.endswith(".notice"):
            raise Refused("JL-T016", "no such step")
        self.notices.append((number, step, outcome, reply))
        return {"number": number, "state": self.state, "late": False}

    async def found(self, system: str, order: str, fen: int, cls: str, text: str, account: str = "") -> None:
        self.suspense[order] = (fen, cls)

    async def cleared(self, system: str, order: str, fen: int, settlement: str, by: str) -> None:
        assert self.suspense.pop(order)[0] == fen


class WechatShop:
    """`asks("create", amount="36.50")` is what a settlement would ask; `sandbox` what WeChat knows."""

    def __init__(self, sandbox: WechatSandbox, options: WechatOptions, clock: Clock) -> None:
        self.sandbox, self.clock = sandbox, clock
        self.payments, self.settled = MemoryPayments(), Settled()
        self.channel = WechatChannel(options, Ground("wechat", now=clock))
        rules = Rules(returns="payment-return")
        self.party = PaymentParty(
            "wechat", self.channel, self.payments, lambda: clock.ms, settle=self.settled, rules=rules
        )
        self.door = WechatNotices(notice_options(sandbox), Ground("notices", now=clock))

    async def asks(
        self, operation: str, key: str = "S1/pay", direction: str = "do", **asked: Any
    ) -> dict[str, Any]:
        about = {"about": asked.pop("about")} if "about" in asked else {}
        headers = {"key": key, "direction": direction, "settlement": key.partition("/")[0], **about}
        receipt = await self.party.ask(operation, asked, headers)
        tree = Json().decode(receipt.answer)
        assert isinstance(tree, dict)
        return tree

    async def hears(self, at: int = 0) -> dict[str, Any]:
        """A notice that WeChat has for us, as the door understands it."""
        notice = self.sandbox.notices[at]
        headers = {name.lower(): value for name, value in self.sandbox.headers_of(notice).items()}
        read = await asyncio.to_thread(self.door.understood, headers, notice.body)
        assert read is not None
        return read

    async def noticed(self, at: int = 0) -> dict[str, Any]:
        receipt = await self.party.ask("noticed", await self.hears(at), {})
        tree = Json().decode(receipt.answer)
        assert isinstance(tree, dict)
        return tree


def account(sandbox: WechatSandbox) -> dict[str, Any]:
    return {
        "name": "wechat",
        "merchant": MERCHANT,
        "app": APP,
        "api_key": API_KEY,
        "wechat_keys": sandbox.keys,
        "crypto": sandbox.crypto,
    }


def wechat_options(sandbox: WechatSandbox, **more: Any) -> WechatOptions:
    known = {
        "url": sandbox.url if sandbox.port else "http://127.0.0.1:9",
        "serial": SERIAL,
        "private_key": merchant_keys(sandbox.crypto)[0],
        "notify": "http://127.0.0.1:9/notices/wechat",
        "timeout": "20s",
    }
    return WechatOptions.model_validate(account(sandbox) | known | more)


def notice_options(sandbox: WechatSandbox) -> WechatNoticeOptions:
    return WechatNoticeOptions.model_validate(account(sandbox) | {"path": "/notices/wechat"})


def simulator(clock: Clock, crypto: Any = "rsa", **more: Any) -> WechatSandbox:
    key = rsa("wechat") if crypto == "rsa" else None
    public = merchant_keys(crypto)[1]
    return WechatSandbox(MERCHANT, APP, public, API_KEY, crypto=crypto, now=clock.china, key=key, **more)


@asynccontextmanager
async def wechat_shop(crypto: str = "rsa", **more: Any) -> AsyncIterator[WechatShop]:
    clock = Clock()
    sandbox = simulator(clock, crypto)
    await sandbox.start()
    try:
        shop = WechatShop(sandbox, wechat_options(sandbox, **more), clock)
        yield shop
        await shop.channel.close_connections()
    finally:
        await sandbox.stop()


async def number(shop: WechatShop, key: str = "S1/pay") -> str:
    order: Any = await shop.payments.of_key("wechat", key)
    assert order is not None
    return str(order.number)
