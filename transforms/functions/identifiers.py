"""Identifiers. They are always the same for the same thing."""

from __future__ import annotations

import functools
import hashlib
import re
import uuid as _uuid
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from config.registry import function
from transforms.pipes import Whole, prepares, remembering, text_of

# Names of this engine's stable identifiers. Changing it would change every resource's id: never do.
_NAMESPACE = _uuid.UUID("6f0c7f3e-52a4-5d0e-9d56-3c1f5a0b7e21")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GROUPS = itemgetter(slice(8), slice(8, 12), slice(13, 16), 16, slice(17, 20), slice(20, 32))
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")


@functools.lru_cache(maxsize=256)
def _space(name: str) -> Any:
    """A hash that has eaten the name space of one kind: to copy it is quicker than to begin another."""
    return hashlib.sha1(_uuid.uuid5(_NAMESPACE, name).bytes, usedforsecurity=False)


@function
def uuid(value: str, *, of: str = "") -> str:
    """A UUID that is always the same for the same text: `| uuid patient`. The word keeps kinds of things
    apart. Of several fields: `let: {key: {join: {of: [$PID-3.4, $PID-3.1], with: "|"}}}`, then `$key`.

    >>> uuid("P0001", of="patient")
    '024e3084-c236-5be2-a358-046e40ebf6ac'
    """
    return _prepared_uuid(of=of)(value)


@prepares(uuid)
@functools.lru_cache(maxsize=256)
def _prepared_uuid(*, of: str = "") -> Callable[[str], str]:
    begin = _space(of).copy

    def uuid_of(value: str) -> str:
        """RFC 9562 version 5: the bits of version and variant stand over two hex digits of the SHA-1."""
        hash = begin()
        hash.update(value.encode())
        a, b, c, variant, d, e = _GROUPS(hash.hexdigest())
        return f"{a}-{b}-5{c}-{_VARIANT[variant]}{d}-{e}"

    return remembering(uuid_of)


@function
def apart(values: list[Any], *, message: Whole) -> str | None:
    """A name that no other thing of the message has, of a list of two, the name and the number of the item that it is
    for: `let: {both: [$-3.1, $#]}`, then `$both | apart`. The first item of a name has it as it is; the second gets
    ` #2` behind it. Where the same item is asked for again, it is called the same.

    >>> apart(["K", 1], message=Whole(None))
    'K'
    """
    if not values:
        return None
    key = name, _ = text_of(values[0]), text_of(values[-1])
    made, count = message.memo.get(apart) or message.memo.setdefault(apart, ({}, {}))
    if key not in made:
        nth = count[name] = count.get(name, 0) + 1
        made[key] = name if nth == 1 else f"{name} #{nth}"
    said: str = made[key]
    return said


@function
def urn(value: str) -> str | None:
    """A UUID or an OID as a URI; what is one already stays; nothing of anything else.

    >>> urn("2.16.156.10011.2.3.3.4"), urn("http://a.cn/id"), urn("HIS")
    ('urn:oid:2.16.156.10011.2.3.3.4', 'http://a.cn/id', None)
    """
    if len(value) == 36 and _UUID.fullmatch(value):
        return "urn:uuid:" + value.lower()
    if value[1:2] == "." and _OID.fullmatch(value):
        return "urn:oid:" + value
    return value if value.startswith(("urn:", "http://", "https://")) else None


_urn = remembering(urn)


@prepares(urn)
def _prepared_urn() -> Callable[[str], str | None]:
    return _urn


@function
def unurn(value: str) -> str:
    """The UUID or OID in a URI, as CDA and HL7 v2 write it; anything else stays.

    >>> unurn("urn:oid:2.16.156.10011.2.3.3.4"), unurn("http://a.cn/id")
    ('2.16.156.10011.2.3.3.4', 'http://a.cn/id')
    """
    return value.removeprefix("urn:oid:").removeprefix("urn:uuid:")
