"""A province's own transactions, of which its profile says what the national tables cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from config.errors import Problem
from schemas.nhsa.catalogue import names
from schemas.nhsa.model import Node, Transaction, Undoing
from schemas.nhsa.overlay import Profile, Side
from schemas.nhsa.profile_problems import NO_NAME, near
from schemas.nhsa.profile_text import OwnText, ProfileText, RuleText

_NUMBER = re.compile(r"[0-9][0-9A-Za-z]{1,9}")  # what the envelope has room for
_HARMLESS = ("query", "preview", "file")


def problems_of_own(text: ProfileText, under: Mapping[str, Transaction]) -> Iterator[Problem]:
    """`under` are the own ones of the profile that it is laid over."""
    known = {*names(), *under, *text.transactions}
    for name, one in text.transactions.items():
        at = ("transactions", name)
        if not _NUMBER.fullmatch(name):
            yield Problem(at, "JL-C014", "is no number of a transaction: 2206A", on_key=True)
        if one.like and one.like not in {*names(), *under}:
            yield Problem((*at, "like"), NO_NAME, f"there is no transaction {one.like!r}", near(one.like))
        for key, others in (("probes", one.probes or ()), ("undo", (one.undo,) if one.undo else ())):
            for other in others:
                if other not in known:
                    yield Problem((*at, key), NO_NAME, f"there is no transaction {other!r}", near(other))


def with_own(text: ProfileText, under: Profile) -> Profile:
    """One that is like another also has that one's names."""
    made = {name: _own(name, one, text, under) for name, one in text.transactions.items()}
    like = {name: one.like for name, one in text.transactions.items()}
    return replace(
        under,
        own={**under.own, **made},
        nodes={**under.nodes, **_renamed(under.nodes, like)},
        fields={**under.fields, **_renamed(under.fields, like)},
    )


def _renamed(names: Mapping[tuple[Side, str, str], str], like: Mapping[str, str]) -> dict[Any, str]:
    return {
        (side, mine, ours): theirs
        for mine, base in like.items()
        for (side, of, ours), theirs in names.items()
        if of == base
    }


def _own(name: str, one: OwnText, text: ProfileText, under: Profile) -> Transaction:
    base = under.applied(under.transaction(one.like)) if one.like else _blank(name, one)
    said: dict[str, Any] = {
        key: value
        for key in ("name_en", "nature", "inbound", "path", "open")
        if (value := getattr(one, key)) is not None
    }
    if one.input is not None:
        said["input"] = tuple(_node(node, text.rules.get(name, {})) for node in one.input)
    undoing = base.undoing
    if one.repeatable is not None or one.nature is not None:
        harmless = said.get("nature", base.nature) in _HARMLESS
        undoing = replace(undoing, repeatable=harmless if one.repeatable is None else one.repeatable)
    if one.probes is not None:
        undoing = replace(undoing, probes=one.probes)
    if one.undo is not None:
        undoing = replace(undoing, undo=one.undo)
    reverses = bool(base.undoing.reverse) if one.reverse is None else one.reverse
    undoing = replace(undoing, reverse=name if reverses else "")
    about: dict[str, Any] = {
        "version": text.title or text.profile,
        "sure": text.sure,
        "sources": {},
        "notes": (),
    }
    return replace(base, name=name, code=name, name_zh=one.name_zh, undoing=undoing, **about, **said)


def _node(said: str, rules: Mapping[str, RuleText]) -> Node:
    name = said.removesuffix("[]")
    required = any(rule.required for place, rule in rules.items() if place.rpartition(".")[0] == name)
    return Node(name, said.endswith("[]"), (), required)


def _blank(name: str, one: OwnText) -> Transaction:
    return Transaction(
        name=name,
        code=name,
        centre="institution",
        name_zh=one.name_zh,
        name_en="",
        group="省内交易",
        nature=one.nature or "upload",
        inbound=False,
        path="",
        sure="partial",
        open=True,
        input=(),
        output=(),
        undoing=Undoing(),
    )
