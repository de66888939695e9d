"""Nothing, and code tables.

What to do where there is nothing, and what one party's code is for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.registry import function
from transforms.pipes import Missing, Unusable, prepares
from transforms.tables import Table


@function
def default(value: Any | None, *, text: str) -> Any:
    """The text, where there is nothing.

    >>> default(None, text="unknown")
    'unknown'
    """
    return text if value is None or value in ("", [], {}) else value


@function
def required(value: Any | None) -> Any:
    """Refuses the message (JL-M050, with the path) where there is nothing.

    >>> required("P0001")
    'P0001'
    """
    if value is None or value in ("", [], {}):
        raise Missing("a value is required here")
    return value


@function
def table(
    value: str, *, name: Table, default: str = "", error: bool = False, from_: str = "code", to: str = ""
) -> str | None:
    """What a code table says: `| table gender default unknown`. Its second column answers, or the one that `to`
    names: `| table gender to name`. With `from` it is asked by another column than the code, and the code answers
    if `to` names nothing else. What it does not hold gives the table's own default, or refuses the message
    (JL-M051) with `error`.

    >>> table("M", name=Table("gender", {"fhir": {"M": "male"}}))
    'male'
    >>> table("male", name=Table("gender", {"fhir": {"M": "male", "1": "male"}}), from_="fhir")
    'M'
    """
    return _table(name=name, default=default, error=error, from_=from_, to=to)(value)


@prepares(table)
def _table(
    *, name: Table, default: str = "", error: bool = False, from_: str = "code", to: str = ""
) -> Callable[[str], str | None]:
    answers = to or (name.answers if from_ == "code" else "code")
    said = name.between(from_, answers)
    otherwise = default or (name.default if answers == name.answers else None)
    if default or not (error or name.error):
        return said.get if otherwise is None else lambda value: said.get(value, otherwise)

    def strictly(value: str) -> str:
        if value not in said:
            raise Unusable(f"the table {name.name} does not hold this code")
        return said[value]

    return strictly


@function
def choose(value: Any, *, yes: str, no: str = "") -> str | None:
    """One text for what is true, another for what is false: `| boolean | choose Y N`. Nothing of what is
    neither.

    >>> choose(True, yes="Y", no="N"), choose(False, yes="Y", no="N"), choose("x", yes="Y", no="N")
    ('Y', 'N', None)
    """
    return {True: yes, False: no or None}.get(value) if isinstance(value, bool) else None
