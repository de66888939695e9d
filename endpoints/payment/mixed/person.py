"""How WeChat is told who pays without hearing the identity number: a digest of it, sealed for WeChat. Pure.

MD5 is what this counterparty demands; it stands here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from config.errors import Refused

CARD_TYPES = (
    "ID_CARD",
    "HOUSEHOLD_REGISTRATION",
    "FOREIGNER_PASSPORT",
    "MAINLAND_TRAVEL_PERMIT_FOR_TW",
    "MAINLAND_TRAVEL_PERMIT_FOR_MO",
    "MAINLAND_TRAVEL_PERMIT_FOR_HK",
    "FOREIGN_PERMANENT_RESIDENT",
)


def digest(number: str) -> str:
    """
    >>> digest("44030019000101123x")  # the vector of WeChat's document
    '09eb26e839ff3a2e3980352ae45ef09e'
    """
    return hashlib.md5(number.strip().upper().encode(), usedforsecurity=False).hexdigest()


def person_of(asked: Any, seal: Callable[[str], str], who: str) -> dict[str, str]:
    """`{name, id, card_type}` as WeChat wants it. Raises Refused (JL-P301)."""
    given: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    name, number = str(given.get("name") or ""), str(given.get("id") or "")
    kind = str(given.get("card_type") or "ID_CARD")
    if not name or not number or len(name) > 60 or kind not in CARD_TYPES:
        raise Refused("JL-P301", f"`{who}` needs name, id and a known card_type 缺少{who}身份信息")
    return {"name": seal(name), "id_digest": seal(digest(number)), "card_type": kind}
