"""What YAML says of a DICOM door, and of a receiver of images."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from config.tls import ClientTls, ServerTls
from config.units import Seconds, Size
from endpoints.base import Listed, Options, listed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Service = Literal["store", "mpps", "worklist"]
STORE = "var/worklist.db"


def _title(value: Any) -> Any:
    """PS3.5 table 6.2-1: up to 16 characters of ASCII, not all blank, no backslash."""
    if isinstance(value, str):
        plain = value.isascii() and value.isprintable() and "\\" not in value
        if not (plain and value.strip() and len(value) <= 16):
            raise ValueError(f"{value!r} is no AE title: 1 to 16 characters of ASCII without a backslash")
    return value


Title = Annotated[str, BeforeValidator(_title)]


class SourceOptions(Options):
    """`from: {dicom: {port: 11112, title: JINGLUO, callers: {CT1: 10.0.0.7}}}`."""

    port: int = Field(ge=0, le=65535)
    host: str = Field("0.0.0.0", description="the address to listen on")
    title: Title = Field("JINGLUO", description="our AE title; who calls another is turned away")
    accepts: Annotated[
        tuple[Service, ...],
        BeforeValidator(listed, json_schema_input_type=tuple[Service, ...] | Service),
    ] = Field(
        ("store",),
        description="`store`: images; `mpps`: performed steps; `worklist`: questions for steps to be done",
    )
    callers: dict[Title, Listed] = Field(
        {},
        description="AE titles that may call, each with its address, or a network; without it, this machine alone",
    )
    store: str = Field(STORE, description="with `worklist`: the file that `send: {worklist: ...}` keeps")
    charset: Literal["GB18030", "GBK", "ISO_IR 192"] = Field(
        "GB18030", description="of the worklist, where the caller names none, or one that lacks a letter"
    )
    answers: int = Field(500, ge=1, le=10_000, description="to one question for the worklist")
    max_size: Size = Field(512_000_000, description="of a data set; of a larger one nothing is kept")
    max_pdu: Size = Field(
        131_072, ge=4096, le=1_000_000, description="of a piece on the wire, as we announce it"
    )
    associations: int = Field(
        50, ge=1, description="at once; a further one is turned away, to come again later"
    )
    idle: Seconds = Field(60.0, gt=0, description="an association that is silent for so long is ended")
    pdu_within: Seconds = Field(30.0, gt=0, description="from the first byte of a piece to its last")
    reply_within: Seconds = Field(60.0, gt=0, description="how long a sender waits for the engine, at most")
    stop_within: Seconds = Field(10.0, description="how long a stop waits for the answers still owed")
    tls: ServerTls | None = Field(None, description="without it, what is sent can be read on the way")

    @model_validator(mode="after")
    def _are_addresses(self) -> SourceOptions:
        for title in self.callers:
            self.networks(title)
        return self

    def networks(self, title: str) -> tuple[Network, ...]:
        """Whence that caller may come. Raises ValueError."""
        return tuple(ipaddress.ip_network(text) for text in self.callers[title])


class DestinationOptions(Options):
    """`send: {dicom: {host: pacs, port: 104, title: PACS}}`."""

    host: str
    port: int = Field(104, ge=1, le=65535)
    title: Title = Field(description="the receiver's AE title")
    calling: Title = Field("JINGLUO", description="ours, as the receiver knows it")
    timeout: Seconds = Field(60.0, gt=0, description="for the answer to an image")
    connect_within: Seconds = Field(10.0, gt=0, description="for the connection, and for the association")
    tls: ClientTls | None = Field(
        None, description="whom we trust, and what we show; without it, nothing is secret"
    )
