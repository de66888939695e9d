"""The outer message around a transaction, held against its table: of a request that carries `input`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from schemas.nhsa.catalogue import envelope
from schemas.nhsa.check import Checker
from schemas.nhsa.model import Transaction, Undoing
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile import national
from schemas.validation.base import MISSING, Fault

# What the table prints too short: codes with a letter have five characters, and names of hospitals more than 20.
_LENGTHS = {"infno": 10, "fixmedins_name": 200}


def envelope_faults(tree: Any) -> list[Fault]:
    """Of a whole request; what is in its `input` is the transaction's own checker's."""
    faults = _checker(national()).request(tree)
    if isinstance(tree, dict) and not tree.get("insuplc_admdvs") and "psn_no" in _names(tree.get("input")):
        text = (
            "insuplc_admdvs 参保地医保区划: is required where the input names a psn_no 输入含人员编号时必填"
        )
        faults.append(Fault("/insuplc_admdvs", text, MISSING))
    return faults


@cache
def _checker(of: Profile) -> Checker:
    request, answer = envelope()
    fields = tuple(replace(one, length=_LENGTHS.get(one.name, one.length)) for one in request.fields)
    nodes = ((replace(request, fields=fields),), (answer,))
    words = ("报文", "envelope", "")
    return Checker(
        Transaction(
            "envelope", "", "institution", *words, "query", False, "", "sure", False, *nodes, Undoing()
        ),
        of,
    )


def _names(tree: Any, depth: int = 20) -> Iterator[str]:
    if isinstance(tree, dict) and depth:
        yield from tree
        for value in tree.values():
            yield from _names(value, depth - 1)
    elif isinstance(tree, list) and depth:
        for item in tree:
            yield from _names(item, depth - 1)
