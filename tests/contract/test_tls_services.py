"""AMQP and PostgreSQL by TLS, against a RabbitMQ node and a PostgreSQL cluster of the test's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority import Authority, Pair
from engine_parts import Sink, adt, channel, code_of, port, running, send, settled, write_site
from inbox import Inbox
from own_nodes import Node, Postgres
from sqlalchemy.exc import OperationalError

from config.tls import ClientTls, Identity, client_context
from router.brokers.base import QueueSpec
from router.brokers.rabbitmq import RabbitBroker
from router.brokers.rabbitmq_link import Link, LinkLost
from router.search import Query
from router.store.database import Database

WAIT_S = 60
NODE = """
listeners.ssl.own = 127.0.0.1:{port}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""
CLUSTER = "ssl = on\nssl_cert_file = 'db.crt'\nssl_key_file = 'db.key'\nssl_ca_file = 'test-authority.pem'\n"
ACCESS = "hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n"  # nobody by plain TCP


class Parts:
    """An authority, a server's certificate for `localhost`, and ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Authority(folder)
        self.stranger = Authority(folder, "Stranger")
        self.ours = self.ca.issue("jingluo", "jingluo.hospital.local")
        self.server = self.ca.issue("db", "localhost")

    def shown(self, pair: Pair | None = None, ca: Authority | None = None, **more: str) -> dict[str, str]:
        pair = pair or self.ours
        given = {"ca": (ca or self.ca).file, "certificate": pair.certificate, "key": pair.key, **more}
        return {name: str(value) for name, value in given.items()}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return Parts(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def amqps(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The port of a node that asks for certificates: amqps://guest:guest@HOST + this."""
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        server = parts.server
        conf = NODE.format(
            port=node.port + 1, ca=parts.ca.file, certificate=server.certificate, key=server.key
        )
        node.start(conf)
        yield f":{node.port + 1}/"
    finally:
        node.stop()


@pytest.fixture(scope="module")
def postgres(parts: Parts) -> Iterator[Postgres]:
    server = parts.server
    made = Postgres(CLUSTER, ACCESS, (server.certificate, server.key, parts.ca.file))
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.rabbitmq
@pytest.mark.timeout(300)
async def test_amqp_by_tls_with_a_certificate_of_ours(parts: Parts, amqps: str) -> None:
    broker = RabbitBroker([f"amqps://guest:guest@localhost{amqps}"], tls=ClientTls(**parts.shown()))
    await asyncio.wait_for(broker.start(), WAIT_S)
    await broker.declare([QueueSpec("jl.tls")])
    box = Inbox(broker, acks=True)
    await broker.consume("jl.tls", box, 10)
    big = b"x" * 3_000_000
    for body in (b"small", big):
        await asyncio.wait_for(broker.publish(["jl.tls"], body), WAIT_S)
    await box.until(2)
    assert box.bodies == [b"small", big]
    await broker.stop()


@pytest.mark.rabbitmq
@pytest.mark.timeout(300)
async def test_a_broker_with_a_wrong_authority_or_name_is_not_talked_to_and_wants_to_know_us(
    parts: Parts, amqps: str
) -> None:
    for tls, host, reason in (
        (parts.shown(ca=parts.stranger), "localhost", "certificate in certificate chain|issuer certificate"),
        (parts.shown(), "127.0.0.1", "IP address mismatch"),
        (parts.shown(name="mq.hospital.local"), "localhost", "Hostname mismatch"),
        (
            {"ca": str(parts.ca.file)},
            "localhost",
            None,
        ),  # it ends the connection, each version in its own words
    ):
        context = client_context(ClientTls(**tls))
        with pytest.raises(LinkLost, match=reason):
            await Link.open(f"amqps://guest:guest@{host}{amqps}", lambda _: None, context)


@pytest.mark.rabbitmq
@pytest.mark.postgresql
@pytest.mark.timeout(300)
async def test_a_whole_engine_by_tls(parts: Parts, amqps: str, postgres: Postgres, tmp_path: Path) -> None:
    sink = await Sink().start()
    tls = ", ".join(f"{name}: {value}" for name, value in parts.shown().items())
    settings = (
        f"broker: amqps://guest:secret://mq@localhost{amqps}\nbroker_tls: {{{tls}}}\n"
        f"database: {postgres.url('localhost')}\ndatabase_tls: {{{tls}}}\n"
    )
    site = write_site(tmp_path, channel(sink), settings=settings)
    async with running(site, secret_mq="guest") as engine:
        assert [code_of(answer) for answer in await send(port(engine), adt("C1"), adt("C2"))] == ["AA", "AA"]
        await sink.wait_for(2)
        await settled(engine)
        assert len(engine.store.search(Query(state="sent")).found) == 2
    await sink.stop()


def version(url: str, tls: Identity | None) -> str:
    """Of the TLS by which a new connection of the journal's talks. Raises OperationalError."""
    database = Database(url, tls)
    try:
        with database.engine.connect() as connection:
            asked = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            return str(connection.exec_driver_sql(asked).scalar())
    finally:
        database.close()


@pytest.mark.postgresql
def test_postgresql_by_tls_only_and_only_where_its_certificate_is_right(
    parts: Parts, postgres: Postgres
) -> None:
    url, good = postgres.url("localhost"), Identity(**parts.shown())
    assert version(url, good) == "TLSv1.3"
    assert version(f"{url}?sslmode=disable", good) == "TLSv1.3", (
        "what the settings say goes before the address"
    )
    assert version(url, Identity(**parts.shown(key=parts.ours.key.read_text()))) == "TLSv1.3"
    for where, tls, reason in (
        (f"{url}?sslmode=disable", None, "no encryption"),
        (url, Identity(**parts.shown(ca=parts.stranger)), "certificate verify failed"),
        (postgres.url("127.0.0.1"), good, "does not match host name"),
        (url, Identity(ca=str(parts.ca.file)), "valid client certificate"),
    ):
        with pytest.raises(OperationalError, match=reason):
            version(where, tls)


@pytest.mark.postgresql
def test_a_database_whose_certificate_has_expired_is_not_talked_to(parts: Parts, postgres: Postgres) -> None:
    old = parts.ca.issue("old", "localhost", days=-1)
    url, good = postgres.url("localhost"), Identity(**parts.shown())

    def till_refused() -> None:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:  # a reload is told, and happens a moment later
            version(url, good)

    try:
        postgres.put(old.certificate, "db.crt")
        postgres.put(old.key, "db.key")
        postgres.reload()
        with pytest.raises(OperationalError, match="certificate verify failed"):
            till_refused()
    finally:
        postgres.put(parts.server.certificate, "db.crt")
        postgres.put(parts.server.key, "db.key")
        postgres.reload()
