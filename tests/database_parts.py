"""Databases of each kind for one test: an empty place of its own, and somebody else who works in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

_SCHEMES = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "sqlite": "sqlite"}


@dataclass
class Server:
    """`url` as a channel writes it; `run` is the other side's own client."""

    kind: str
    url: str
    engine: Engine

    def run(self, sql: str, **given: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            result = connection.execute(text(sql), given)
            return [tuple(row) for row in result] if result.returns_rows else []


def client(url: str) -> Engine:
    parsed = make_url(url)
    return create_engine(parsed.set(drivername=_SCHEMES[parsed.drivername]), poolclass=NullPool)


def sqlite_file(folder: Path) -> Iterator[Server]:
    engine = create_engine(f"sqlite:///{folder}/his.db", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table made (one integer)")
    yield Server("sqlite", "sqlite:///his.db", engine)


def postgresql_schema(server: str) -> Iterator[Server]:
    name = f"his_{uuid.uuid4().hex[:12]}"
    admin = client(server)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"create schema {name}")
    url = f"{server}?options=-csearch_path%3D{name}"
    yield Server("postgresql", url, client(url))
    with admin.begin() as connection:
        connection.exec_driver_sql(f"drop schema {name} cascade")


def mariadb_database(server: str, charset: str = "utf8mb4") -> Iterator[Server]:
    name = f"his_{uuid.uuid4().hex[:12]}"
    admin = client(server)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"create database {name} character set {charset}")
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    yield Server("mysql", url, client(url))
    with admin.begin() as connection:
        connection.exec_driver_sql(f"drop database {name}")
