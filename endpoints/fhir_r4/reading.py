"""As much of a resource as says where it goes and what came of it; the rest of its bytes nobody touches here."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from endpoints.fhir_r4.interactions import Asked, NotAsked, understood

T = TypeVar("T")


class EntryRequest(msgspec.Struct, rename="camel"):
    """`Bundle.entry.request`."""

    method: str = ""
    url: str = ""
    if_none_exist: str = ""
    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""

    @property
    def repeatable(self) -> bool:
        """Whether it comes to the same when it is done twice."""
        if self.method == "POST":
            return bool(self.if_none_exist)
        return self.method in ("GET", "HEAD", "PUT", "DELETE") and not self.if_match


class EntryResponse(msgspec.Struct):
    """`Bundle.entry.response`."""

    status: str = ""
    outcome: msgspec.Raw = msgspec.Raw()

    @property
    def code(self) -> int:
        """Of `201 Created` the number; 0 where there is none."""
        first = self.status.partition(" ")[0]
        return int(first) if first.isdecimal() and len(first) == 3 else 0


class Entry(msgspec.Struct):
    request: EntryRequest | None = None
    response: EntryResponse | None = None


class Identifier(msgspec.Struct):
    system: str = ""
    value: str = ""


class Head(msgspec.Struct, rename="camel"):
    """Of any resource. `type` is a code in a Bundle, and something else elsewhere."""

    resource_type: str
    id: str = ""
    type: msgspec.Raw = msgspec.Raw()
    entry: msgspec.Raw = msgspec.Raw()
    identifier: msgspec.Raw = msgspec.Raw()
    issue: msgspec.Raw = msgspec.Raw()

    @property
    def bundle(self) -> str:
        """The type of a Bundle, else ''."""
        return read(self.type, str, "") if self.resource_type == "Bundle" else ""

    @property
    def entries(self) -> list[Entry]:
        """Of a Bundle; those that cannot be read make it none."""
        return read(self.entry, list[Entry], []) if self.resource_type == "Bundle" else []

    @property
    def identifiers(self) -> list[Identifier]:
        one = read(self.identifier, Identifier, None)
        return [one] if one else read(self.identifier, list[Identifier], [])


_head = msgspec.json.Decoder(Head).decode


def head_of(body: bytes) -> Head | None:
    """None for what is no resource in JSON."""
    try:
        return _head(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def read(raw: msgspec.Raw, kind: Any, none: T) -> T:
    """The value as `kind`; `none` where it is something else, or is not there."""
    try:
        found: T = msgspec.json.decode(raw, type=kind)
        return found
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return none


def question(url: str, if_none_match: str = "", if_modified_since: str = "") -> bytes:
    """A read or a search as a message: a batch that holds it alone."""
    request = {"method": "GET", "url": url}
    request |= {"ifNoneMatch": if_none_match} if if_none_match else {}
    request |= {"ifModifiedSince": if_modified_since} if if_modified_since else {}
    return msgspec.json.encode({"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]})


def questioned(head: Head) -> tuple[Asked, EntryRequest] | None:
    """What a batch of one question asks; None for anything else."""
    entries = head.entries if head.bundle == "batch" else []
    request = entries[0].request if len(entries) == 1 else None
    if request is None or request.method != "GET":
        return None
    path, _, query = request.url.partition("?")
    try:
        return understood("GET", path, query), request
    except NotAsked:
        return None
