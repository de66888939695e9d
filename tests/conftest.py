"""The servers that tests talk to: what `deploy/services.sh start` found or started."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog
from hypothesis import settings
from missing import missing

# The same examples each time, and no limit of time for one: a loaded machine is no fault.
settings.load_profile("ci")

SERVICES = Path(__file__).resolve().parent.parent / ".services" / "env"


def _setting(name: str) -> str | None:
    if os.environ.get(name):
        return os.environ[name]
    if SERVICES.exists():
        for line in SERVICES.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == name:
                return value
    return None


def _server(name: str, variable: str, port: int) -> str:
    """The server's URL, once something listens there."""
    url = _setting(variable)
    if url is None:
        reason = f"no {name}: run `deploy/services.sh start`, or set {variable}"
    else:
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "127.0.0.1", parts.port or port), timeout=3).close()
            return url
        except OSError as error:
            reason = f"{name} does not answer ({error}): run `deploy/services.sh start`"
    missing(reason)


@pytest.fixture(scope="session")
def amqp_url() -> str:
    return _server("RabbitMQ", "JINGLUO_TEST_AMQP", 5672)


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """A database where the test's role may make schemas and databases; each test makes its own."""
    return _server("PostgreSQL", "JINGLUO_TEST_POSTGRESQL", 5432)


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """A server where the test's user may make databases; each test makes its own."""
    return _server("MariaDB", "JINGLUO_TEST_MARIADB", 3307)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A test that sets the log up, as the commands do, sets up nobody else's."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _own_site() -> Iterator[None]:
    """A command that a test runs with `--site` leaves that site to no other test."""
    cli = sys.modules.get("router.cli")
    before = getattr(cli, "_site", None)
    yield
    if (cli := sys.modules.get("router.cli")) is not None:
        cli._site = before  # type: ignore[attr-defined]
