"""A RabbitMQ virtual host of the engine tests' own: their queues have the product's names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pika
import pytest

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
        for name in ("jl.journal", "jl.adt.lis", "jl.adt.lis.0", "jl.adt.lis.1"):
            queues.queue_delete(name)
