"""The destination of every payment channel: a message is one operation of a `PaymentParty`. A kind says its protocol.

@registry.destination("wechat_pay")
class WechatPay(PaymentDestination):
    Options = WechatOptions

    def channel_of(self) -> PaymentChannel:
        return WechatChannel(self.options, self.ground)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from config.errors import Unreachable
from endpoints.base import Ground, Options
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.options import PaymentOptions
from endpoints.payment.party import PaymentParty, Rules
from endpoints.payment.reconciled import reconciled
from endpoints.payment.told import body_of
from endpoints.stating import day_before
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
OUTCOMES = ("OK", "REJECTED", "PROCESSING", "UNKNOWN", "ABSENT")


class PaymentDestination(ABC):
    Options: ClassVar[type[Options]] = PaymentOptions
    Party: ClassVar[type[PaymentParty]] = PaymentParty  # a kind with more operations has its own
    statement: ClassVar[str] = ""  # the form of its statements: schemas/statements/forms.py
    answers_in = "json"
    codes = frozenset(OUTCOMES)

    def __init__(self, options: Any, ground: Ground) -> None:
        """`options` are of the kind's own `Options`."""
        self.options = options
        self.ground = ground
        self.channel = self.channel_of()

    @abstractmethod
    def channel_of(self) -> PaymentChannel:
        """The channel's protocol. Opens nothing yet."""

    async def start(self) -> None:  # noqa: B027
        """What a kind prepares before its first message: here nothing."""

    async def stop(self) -> None:
        await self.channel.close_connections()

    async def send(self, message: Message) -> Receipt:
        operation = self.options.operation or message.headers.get("param.code", "")
        asked = body_of(message, self.options.max_input)
        operation = operation or str(asked.get("operation", ""))
        if operation == "reconcile":
            ground, form = self.ground, str(self.options.statement or self.statement)
            day = str(asked.get("day") or "") or day_before(ground.now())
            return await reconciled(
                self.channel,
                ground.statements,
                self.system,
                form,
                self.merchants(),
                tuple(self.options.accounts),
                self.options.returns,
                day,
            )
        return await self.party().ask(operation, asked, message.headers)

    def merchants(self) -> tuple[str, ...]:
        """Whose statements may come: none said, none refused."""
        return ()

    def party(self) -> PaymentParty:
        """Raises Unreachable (JL-P022) where this process has no records of payments."""
        options, ground = self.options, self.ground
        if ground.payments is None:
            raise Unreachable("JL-P022", "this process was given no database for the payments")
        rules = Rules(
            options.waits, options.returns, options.sweep_after, options.open_for, options.sweep_at_once
        )
        return self.Party(
            self.system, self.channel, ground.payments, self._now_ms, settle=ground.settle, rules=rules
        )

    @property
    def system(self) -> str:
        """What its orders are kept under."""
        return str(self.options.name) or self.ground.name

    def _now_ms(self) -> int:
        return int(self.ground.now() * 1000)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """What a test says that was answered: an outcome, or a tree that has one."""
        if answer:
            tree = _JSON.decode(answer)
            said = str(tree.get("outcome", "")) if isinstance(tree, dict) else ""
            return Receipt(code or said or "OK", answer, "json")
        return Receipt(code or "OK", _JSON.encode({"outcome": code or "OK"}), "json")
