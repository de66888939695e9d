"""The insurance catalogues in the engine's database: filled beside what readers see, then published whole."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, func, insert, inspect, or_, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config.errors import Unreachable
from config.settings import Settings
from config.tls import Identity
from endpoints.insurance.catalogues import Change, Layout, Load, Report, State
from endpoints.insurance.lines import Value
from router.clock import now_ms
from router.store import insurance_catalogue_tables as tables
from router.store.database import StoreError
from router.store.insurance_catalogue_publish import publish
from router.store.insurance_catalogue_rows import add
from router.store.insurance_mapping import MappingStore

_SILENT_MS = 5 * 60_000  # an import that says nothing for so long is nobody's
_ASKED = 500  # codes in one question


class CatalogueStore:
    """`endpoints.insurance.catalogues.Catalogues`. Blocking; any number of threads."""

    def __init__(
        self,
        url: str,
        tls: Identity | None = None,
        now: Callable[[], int] = now_ms,
        folder: Path = Path(),
    ) -> None:
        """`folder`: where the files of an update lie."""
        self.folder = folder
        self._opened: Engine | None = None
        self._url, self._tls = url, tls
        self._opening = threading.Lock()
        self._now = now
        self.mappings = MappingStore(self._reading, self._writing)

    @property
    def _engine(self) -> Engine:
        """Raises Unreachable (JL-J002), where this process was given no database too."""
        with self._opening:
            try:
                self._opened = self._opened or tables.opened(self._url, self._tls)
            except StoreError as error:
                raise Unreachable(error.code, error.text) from None
            return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.dispose()

    def state(self, kind: str) -> State:
        with self._reading() as connection:
            if not inspect(connection).has_table(tables.load.name):
                return State(kind)
            c, goes = tables.catalogue.c, tables.load.c
            row = connection.execute(select(tables.catalogue).where(c.kind == kind)).one_or_none()
            load = connection.execute(select(goes.load).where(goes.kind == kind)).scalar()
        going = msgspec.json.decode(load, type=Load) if load is not None else None
        return State(kind, row.ver, row.rows, row.published_ms, going) if row else State(kind, load=going)

    def begin(self, layout: Layout, load: Load) -> Load:
        with self._writing() as connection:
            tables.make(connection, tables.seen(layout))
            goes = tables.load.c
            row = connection.execute(select(tables.load).where(goes.kind == layout.kind)).one_or_none()
            if row is not None:
                if row.owner != load.owner and not self._left(row.owner, row.beat_ms):
                    raise _taken(layout.kind)
                tables.make(connection, tables.coming(layout))
                load = msgspec.structs.replace(msgspec.json.decode(row.load, type=Load), owner=load.owner)
                self._keep(connection, load, row.owner)
                return load
            tables.coming(layout).drop(connection, checkfirst=True)
            tables.make(connection, tables.coming(layout))
            facts = {"kind": layout.kind, "owner": load.owner, "beat_ms": self._now(), "load": _bytes(load)}
            connection.execute(insert(tables.load).values(facts))
            if not inspect(connection).get_indexes(tables.seen(layout).name):
                tables.indexed(connection, tables.seen(layout), layout)
        return load

    def turn(self, layout: Layout, load: Load) -> Load:
        with self._writing() as connection:
            self._keep(connection, load, load.owner)
        return load

    def append(self, layout: Layout, load: Load, rows: Sequence[Sequence[Value]]) -> None:
        with self._writing() as connection:
            self._keep(connection, load, load.owner)
            add(connection, tables.coming(layout), load.rows - len(rows), rows)

    def leave(self, load: Load) -> None:
        with self._writing() as connection:
            goes = tables.load.c
            left = update(tables.load).where(goes.kind == load.kind, goes.owner == load.owner)
            connection.execute(left.values(beat_ms=0))

    def publish(self, layout: Layout, load: Load, now_ms: int) -> Report:
        with self._writing() as connection:
            self._keep(connection, load, load.owner)
            report = publish(connection, layout, load, now_ms)
            connection.execute(tables.load.delete().where(tables.load.c.kind == layout.kind))
        return report

    def abandon(self, layout: Layout, load: Load) -> None:
        with self._writing() as connection:
            self._keep(connection, load, load.owner)
            tables.coming(layout).drop(connection, checkfirst=True)
            connection.execute(tables.load.delete().where(tables.load.c.kind == layout.kind))

    def of_code(self, layout: Layout, code: str, limit: int = 1_000) -> Sequence[Mapping[str, Value]]:
        table = tables.seen(layout)
        asked = (
            select(table)
            .where(table.c[layout.code] == code)
            .order_by(table.c[tables.ROW].desc())
            .limit(limit)
        )
        return self._items(layout, asked)

    def search(self, layout: Layout, text: str, limit: int) -> Sequence[Mapping[str, Value]]:
        table = tables.seen(layout)
        told = [table.c[layout.code].startswith(text, autoescape=True)]
        told += [table.c[label].contains(text, autoescape=True) for label in layout.labels]
        if "pinyin" in layout.columns and text.isascii():
            told.append(func.upper(table.c.pinyin).startswith(text.upper(), autoescape=True))
        return self._items(layout, select(table).where(or_(*told)).limit(limit))

    def known(self, layout: Layout, codes: Sequence[str]) -> Mapping[str, bool]:
        table = tables.seen(layout)
        found: dict[str, bool] = {}
        with self._reading() as connection:
            if not inspect(connection).has_table(table.name):
                return found
            for at in range(0, len(codes), _ASKED):
                part = codes[at : at + _ASKED]
                asked = select(table.c[layout.code], table.c.vali_flag).where(table.c[layout.code].in_(part))
                for code, flag in connection.execute(asked):
                    found[code] = found.get(code, False) or flag != "0"
        return found

    def changes(self, layout: Layout, since_ms: int, limit: int) -> Iterator[Change]:
        c = tables.change.c
        asked = select(c.kind, c.what, c.code, c.name, c.at_ms).where(
            c.kind == layout.kind, c.at_ms >= since_ms
        )
        with self._reading() as connection:
            if not inspect(connection).has_table(tables.change.name):
                return
            for row in connection.execute(asked.order_by(c.at_ms.desc(), c.what, c.code).limit(limit)):
                yield Change(*row)

    def _items(self, layout: Layout, asked: object) -> Sequence[Mapping[str, Value]]:
        with self._reading() as connection:
            if not inspect(connection).has_table(tables.seen(layout).name):
                return []
            rows = connection.execute(asked).mappings().all()  # type: ignore[call-overload]
        return [{str(name): value for name, value in row.items() if name != tables.ROW} for row in rows]

    def _keep(self, connection: Connection, load: Load, owner: str) -> None:
        """Also holds off who took it for nobody's. Raises Unreachable where somebody did."""
        goes = tables.load.c
        said = update(tables.load).where(goes.kind == load.kind, goes.owner == owner)
        kept = connection.execute(said.values(owner=load.owner, beat_ms=self._now(), load=_bytes(load)))
        if kept.rowcount != 1:
            raise _taken(load.kind)

    def _left(self, owner: str, beat_ms: int) -> bool:
        machine, _, pid = owner.partition(":")
        if machine == socket.gethostname() and not _lives(int(pid.partition(":")[0])):
            return True
        return self._now() - beat_ms > _SILENT_MS

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        engine = self._engine
        try:
            with engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError, engine.dialect.loaded_dbapi.Error) as error:
            raise _down(error) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        engine = self._engine
        try:
            with engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except (SQLAlchemyError, OSError) as error:
            raise _down(error) from error


def open_catalogues(settings: Settings, now: Callable[[], int] = now_ms) -> CatalogueStore:
    """The site's. Touches nothing yet."""
    said = settings.insurance
    return CatalogueStore(said.database, said.database_tls, now, settings.var / "insurance")


def _bytes(load: Load) -> bytes:
    return msgspec.json.encode(load)


def _taken(kind: str) -> Unreachable:
    return Unreachable(
        "JL-N110", f"catalogue {kind}: another process is importing it 另一进程正在导入", after_s=60
    )


def _down(error: Exception) -> Unreachable:
    """Its first line names no row's values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return Unreachable("JL-J010", f"database: {type(cause).__name__}: {first[:200]}")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
