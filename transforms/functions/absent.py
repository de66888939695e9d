"""Nothing, and code tables.

What to do where there is nothing, and what one party's code is for the other.
"""

from __future__ import annotations

import functools
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
    value: str, *, name: Table, default: str = "", error: bool = False, column: str = "value"
) -> str | None:
    """What a code table says: `| table gender default unknown`. A code that it does not hold gives the
    table's own default, or refuses the message (JL-M051) with `error`. `column=display` reads another
    column.

    >>> table("M", name=Table("gender", {"value": {"M": "male"}}))
    'male'
    """
    found = name.columns.get(column, {}).get(value)
    if found is not None:
        return found
    if default:
        return default
    if error or name.error:
        raise Unusable(f"the table {name.name} does not hold this code")
    return name.default if column == "value" else None


@prepares(table)
def _table(
    *, name: Table, default: str = "", error: bool = False, column: str = "value"
) -> Callable[[str], str | None]:
    rows = name.columns.get(column, {})
    if error or name.error:
        return functools.partial(table, name=name, default=default, error=error, column=column)
    otherwise = default or (name.default if column == "value" else None)
    if otherwise is None:
        return rows.get
    return lambda value: rows.get(value, otherwise)


@function
def table_code(value: str, *, name: Table, error: bool = False, column: str = "value") -> str | None:
    """The other way round: the first code of a code table that says this. Nothing where none does, or the
    message is refused (JL-M051) with `error`.

    >>> table_code("male", name=Table("gender", {"value": {"M": "male", "1": "male"}}))
    'M'
    """
    return _table_code(name=name, error=error, column=column)(value)


@prepares(table_code)
def _table_code(*, name: Table, error: bool = False, column: str = "value") -> Callable[[str], str | None]:
    codes: dict[str, str] = {}
    for code, said in name.columns.get(column, {}).items():
        codes.setdefault(said, code)
    if not error:
        return codes.get

    def code_of(value: str) -> str:
        if value not in codes:
            raise Unusable(f"the table {name.name} has no code for this")
        return codes[value]

    return code_of


@function
def choose(value: Any, *, yes: str, no: str = "") -> str | None:
    """One text for what is true, another for what is false: `| boolean | choose Y N`. Nothing of what is
    neither.

    >>> choose(True, yes="Y", no="N"), choose(False, yes="Y", no="N"), choose("x", yes="Y", no="N")
    ('Y', 'N', None)
    """
    return {True: yes, False: no or None}.get(value) if isinstance(value, bool) else None
