"""What an exchange speaks of: by what it is found again, and what a probe or an undoing transaction needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# By what an exchange is found. psn_no and certno are kept blind by the records.
LINKS = (
    "psn_no",
    "certno",
    "mdtrt_id",
    "setl_id",
    "chrg_bchno",
    "ipt_otp_no",
    "file_qury_no",
    "rxno",
    "hi_rxno",
    "evt_sn",
    "trt_dcla_detl_sn",
    "omsgid",  # the message that a 2601 is about
)
_DEPTH = 6
_LOOKED_AT = 2_000  # objects of a tree


def objects(tree: Any, depth: int = _DEPTH) -> Iterator[Mapping[str, Any]]:
    """Every object of a tree, outer ones first; a list's in their order."""
    if isinstance(tree, list):
        for item in tree:
            yield from objects(item, depth)
    elif isinstance(tree, dict):
        yield tree
        if depth:
            for value in tree.values():
                if isinstance(value, dict | list):
                    yield from objects(value, depth - 1)


def flat(*trees: Any) -> dict[str, str]:
    """Every plain value by its name; where a name stands several times, the first of the first tree."""
    made: dict[str, str] = {}
    for tree in trees:
        for n, one in enumerate(objects(tree)):
            if n > _LOOKED_AT:
                break
            for name, value in one.items():
                if not isinstance(value, dict | list | bool) and value not in (None, ""):
                    made.setdefault(name, str(value))
    return made


def links(*trees: Any) -> dict[str, str]:
    """Of the first trees, where later ones say the same name otherwise."""
    made: dict[str, str] = {}
    document = ""
    for tree in trees:
        for n, one in enumerate(objects(tree)):
            if n > _LOOKED_AT:
                break
            for name in LINKS:
                value = one.get(name)
                if value not in (None, "") and name not in made and not isinstance(value, dict | list | bool):
                    made[name] = str(value)
            # Whose identity document serves as the certificate: 02 (身份证).
            if not document and one.get("mdtrt_cert_type") == "02":
                document = str(one.get("mdtrt_cert_no") or "")
    if document:
        made.setdefault("certno", document)
    return made


def holds(tree: Any, name: str) -> bool:
    """Whether any object of the tree says something under that name."""
    return any(one.get(name) not in (None, "") for one in objects(tree))
