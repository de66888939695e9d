"""What pika gets out of RabbitMQ: the topology of bench.brokers, with pika alone and nothing of the engine.

    python -m bench.ceiling [--amqp amqp://guest:guest@127.0.0.1/] [--messages 5000] [--size 1024]

One publish with a CC header to two quorum queues, confirmed; both consumed (prefetch 256) and acknowledged,
many at a time; one process on uvloop, a connection to publish and one to consume. The next publish is made in
the callback of a confirm, without a Future or a task between them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import time
from typing import Any

import pika
import uvloop
from pika.adapters.asyncio_connection import AsyncioConnection

from bench.brokers import FLIGHTS, Row, table

PREFETCH = 256
logging.getLogger("pika").setLevel(logging.CRITICAL)


async def connect(url: str) -> Any:
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[Any] = loop.create_future()
    AsyncioConnection.create_connection([pika.URLParameters(url)], opened.set_result, custom_ioloop=loop)
    connection = await opened
    if isinstance(connection, BaseException):
        raise SystemExit(f"no RabbitMQ at {url.rpartition('@')[2]}: {connection}")
    return connection


async def channel_of(connection: Any) -> Any:
    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connection.channel(on_open_callback=opened.set_result)
    return await opened


async def call(method: Any, *args: Any, **kwargs: Any) -> None:
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    method(*args, callback=answered.set_result, **kwargs)
    await answered


async def topology(channel: Any, queues: list[str]) -> str:
    exchange = "bench.ceiling"
    await call(channel.exchange_declare, exchange, "topic", durable=True)
    for queue in queues:
        await call(channel.queue_declare, queue, durable=True, arguments={"x-queue-type": "quorum"})
        await call(channel.queue_bind, queue, exchange, routing_key=queue)
    return exchange


class Run:
    """Keeps `in_flight` publishes unconfirmed until `messages` are sent."""

    def __init__(self, messages: int, in_flight: int, body: bytes) -> None:
        self.messages, self.in_flight, self.body = messages, in_flight, body
        self.sent = self.confirmed = self.consumed = 0
        self.sent_at: dict[int, float] = {}
        self.took: list[float] = []
        self.done = asyncio.Event()

    def publish(self) -> None:
        self.sent += 1
        self.sent_at[self.sent] = time.perf_counter()
        self.channel.basic_publish(self.exchange, self.queues[0], self.body, self.properties, mandatory=True)

    def on_confirm(self, frame: Any) -> None:
        tag, now = frame.method.delivery_tag, time.perf_counter()
        first = self.confirmed + 1 if frame.method.multiple else tag
        tags = [each for each in range(first, tag + 1) if each in self.sent_at]
        if frame.method.multiple:
            self.confirmed = tag
        for each in tags:
            self.took.append(now - self.sent_at.pop(each))
        for _ in range(min(len(tags), self.messages - self.sent)):
            self.publish()
        self.check()

    def on_message(self, channel: Any, method: Any, _: Any, body: bytes) -> None:
        self.consumed += 1
        if method.delivery_tag % 16 == 0 or self.consumed + 32 > 2 * self.messages:
            channel.basic_ack(method.delivery_tag, multiple=True)
        self.check()

    def check(self) -> None:
        if self.consumed == 2 * self.messages and len(self.took) == self.messages:
            self.done.set()

    async def prepare(self, publishing: Any, consuming: Any) -> None:
        self.queues = [f"bench.ceiling.{os.getpid()}.{i}" for i in (1, 2)]
        self.channel = await channel_of(publishing)
        self.exchange = await topology(self.channel, self.queues)
        await call(self.channel.confirm_delivery, self.on_confirm)
        self.properties = pika.BasicProperties(delivery_mode=2, headers={"CC": self.queues[1:]})
        for queue in self.queues:
            channel = await channel_of(consuming)
            await call(channel.basic_qos, prefetch_count=PREFETCH)
            await call(channel.basic_consume, queue, self.on_message)

    async def measure(self) -> Row:
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(self.in_flight):
            self.publish()
        await self.done.wait()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        for queue in self.queues:
            await call(self.channel.queue_delete, queue)
        took = sorted(self.took)
        p50, p99 = took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000
        return Row("pika alone", self.in_flight, self.messages / seconds, p50, p99, cpu / self.messages * 1e6)


async def ceiling(url: str, messages: int, size: int) -> list[Row]:
    rows = []
    for in_flight in (32, *FLIGHTS):  # the first is the warm-up
        publishing, consuming = await connect(url), await connect(url)
        run = Run(messages if in_flight > 1 else messages // 5, in_flight, os.urandom(size))
        await run.prepare(publishing, consuming)
        rows.append(await run.measure())
        for connection in (publishing, consuming):
            connection.close()
    return rows[1:]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.ceiling", description=__doc__.partition("\n")[0])
    parser.add_argument("--amqp", default="amqp://guest:guest@127.0.0.1/")
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--size", type=int, default=1_024, help="bytes of a body")
    args = parser.parse_args()
    print(table(uvloop.run(ceiling(args.amqp, args.messages, args.size))))


if __name__ == "__main__":
    main()
