"""The engine's web server, for those who open doors on it and those who ask them; a journal, for its commands."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import typer
from caller_parts import House
from command_parts import Run, stored
from database_parts import Server, mariadb_database, postgresql_schema, sqlite_file
from endpoint_parts import Door, FakeEngine
from typer.testing import CliRunner
from webservice_parts import Service

from config import registry
from config.errors import JingluoError
from config.settings import LimitSettings, load_settings
from endpoints.base import Described, Ground
from endpoints.fhir_r4.source import FhirSource
from endpoints.rest.source import HttpSource
from endpoints.web import WebServer
from endpoints.webservice.source import SoapSource
from router import cli
from router.commands import messages
from router.store import Store, open_journal


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    server = WebServer("127.0.0.1", 0, LimitSettings(body="1MB", connections=5))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(web: WebServer) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{web.port}", trust_env=False, timeout=10
    ) as one:
        yield one


@pytest.fixture
async def door(web: WebServer) -> AsyncIterator[Door]:
    """Opens a channel's HTTP source on `web`; by default at /v1/ and the channel's name."""
    opened: list[HttpSource] = []

    async def open(
        engine: FakeEngine,
        results: Any = None,
        said: Described | None = None,
        *,
        channel: str = "patients",
        format: str = "json",
        **options: Any,
    ) -> HttpSource:
        made = registry.sources.get("http")
        ground = Ground(channel, format, web=web, results=results, described=said or Described())
        opened.append(made(made.Options(**{"path": f"/v1/{channel}", **options}), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


@pytest.fixture
async def service(web: WebServer) -> AsyncIterator[Service]:
    """Opens a channel's SOAP source on `web`; by default at /soap."""
    opened: list[SoapSource] = []

    async def open(
        engine: FakeEngine,
        channel: str = "his",
        format: str = "xml",
        spool: Any = None,
        site: Path | str = ".",
        **options: Any,
    ) -> SoapSource:
        ground = Ground(channel, format, web=web, base_dir=str(site), spool=spool)
        opened.append(SoapSource(SoapSource.Options(**options), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "channels").mkdir()
    monkeypatch.setattr(cli, "_site", tmp_path)
    for name in [name for name in os.environ if name.startswith("JINGLUO_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def store(site: Path) -> Iterator[Store]:
    opened = open_journal(load_settings(site, {}))
    for number in range(12):
        e, tries = stored(number, {7: "dead", 8: "sent"}.get(number, ""))
        opened.write([e], tries)
    yield opened
    opened.close()


@pytest.fixture
def app() -> typer.Typer:
    """The commands that `run` runs; a file of tests may have others."""
    return messages.app


@pytest.fixture
def run(store: Store, app: typer.Typer) -> Run:
    def call(*words: str, typed: str = "", of: typer.Typer = app) -> tuple[int, str]:
        result = CliRunner().invoke(of, list(words), input=typed)
        if isinstance(result.exception, JingluoError):  # what `jingluo` itself prints, and ends with 1
            return 1, f"{result.output}{result.exception}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return call


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A database of each kind, empty."""
    if request.param == "sqlite":
        yield from sqlite_file(tmp_path)
    elif request.param == "postgresql":
        yield from postgresql_schema(request.getfixturevalue("postgresql_url"))
    else:
        yield from mariadb_database(request.getfixturevalue("mariadb_url"))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A web server whose callers and clock the test says."""
    made = House(tmp_path)
    await made.start()
    yield made
    await made.stop()


FHIR_ALL = {"Patient": ["create", "update", "read", "vread", "history", "search"], "Bundle": ["transaction"]}


@pytest.fixture
async def fhir(web: WebServer) -> AsyncIterator[Callable[..., Awaitable[FhirSource]]]:
    """Opens a channel's FHIR source on `web`."""
    opened: list[FhirSource] = []

    async def open(
        engine: FakeEngine, accepts: Any = None, channel: str = "record", results: Any = None, **options: Any
    ) -> FhirSource:
        made = registry.sources.get("fhir")
        ground = Ground(channel, "fhir", web=web, results=results)
        opened.append(made(made.Options(accepts=accepts or FHIR_ALL, **options), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()
