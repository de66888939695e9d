"""An exchange with an insurance centre as a row, and back: sealed, and found by what is blind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row

from config.crypto import KEY_BYTES, KeyTrouble, Mac, Sealer, subkey
from endpoints.insurance.records import Exchange
from router.store.opened import CHANGED
from router.store.packing import pack, unpack
from router.store.rows import clean, clean_value

# Who the patient is: found by, and kept in the sealed request alone.
BLIND = frozenset(("psn_no", "certno", "mdtrt_cert_no"))


class _Facts(NamedTuple):
    links: dict[str, str]
    text: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Facts).decode


class Key:
    """The data key, opened."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(subkey(key, "insurance rows")[:KEY_BYTES])
        self._index = Mac(subkey(key, "insurance index"))

    def tag(self, name: str, value: str) -> int:
        """What stands in the index for it: 64 bits, that tell nothing to who has not the key."""
        told = f"{name}\0{clean_value(value)}".encode("utf-8", "surrogatepass")
        return int.from_bytes(self._index(told)[:8], "big", signed=True)

    def tags(self, links: Mapping[str, str]) -> set[int]:
        return {self.tag(name, value) for name, value in links.items() if value}

    def facts(self, msgid: str, links: Mapping[str, str], text: str = "") -> bytes:
        kept = {n: clean_value(v) for n, v in links.items() if v and n not in BLIND}
        return self._sealer.seal(_encode(_Facts(kept, clean(text))), _place("facts", msgid))

    def body(self, msgid: str, what: str, body: bytes) -> bytes:
        """`what` is request or answer."""
        return self._sealer.seal(pack(body), _place(what, msgid)) if body else b""

    def links_of(self, msgid: str, facts: bytes) -> dict[str, str]:
        """Raises KeyTrouble where the row was changed."""
        return _decode(self._sealer.open(facts, _place("facts", msgid))).links

    def opened(self, row: Row[Any], *, bodies: bool) -> Exchange:
        """What does not open any more was changed: then its words say so."""
        msgid = row.msgid
        request = answer = b""
        try:
            facts = _decode(self._sealer.open(row.facts, _place("facts", msgid)))
            if bodies:
                request = self._body(row.request, "request", msgid)
                answer = self._body(row.answer, "answer", msgid)
        except KeyTrouble:
            facts = _Facts({}, CHANGED)
        return Exchange(
            msgid=msgid,
            system=row.system,
            infno=row.infno,
            key=row.key,
            at_ms=row.at_ms,
            opter=row.opter,
            state=row.state,
            links=facts.links,
            infcode=row.infcode,
            text=facts.text,
            request=request,
            answer=answer,
            ended_ms=row.ended_ms,
            reversed_by=row.reversed_by,
        )

    def _body(self, sealed: bytes, what: str, msgid: str) -> bytes:
        return unpack(self._sealer.open(sealed, _place(what, msgid))) if sealed else b""


def _place(what: str, msgid: str) -> bytes:
    return f"insurance {what} {msgid}".encode()
