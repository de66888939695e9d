"""The frozen values that travel: a message in, a reply back, a receipt from a receiver.

msgspec's structs: made in a third of the time of a frozen dataclass, and there are several to a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, Protocol

from msgspec import Struct

LARGE = 1_000_000  # bytes: a longer body travels as a `Blob`, where the engine has a place for it
NOTHING: Mapping[str, str] = MappingProxyType({})


class Blob(Protocol):
    """A large body, kept outside its message: it is read in pieces and never held whole."""

    @property
    def name(self) -> str: ...  # 32 hex digits
    @property
    def size(self) -> int: ...  # bytes

    def pieces(self) -> Iterator[bytes]:
        """Its bytes in order, in pieces below 1 MB. Blocks: for a thread.

        Raises OSError (JL-L002, gone or out of reach) and JingluoError (JL-L003, changed); whatever came before
        is then not the whole body.
        """


class Once(Struct, frozen=True):
    """What a sender calls its request by, so that it is done once. `of` is another where it calls another one so.

    With `at_ms` (Unix time, milliseconds) the message's id follows from it and the key: taken again, it is the same.
    """

    key: bytes
    of: bytes = b""
    at_ms: int = 0


class Message(Struct, frozen=True):
    """Bytes with an envelope.

    A source fills `body`, `source` and `headers`; the router's intake fills the rest. `headers` are the
    protocol's own facts in lower case (`content-type`, `path`, `query.<name>`, `file`, ...). Where there is a
    `blob`, that is the body.
    """

    body: bytes
    source: str = ""  # who handed it over: "mllp 10.0.0.7:41022", "http 10.0.0.9", "file in/a.hl7"
    headers: Mapping[str, str] = NOTHING
    id: str = ""  # 32 hex digits (UUID version 7: sorts by time)
    channel: str = ""
    received_ms: int = 0  # Unix time, milliseconds
    format: str = ""  # hl7v2, json, xml, fhir
    charset: str = ""  # what the body is written in, where its format does not say
    parent: str = ""  # the message this one was made from: replay, another channel
    attempt: int = 1  # which try of this delivery, from 1
    redelivered: bool = False  # the receiver may have seen it already
    fault: str = ""  # why its source could not take it whole: it is refused, and filed with what there is
    fault_code: str = ""
    blob: Blob | None = None
    once: Once | None = None


class Reply(Struct, frozen=True):
    """What the engine tells a sender; each source writes it in its protocol's own words.

    `body` is a destination's answer, also where it said no.

    accepted  durable in every queue (AA, 202)        answered  a destination's answer, in `body`
    refused   the message is at fault (AR or AE, 400) failed    we are at fault, nothing was kept (AE, 503)
    pending   durable, but no answer in time: do not send it again (AA with text, 202)
    """

    state: Literal["accepted", "answered", "refused", "failed", "pending"]
    id: str = ""
    code: str = ""  # stable error code, for refused and failed
    text: str = ""
    path: str = ""  # where in the message
    faults: tuple[tuple[str, str, str], ...] = ()  # all that validation found, each with path, text and code
    body: bytes = b""
    format: str = ""
    headers: Mapping[str, str] = NOTHING
    retry_after_s: int = 0  # for failed: when to come back
    silent: bool = False  # the channel answers nothing (`reply: none`) unless the message was not accepted
    of: bytes = b""  # of a reply that is remembered: `Once.of` of what it answers
    again: bool = False  # it was given before: this is a resend's


class Receipt(Struct, frozen=True):
    """A receiver's yes: `code` in its own words ("AA", "201"), `answer` its bytes if it sent any."""

    code: str
    answer: bytes = b""
    format: str = ""
    headers: Mapping[str, str] = NOTHING
