"""One statement or one call, run on an open connection: what it changed, and what came out. Blocks: for a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, outparam, text
from sqlalchemy.types import DateTime, Numeric, String

from endpoints.sql.procedure import Procedure
from endpoints.sql.statement import Statement
from endpoints.sql.values import plain

_TYPES = {"text": String, "number": Numeric, "date": DateTime}


class TooMuch(Exception):
    """An answer with more rows than are taken."""


@dataclass(frozen=True, slots=True)
class Done:
    """`count`: rows that were changed. `rows` and `out`: what the database answers."""

    count: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    out: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Done) -> Done:
        return Done(self.count + other.count, self.rows + other.rows, {**self.out, **other.out})

    def tree(self, charset: str) -> dict[str, Any]:
        """The answer: `{"count": 1, "rows": [{...}], "out": {...}}`, each where there is something."""
        made: dict[str, Any] = {"count": self.count} if self.count or not (self.rows or self.out) else {}
        if self.rows:
            made["rows"] = [plain(dict(row), charset) for row in self.rows]
        return made | ({"out": plain(dict(self.out), charset)} if self.out else {})


def run(
    connection: Connection,
    statement: Statement | None,
    call: Procedure | None,
    given: Mapping[str, Any],
    max_rows: int,
) -> Done:
    """Raises SQLAlchemyError and TooMuch; the transaction is the caller's."""
    if statement is not None:
        result = connection.execute(text(statement.text), given)
        if not result.returns_rows:
            return Done(max(result.rowcount, 0))
        return Done(0, _rows(result, max_rows))
    assert call is not None
    return _call(connection, call, given, max_rows)


def _call(connection: Connection, call: Procedure, given: Mapping[str, Any], max_rows: int) -> Done:
    kind = connection.dialect.name
    asked = text(call.sql(kind))
    if kind == "oracle":
        result = connection.execute(
            asked.bindparams(*[outparam(a.name, _TYPES[a.type]()) for a in call.outs]), given
        )
        return Done(out=dict(getattr(result, "out_parameters", None) or {}))
    result = connection.execute(asked, given)
    sets = _sets(result, max_rows)
    if kind == "postgresql":
        return Done(out=_named(call, sets))
    if kind == "mssql" and call.outs and sets:
        return Done(rows=sets[0] if len(sets) > 1 else (), out=dict(sets[-1][0]) if sets[-1] else {})
    rows = sets[0] if sets else ()
    told = call.ask(kind)
    return Done(rows=rows, out=dict(connection.execute(text(told)).mappings().one()) if told else {})


def _named(call: Procedure, sets: list[tuple[Mapping[str, Any], ...]]) -> Mapping[str, Any]:
    """PostgreSQL names what comes out as the procedure does; we, as the channel does."""
    if not sets or not sets[0] or not call.outs:
        return {}
    values = list(sets[0][0].values())[-len(call.outs) :]
    return dict(zip((a.name for a in call.outs), values, strict=False))


def _sets(result: Any, max_rows: int) -> list[tuple[Mapping[str, Any], ...]]:
    """All results of a call, each with its rows; they must be read before the connection says anything else."""
    if not result.returns_rows:
        cursor = result.cursor
        sets: list[tuple[Mapping[str, Any], ...]] = []
    else:
        cursor = result.cursor
        sets = [_read(cursor, max_rows)]
    more = getattr(cursor, "nextset", None)
    while more is not None and more():
        if cursor.description:
            sets.append(_read(cursor, max_rows))
    result.close()
    return sets


def _read(cursor: Any, max_rows: int) -> tuple[Mapping[str, Any], ...]:
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchmany(max_rows + 1)
    if len(rows) > max_rows:
        raise TooMuch(f"more than {max_rows} rows")
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


def _rows(result: Any, max_rows: int) -> tuple[Mapping[str, Any], ...]:
    rows = result.fetchmany(max_rows + 1)
    if len(rows) > max_rows:
        raise TooMuch(f"more than {max_rows} rows")
    return tuple(row._mapping for row in rows)
