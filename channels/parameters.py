"""Whether a map makes what its destination asks for: a parameter that no key gives would be NULL for ever."""

from __future__ import annotations

from typing import Any

from channels.model import BranchText
from config.errors import Problem
from config.models import did_you_mean
from config.registry import nearest
from config.text import At
from transforms.library import Library


def unmade(found: tuple[str, Any] | None, text: BranchText, library: Library, at: At) -> list[Problem]:
    """`found` is the destination's kind and its options, which have `parameters` where a message must give them.

    Nothing is said of a map whose keys only the message decides.
    """
    document = library.document(text.map) if text.map else None
    if found is None or document is None or "start" in document.data:
        return []
    wanted, keys = getattr(found[1], "parameters", None), _keys(document.data.get("make"))
    if not wanted or keys is None:
        return []
    at, kind, send = (*at, "send"), found[0], text.send
    own = send.get(kind, send)
    said = [key for key in ("statement", "call") if isinstance(own, dict) and key in own]
    place: At = (*at, kind, *said) if kind in send else (*at, *said)
    return [
        Problem(
            place,
            "JL-C153",
            f"no key of the map gives :{name}",
            did_you_mean(nearest(name, keys), sorted(keys)),
        )
        for name in sorted(wanted - keys)
    ]


def _keys(make: Any) -> set[str] | None:
    """The keys of the object, or of each object of the list, that a shape makes."""
    if isinstance(make, list):
        each = [_keys(one) for one in make]
        return set().union(*(keys for keys in each if keys)) if each and None not in each else None
    if not isinstance(make, dict):
        return None
    if "each" in make:
        return _keys(make.get("make"))
    if {"use", "first", "raw", "start", "join"} & make.keys():
        return None
    return {str(key) for key in make}
