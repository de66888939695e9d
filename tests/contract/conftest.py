"""Brokers and databases of each kind for the contract suites, and a RabbitMQ virtual host of the engine tests' own:
their queues have the product's names.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pika
import psycopg
import pytest
from broker_parts import Site
from engine_parts import Sink
from journal_parts import KEYS
from process_parts import end_started

from router.alerts.book import ALERTS
from router.alerts.lookout import WATCH
from router.board import BOARD
from router.brokers.base import Broker
from router.brokers.embedded import EmbeddedBroker
from router.brokers.rabbitmq import RabbitBroker
from router.brokers.rabbitmq_topology import DELAYS_MS, delay_name
from router.envelope import ENGINES, JOURNAL, queues_of
from router.groups import GROUPS
from router.nonces import NONCES
from router.resends import SEEN
from router.store import Store, open_store
from router.suspects import TRIES
from router.turns import turn_queue

_NAME = f"jingluo-test-{os.getpid()}"
_NODES: tuple[dict[str, str], ...] = ({"RABBITMQ_NODENAME": "jingluo@localhost"}, {})


def _rabbitmqctl(*words: str) -> bool:
    """Whether the server that listens on the standard port, ours or the system's, did it."""
    for node in _NODES:
        command = ["rabbitmqctl", "--quiet", *words]
        try:
            done = subprocess.run(command, env={**os.environ, **node}, capture_output=True, timeout=60)
        except OSError:
            return False
        if done.returncode == 0:
            return True
    return False


@pytest.fixture(scope="session")
def _vhost(amqp_url: str) -> Iterator[str]:
    parts = urlsplit(amqp_url)
    if not _rabbitmqctl("add_vhost", _NAME):
        yield amqp_url  # no right to make one: the server's own
        return
    _rabbitmqctl("set_permissions", "-p", _NAME, parts.username or "guest", ".*", ".*", ".*")
    yield urlunsplit(parts._replace(path=f"/{_NAME}"))
    _rabbitmqctl("delete_vhost", _NAME)


@pytest.fixture
def amqp_vhost(_vhost: str) -> Iterator[str]:
    """The URL; the queues that a test leaves behind are deleted."""
    yield _vhost
    with pika.BlockingConnection(pika.URLParameters(_vhost)) as connection:
        queues = connection.channel()
        ways = [("adt", "lis"), ("adt", "emr"), ("adt", "batch"), ("orders", "lis"), ("other", "lis")]
        lanes = [queue for way in ways for lanes in range(5) for queue in queues_of(*way, lanes)]
        delayed = [delay_name("jl", step) for step in DELAYS_MS]  # else it comes to the next test's queue
        own = [spec.name for spec in (BOARD, TRIES, SEEN, NONCES, ALERTS, GROUPS)]
        turns = [turn_queue(name) for name in ("adt", WATCH)]
        for name in (JOURNAL, ENGINES, *own, *turns, *lanes, *delayed):
            queues.queue_delete(name)


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    make: Callable[[], Broker]
    if request.param == "embedded":
        make = lambda: EmbeddedBroker(tmp_path / "broker.db")  # noqa: E731
    else:
        url = request.getfixturevalue("amqp_url")
        make = lambda: RabbitBroker([url], prefix="test")  # noqa: E731
    site = Site(make)
    yield site
    await site.clean()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database: a file, or a schema of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    server = request.getfixturevalue("postgresql_url")
    schema = f"journal_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{server}?options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def store(journal_url: str) -> Iterator[Store]:
    opened = open_store(journal_url, KEYS)
    yield opened
    opened.close()


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest) -> str:
    """The setting `broker:` of an engine; a test runs on both."""
    return "embedded" if request.param == "embedded" else request.getfixturevalue("amqp_vhost")


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """A receiver that says AA."""
    made = await Sink().start()
    yield made
    await made.stop()


@pytest.fixture
async def other() -> AsyncIterator[Sink]:
    """Another one."""
    made = await Sink().start()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _no_engine_outlives_its_test() -> Iterator[None]:
    yield
    end_started()
