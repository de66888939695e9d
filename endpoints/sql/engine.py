"""A database's engine: its driver, its time limits, and a connection that does not wait for ever for who went away.

Blocks: for threads. Errors come as SQLAlchemy's; `fault.py` says what they mean.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import QueuePool

from config.tls import ClientTls, client_context, libpq_options
from endpoints.sql.options import DRIVERS, Database

_RECYCLE_S = 1800  # connections are renewed before a firewall forgets them
_SQLITE_STEPS = 1000  # of its machine, between two looks at the clock


def open_engine(options: Database, base_dir: str, size: int) -> Engine:
    """At most `size` connections, made when they are needed. Raises OSError where a file of TLS cannot be used."""
    kind, _, rest = options.url.partition("://")
    url = make_url(f"{DRIVERS[kind][0]}://{rest}")
    if kind == "sqlite":
        path = Path(base_dir, str(url.database)).resolve()
        url = url.set(
            database=f"file:{path}", query={"mode": "rw", "uri": "true"}
        )  # a file that is not there stays so
    arguments = {k: v for k, v in _ARGUMENTS[url.get_backend_name()](options).items() if k not in url.query}
    arguments |= _tls(options, base_dir)
    engine = create_engine(
        url,
        connect_args=arguments,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=options.timeout + options.connect_within,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_S,
        hide_parameters=True,  # no value of a row in an error
    )
    greet = _GREETINGS.get(url.get_backend_name())
    if greet is not None:
        event.listen(engine, "connect", lambda connection, record: greet(connection, options))
    if kind == "sqlite":
        event.listen(engine, "checkout", lambda connection, *_: _sqlite_time(connection, options.timeout))
    return engine


def read_only(connection: Connection) -> Connection:
    """A connection whose next transaction changes nothing, where the database can promise that."""
    name = connection.dialect.name
    if name == "postgresql":
        return connection.execution_options(postgresql_readonly=True)
    if name in ("mysql", "mariadb", "oracle"):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    return connection


def at_most(connection: Connection, rows: int) -> Connection:
    """A connection whose next query brings so many rows, and leaves the others where they are."""
    if connection.dialect.name in ("mysql", "mariadb"):  # its driver reads a result to its end
        connection.exec_driver_sql(f"SET SESSION sql_select_limit = {rows}")
        return connection
    return connection.execution_options(stream_results=True, max_row_buffer=rows)


# Of each driver: what is said when it connects


def _postgresql(options: Database) -> dict[str, Any]:
    return {
        "application_name": "jingluo",
        "connect_timeout": max(2, round(options.connect_within)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(1000 * (options.timeout + 5)),
        # A database that does not say what its texts are gives them byte by byte.
        "client_encoding": "latin1" if options.charset else "utf8",
    }


def _mysql(options: Database) -> dict[str, Any]:
    wait_s = round(options.timeout) + 5  # the database's own limit comes first
    return {
        "connect_timeout": max(1, round(options.connect_within)),
        "read_timeout": wait_s,
        "write_timeout": wait_s,
        "charset": "utf8mb4",
    }


def _sqlite(options: Database) -> dict[str, Any]:
    return {"timeout": options.timeout, "check_same_thread": False}


def _oracle(options: Database) -> dict[str, Any]:
    return {"tcp_connect_timeout": options.connect_within}


def _sqlserver(options: Database) -> dict[str, Any]:
    return {
        "login_timeout": max(1, round(options.connect_within)),
        "timeout": max(1, round(options.timeout)),
        "charset": "UTF-8",
        "appname": "jingluo",
    }


_ARGUMENTS = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mariadb": _mysql,
    "sqlite": _sqlite,
    "oracle": _oracle,
    "mssql": _sqlserver,
}


def _tls(options: Database, base_dir: str) -> dict[str, Any]:
    if options.tls == ClientTls():
        return {}
    tls = options.tls.within(Path(base_dir))
    return libpq_options(tls) if options.kind == "postgresql" else {"ssl": client_context(tls, base_dir)}


# What is said on a new connection


def _postgresql_greets(connection: Any, options: Database) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {int(options.timeout * 1000)}")
    connection.commit()


def _mysql_greets(connection: Any, options: Database) -> None:
    mariadb = "mariadb" in connection.get_server_info().lower()
    limit = (
        f"max_statement_time = {options.timeout:g}"
        if mariadb
        else f"max_execution_time = {options.timeout * 1000:.0f}"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {limit}, innodb_lock_wait_timeout = {max(1, round(options.timeout))}")
        # A value that is too long is an error, not a shorter value.
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
    connection.commit()


def _oracle_greets(connection: Any, options: Database) -> None:
    connection.call_timeout = int(options.timeout * 1000)


def _sqlite_time(connection: Any, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: time.monotonic() > until, _SQLITE_STEPS)


_GREETINGS = {
    "postgresql": _postgresql_greets,
    "mysql": _mysql_greets,
    "mariadb": _mysql_greets,
    "oracle": _oracle_greets,
}
