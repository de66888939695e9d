"""What a profile names and the tables do not have: a rename that never happens is a misspelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from config.errors import Problem
from config.registry import nearest
from schemas.nhsa.catalogue import Unknown, code_list, names, transaction
from schemas.nhsa.profile_text import ProfileText
from schemas.nhsa.statement import FORMS

NO_NAME = "JL-N081"


def problems_in(text: ProfileText, name: str, known: Sequence[str]) -> Iterator[Problem]:
    """`known` are the profiles that it may be based on."""
    if text.profile != name:
        yield Problem(("profile",), "JL-C014", f"the file is called {name}.yaml")
    if text.based_on not in known:
        near = nearest(text.based_on, known)
        yield Problem(
            ("based_on",),
            "JL-C014",
            f"there is no profile {text.based_on!r}",
            near and f"did you mean {near!r}?",
        )
    if text.statement is not None and text.statement.like not in FORMS:
        yield Problem(("statement", "like"), "JL-C014", f"is none of {', '.join(FORMS)}")
    for side in ("input", "output"):
        for kind in ("nodes", "fields"):
            for of, renamed in getattr(getattr(text, side), kind).items():
                yield from _unnamed(side, kind, of, renamed)
    for of, rules in text.rules.items():
        if of not in names():
            yield Problem(("rules", of), NO_NAME, f"there is no transaction {of!r}", _near(of), on_key=True)
            continue
        nodes = {node.name: node for node in transaction(of).input}
        for place, rule in rules.items():
            node, _, _ = place.rpartition(".")
            if node not in nodes:
                yield Problem(
                    ("rules", of, place), NO_NAME, f"the input of {of} has no node {node!r}", on_key=True
                )
            if rule.codes:
                yield from _unlisted(("rules", of, place, "codes"), rule.codes)
    for key in ("closed", "opened", "codes"):
        for n, name_of in enumerate(getattr(text, key)):
            yield from _unlisted((key, name_of if key == "codes" else n), name_of)
    for key in ("instead", "oinfno"):
        for of in getattr(text, key):
            if of not in names():
                yield Problem((key, of), NO_NAME, f"there is no transaction {of!r}", _near(of), on_key=True)


def _unnamed(side: str, kind: str, of: str, renamed: Mapping[str, str]) -> Iterator[Problem]:
    if of != "*" and of not in names():
        yield Problem((side, kind, of), NO_NAME, f"there is no transaction {of!r}", _near(of), on_key=True)
        return
    if of == "*":
        return
    nodes = getattr(transaction(of), side)
    known = {n.name for n in nodes} if kind == "nodes" else {f.name for n in nodes for f in n.fields}
    for name in renamed:
        if name not in known:
            near = nearest(name, known)
            what = f"the {side} of {of} has no {kind[:-1]} {name!r}"
            yield Problem(
                (side, kind, of, name), NO_NAME, what, near and f"did you mean {near!r}?", on_key=True
            )


def _unlisted(at: tuple[str | int, ...], name: str) -> Iterator[Problem]:
    try:
        code_list(name)
    except Unknown as error:
        yield Problem(at, NO_NAME, str(error))


def _near(name: str) -> str:
    near = nearest(name, names())
    return near and f"did you mean {near!r}?"
