"""A catalogue that was read becomes the one that readers see, in one transaction: all of it, or nothing.

Where there is none yet, or all of it was read again, the filled table takes the other's place; where much is new, with
the rows that it does not replace. Else the rows of the same rid are replaced. What is new, changed or ended is written
down first.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
)

from endpoints.insurance.catalogues import Layout, Load, Report, newest
from router.store.insurance_catalogue_tables import ROW, catalogue, change, coming, indexed, seen

_CHANGES_MS = 400 * 86_400_000  # what changed is kept for a good year
_FEW = 5  # where less than a fifth is new, rows are replaced one by one
_LOCK_WAIT = "30s"  # for readers of the table that goes


def publish(connection: Connection, layout: Layout, load: Load, at_ms: int) -> Report:
    old, new = seen(layout), coming(layout)
    before = connection.execute(select(catalogue).where(catalogue.c.kind == layout.kind)).one_or_none()
    there = before.rows if before is not None else 0
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{_LOCK_WAIT}'")
    indexed(connection, new, layout)
    _once(connection, new)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {new.name}")
    rows = connection.execute(select(func.count()).select_from(new)).scalar_one()
    found = (
        {"new": rows, "changed": 0, "ended": 0}
        if not there
        else _differences(connection, layout, load, at_ms)
    )
    if not there or load.full:
        _swap(connection, old, new)
    elif rows * _FEW > there:
        _carry(connection, old, new)
        _swap(connection, old, new)
    else:
        _merge(connection, old, new)
    now = connection.execute(select(func.count()).select_from(old)).scalar_one()
    ver = load.reached if load.full or before is None else newest(load.reached, before.ver)
    connection.execute(delete(catalogue).where(catalogue.c.kind == layout.kind))
    connection.execute(insert(catalogue).values(kind=layout.kind, ver=ver, rows=now, published_ms=at_ms))
    gone = found.pop("gone", 0)
    same = rows - sum(found.values())
    found["ended"] += gone
    return Report(layout.kind, ver, rows, **found, same=same, faults=load.faults, now=now)


def _once(connection: Connection, new: Table) -> None:
    """Of one rid the last row holds: pages overlap, and a file may say a thing again."""
    later = new.alias("later")
    connection.execute(delete(new).where(exists().where(later.c.rid == new.c.rid, later.c[ROW] > new.c[ROW])))


def _carry(connection: Connection, old: Table, new: Table) -> None:
    """What is not replaced, into the table that comes: much quicker than replacing row by row under two indexes."""
    last = connection.execute(select(func.coalesce(func.max(new.c[ROW]), 0))).scalar_one()
    first = connection.execute(select(func.coalesce(func.min(old.c[ROW]), 0))).scalar_one()
    kept = select(*(column - first + last + 1 if column.name == ROW else column for column in old.columns))
    again = exists().where(new.c.rid == old.c.rid)
    connection.execute(insert(new).from_select([column.name for column in old.columns], kept.where(~again)))


def _swap(connection: Connection, old: Table, new: Table) -> None:
    old.drop(connection, checkfirst=True)
    connection.exec_driver_sql(f"ALTER TABLE {new.name} RENAME TO {old.name}")


def _merge(connection: Connection, old: Table, new: Table) -> None:
    last = connection.execute(select(func.coalesce(func.max(old.c[ROW]), 0))).scalar_one()
    connection.execute(delete(old).where(old.c.rid.in_(select(new.c.rid))))
    names = [column.name for column in new.columns]
    moved = select(*(column + last + 1 if column.name == ROW else column for column in new.columns))
    connection.execute(insert(old).from_select(names, moved))
    new.drop(connection)


def _differences(connection: Connection, layout: Layout, load: Load, at_ms: int) -> dict[str, int]:
    """How many, and a row each in `nhsa_catalogue_change`. Rows that say the same are looked at once."""
    old, new = seen(layout), coming(layout)
    last = select(func.max(change.c.at_ms)).where(change.c.kind == layout.kind)
    at_ms = max(at_ms, (connection.execute(last).scalar() or 0) + 1)  # what is of this publishing alone
    known = exists().where(old.c[layout.code] == new.c[layout.code])
    alike = and_(*(old.c[one].is_not_distinct_from(new.c[one]) for one in (*layout.columns, "extra")))
    same = exists().where(old.c.rid == new.c.rid, alike)
    ended = and_(~_valid(new), exists().where(old.c[layout.code] == new.c[layout.code], _valid(old)))
    what = case((~known, literal("new")), (ended, literal("ended")), else_=literal("changed"))
    _note(connection, layout, new, what, ~same, at_ms)
    counted = select(change.c.what, func.count()).where(change.c.kind == layout.kind, change.c.at_ms == at_ms)
    found = {"new": 0, "changed": 0, "ended": 0}
    found |= {row[0]: row[1] for row in connection.execute(counted.group_by(change.c.what))}
    if load.full:
        gone = and_(_valid(old), ~exists().where(new.c[layout.code] == old.c[layout.code]))
        found["gone"] = _note(connection, layout, old, literal("ended"), gone, at_ms)
    over = change.c.at_ms < at_ms - _CHANGES_MS
    connection.execute(delete(change).where(change.c.kind == layout.kind, over))
    return found


def _valid(table: Table) -> ColumnElement[bool]:
    return func.coalesce(table.c.vali_flag, "") != "0"


def _note(connection: Connection, layout: Layout, table: Table, what: Any, where: Any, at_ms: int) -> int:
    empty = text("''")
    facts = select(
        literal(layout.kind),
        literal(at_ms),
        what,
        func.coalesce(table.c[layout.code], empty),
        func.coalesce(*(table.c[label] for label in layout.labels), empty),
    ).where(where)
    names = ["kind", "at_ms", "what", "code", "name"]
    kept = {"preserve_rowcount": True}
    return connection.execute(insert(change).from_select(names, facts), execution_options=kept).rowcount
