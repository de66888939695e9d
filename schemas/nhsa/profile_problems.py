"""What a profile names and the tables do not have: a rename that never happens is a misspelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from config.errors import Problem
from config.registry import nearest
from schemas.nhsa.catalogue import Unknown, code_list, names
from schemas.nhsa.model import Transaction
from schemas.nhsa.overlay import Profile
from schemas.nhsa.profile_text import ProfileText, RuleText
from schemas.nhsa.statement import FORMS

NO_NAME = "JL-N081"

At = tuple[str | int, ...]


def near(name: str) -> str:
    meant = nearest(name, names())
    return meant and f"did you mean {meant!r}?"


def misplaced(text: ProfileText, name: str, known: Sequence[str]) -> Iterator[Problem]:
    """`known` are the profiles that it may be based on."""
    if text.profile != name:
        yield Problem(("profile",), "JL-C014", f"the file is called {name}.yaml")
    if text.based_on not in known:
        meant = nearest(text.based_on, known)
        what = f"there is no profile {text.based_on!r}"
        yield Problem(("based_on",), "JL-C014", what, meant and f"did you mean {meant!r}?")
    if text.statement is not None and text.statement.like not in FORMS:
        yield Problem(("statement", "like"), "JL-C014", f"is none of {', '.join(FORMS)}")


def unknown_names(text: ProfileText, made: Profile) -> Iterator[Problem]:
    """`made` has the transactions, the profile's own among them."""
    for side in ("input", "output"):
        for kind in ("nodes", "fields"):
            for of, renamed in getattr(getattr(text, side), kind).items():
                yield from _unnamed(side, kind, of, renamed, made)
    for of, rules in text.rules.items():
        found = _found(made, of)
        if found is None:
            yield _no_transaction(("rules", of))
        else:
            yield from _rules(found, of, rules)
    for key in ("closed", "opened", "codes"):
        for n, name_of in enumerate(getattr(text, key)):
            yield from _unlisted((key, name_of if key == "codes" else n), name_of)
    for key in ("instead", "oinfno"):
        for of in getattr(text, key):
            if _found(made, of) is None:
                yield _no_transaction((key, of))


def _found(made: Profile, name: str) -> Transaction | None:
    try:
        return made.transaction(name)
    except Unknown:
        return None


def _no_transaction(at: At) -> Problem:
    return Problem(at, NO_NAME, f"there is no transaction {at[-1]!r}", near(str(at[-1])), on_key=True)


def _rules(found: Transaction, of: str, rules: Mapping[str, RuleText]) -> Iterator[Problem]:
    nodes = {node.name for node in found.input}
    for place, rule in rules.items():
        node = place.rpartition(".")[0]
        if node not in nodes:
            yield Problem(
                ("rules", of, place), NO_NAME, f"the input of {of} has no node {node!r}", on_key=True
            )
        if rule.codes:
            yield from _unlisted(("rules", of, place, "codes"), rule.codes)


def _unnamed(side: str, kind: str, of: str, renamed: Mapping[str, str], made: Profile) -> Iterator[Problem]:
    if of == "*":
        return
    found = _found(made, of)
    if found is None:
        yield _no_transaction((side, kind, of))
        return
    nodes = getattr(found, side)
    known = {n.name for n in nodes} if kind == "nodes" else {f.name for n in nodes for f in n.fields}
    for name in renamed:
        if name not in known:
            meant = nearest(name, known)
            what = f"the {side} of {of} has no {kind[:-1]} {name!r}"
            hint = meant and f"did you mean {meant!r}?"
            yield Problem((side, kind, of, name), NO_NAME, what, hint, on_key=True)


def _unlisted(at: At, name: str) -> Iterator[Problem]:
    try:
        code_list(name)
    except Unknown as error:
        yield Problem(at, NO_NAME, str(error))
