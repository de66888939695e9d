"""What is wrong with channels that speak FHIR: each alone, and those that share a base."""

from __future__ import annotations

from typing import Any

from channels.compile import Draft
from config.errors import Problem
from config.text import At

_READABLE = ("fhir", "json")
_ASKING = frozenset(("read", "vread", "history", "search"))
_BUNDLES = frozenset(("transaction", "batch"))


def alone(made: Draft) -> None:
    """Adds what the parts of one channel say of each other."""
    kind, options = made.source or ("", None)
    if kind == "fhir":
        _answered(made, options)
    for branch in made.channel.branches if made.channel is not None else ():
        if branch.kind == "fhir" and branch.format not in _READABLE:
            what = f"a FHIR server is sent fhir, and this is {branch.format}"
            hint = "`map:` one that makes fhir"
            made.problems.append(Problem(("to", branch.name, "send"), "JL-C039", what, hint))


def _answered(made: Draft, options: Any) -> None:
    """Who reads or searches waits for somebody's answer."""
    text = made.text
    asked = sorted(_ASKING & {name for names in options.accepts.values() for name in names})
    if asked and text is not None and text.reply in ("accepted", "none"):
        what = f"{asked[0]} is taken, and nobody's answer is the reply"
        hint = "`reply:` the name of the destination that knows"
        made.problems.append(
            Problem(("reply",) if _says(made, "reply") else ("from",), "JL-C058", what, hint)
        )


def claims(drafts: list[Draft]) -> None:
    """A finding for a channel that wants what an earlier one has. Transactions and batches come to one url."""
    taken: dict[tuple[str, str, str], Draft] = {}
    bases: dict[str, Draft] = {}
    for made in drafts:
        kind, options = made.source or ("", None)
        if kind != "fhir" or options is None:
            continue
        _apart(made, options.base, bases)
        at: At = ("from", "fhir", "accepts") if _says(made, "from", "fhir", "accepts") else ("from",)
        for name, interactions in options.accepts.items():
            for one in interactions:
                key = (options.base, name, "bundle" if one in _BUNDLES else one)
                owner = taken.setdefault(key, made)
                if owner is not made:
                    what = f"{one} of {name!r} at {options.base} is taken by {owner.document.file}"
                    place = (*at, name) if len(at) > 1 else at
                    made.problems.append(Problem(place, "JL-C024", what))
                    break


def _apart(made: Draft, base: str, bases: dict[str, Draft]) -> None:
    """One base does not lie in another: a resource type would be called like it."""
    for other, owner in bases.items():
        if base != other and (f"{base}/".startswith(f"{other}/") or f"{other}/".startswith(f"{base}/")):
            what = f"the base {base} and {other} of {owner.document.file} lie in one another"
            at: At = ("from", "fhir", "base") if _says(made, "from", "fhir", "base") else ("from",)
            made.problems.append(Problem(at, "JL-C024", what, "give each a path of its own"))
            return
    bases.setdefault(base, made)


def _says(made: Draft, *at: str) -> bool:
    node = made.document.data
    for key in at:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True
