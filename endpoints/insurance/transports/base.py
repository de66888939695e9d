"""What a transport is: address and headers for one request, from values alone. It does no I/O and has no clock.

    transport: {kind: x-tif, account: YY01, secret: secret://insurance-key}

A site's own is a class like those beside this file, with `@transport("our-province")` over it, in an installed package
with an entry point of the group `jingluo.plugins`: see README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, field_validator
from pydantic_core import CoreSchema, core_schema

from config.errors import Refused
from config.registry import Names, load_plugins

Made = TypeVar("Made", bound="type[Transport]")

# What stands behind the base address: the transaction's number, the path that its table gives, or nothing.
Address = Literal["infno", "path", "base"]


class Call(NamedTuple):
    """Where a request goes, and what it carries besides its body. The caller adds the content type."""

    url: str
    headers: Mapping[str, str]


class TransportOptions(BaseModel):
    """The YAML of a transport. Its class sets `kind: Literal["its-name"] = "its-name"`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    address: Address = Field(
        "infno",
        description="behind the url: the number (`infno`), the table's path (`path`), nothing (`base`)",
    )


class Transport(Protocol):
    Options: ClassVar[type[TransportOptions]]

    def __init__(self, options: Any, url: str) -> None:
        """`url` is the party's base address."""

    def request(self, infno: str, path: str, body: bytes, now_s: float, nonce: str) -> Call:
        """`infno` as it goes over the wire, `path` of its table ('' where there is none), `body` as it will be sent.

        `now_s` is Unix time in seconds; `nonce` 6 to 32 letters and digits, another for each request.
        Raises Refused (JL-N390) where the transaction has no address.
        """


transports = Names("insurance transport")


def transport(name: str) -> Callable[[Made], Made]:
    """Registers a class under the `kind` of its options."""
    return transports.register(name)


def address(url: str, way: Address, infno: str, path: str) -> str:
    """Raises Refused (JL-N390)."""
    base = url.rstrip("/")
    if way == "base":
        return url
    if way == "infno":
        return f"{base}/{quote(infno, safe='')}"
    if not path:
        raise Refused("JL-N390", f"{infno}: no table gives the path of this transaction 该交易没有接口路径")
    return f"{base}/{path.lstrip('/')}"


class Chosen:
    """The type of a transport's options in a model: `transport: Annotated[TransportOptions, Chosen()]`.

    `kind` says which; a site's own are known too, where their package registers them when it is loaded.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        load_plugins()
        choices = {name: handler.generate_schema(transports.get(name).Options) for name in transports.known()}
        return core_schema.tagged_union_schema(
            choices,
            "kind",
            custom_error_type="transport_kind",
            custom_error_message=f"kind must be one of {', '.join(choices)}",
        )


def opened(options: TransportOptions, url: str) -> Transport:
    """The transport of these options, to the party at `url`."""
    made: Transport = transports.get(options.kind)(options, url)
    return made


class Account(BaseModel):
    """Other transactions of the same party at another address or under another account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transactions: tuple[str, ...] = Field(min_length=1, description="numbers, or how they begin: `42*`")
    url: str = Field("", description="in place of the party's")

    @field_validator("transactions")
    @classmethod
    def _patterns(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in said if not one.removesuffix("*").isalnum()]:
            raise ValueError(f"{wrong[0]!r} is no number of a transaction; write 4201, or 42*")
        return said

    def has(self, infno: str) -> bool:
        return any(
            infno.startswith(one[:-1]) if one.endswith("*") else infno == one for one in self.transactions
        )
