"""The destination: each message is one thing asked of an e-invoice platform."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from config.registry import nearest
from config.secrets import Secret
from config.units import Seconds, Size
from endpoints.asked import object_of
from endpoints.base import Ground, Listed, Options
from endpoints.hisparty.destination import told
from endpoints.invoice.party import OPERATIONS, InvoiceParty, Site
from endpoints.rest.sending import Answer, Sending, SendOptions
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()


class InvoiceOptions(SendOptions):
    """`einvoice: {kind: einvoice, url: ..., appid: ..., key: secret://..., place_code: ...}`."""

    operation_field: ClassVar[str] = "operation"

    url: str = Field(
        pattern=r"^https?://[^/\s]", description="up to the method: `http://host/medical-web/api/medical`"
    )
    appid: str = Field(min_length=1, description="应用帐号")
    key: Secret = Field(description="签名私钥, as `secret://name`")
    place_code: str = Field(min_length=1, description="开票点编码, where a message says none")
    payee: str = Field("", description="收费员, where a message names none")
    operator: str = Field("系统", description="票据编制人, 经办人, where a message names none")
    absent: Listed = Field(
        ("不存在", "未查询到", "未找到", "没有查询到"),
        description="codes, or words of the text, by which a query says that there is no such bill",
    )
    more: Listed = Field((), description="further fields of a bill that the platform knows")
    amounts: Literal["number", "text"] = Field("number", description="how money stands in JSON")
    verify: bool = Field(True, description="an answer's signature; `false` only where a platform has none")
    deposit_cancel: Literal["writeOffPayMentVoucher", "cancelPayMentVoucherBalance"] = Field(
        "writeOffPayMentVoucher", description="how a deposit's receipt is written off"
    )
    operation: str = Field("", description="what is asked; without it each message says `param.code`")
    timeout: Seconds = Field(20.0, description="of one exchange; issuing may need five")
    max_input: Size = Field(5_000_000, description="of a message's body")

    @field_validator("operation")
    @classmethod
    def _known(cls, name: str) -> str:
        if name and name not in OPERATIONS:
            meant = nearest(name, OPERATIONS)
            raise ValueError(
                f"there is no operation {name!r}" + (f"; did you mean {meant}?" if meant else "")
            )
        return name


class InvoiceDestination:
    """Asks, and answers JSON with `outcome`."""

    Options: ClassVar[type[Options]] = InvoiceOptions
    answers_in = "json"
    codes = frozenset(("OK", "REJECTED", "PROCESSING", "UNKNOWN", "ABSENT", "UNSENT"))

    def __init__(self, options: InvoiceOptions, ground: Ground) -> None:
        self.options = options
        self._way = Sending(options, ground)
        site = Site(
            options.url,
            options.appid,
            options.key,
            options.place_code,
            options.payee,
            options.operator,
            options.absent,
            options.more,
            options.amounts,
            options.verify,
            options.deposit_cancel,
        )
        self.party = InvoiceParty(site, self._post, ground.now, lambda: secrets.token_hex(16))

    async def start(self) -> None:
        await self._way.prepare()

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        name, body = self._asked(message)
        tree = await self.party.ask(name, body, message.headers)
        return told(tree, "JL-I005")

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """`answer` is what the party makes of it: a tree with `outcome`."""
        self._asked(message)
        outcome = code or "OK"
        return Receipt(outcome, answer or _JSON.encode({"outcome": outcome}), "json")

    def _asked(self, message: Message) -> tuple[str, dict[str, object]]:
        name = self.options.operation or message.headers.get("param.code", "")
        return name, object_of(message, self.options.max_input, "JL-I001", "what is asked of a platform")

    async def _post(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return await self._way.ask(method, url, headers, body)
