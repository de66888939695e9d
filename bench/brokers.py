"""What one publish to two queues costs, confirmed, both consumed and acknowledged, in one Python process.

    python -m bench.brokers [--amqp amqp://guest:guest@127.0.0.1/] [--messages 5000] [--size 1024]

Prints messages/s, the middle and the 99th per cent of the time to the confirm, and this process's own CPU
time per message (all threads, the RabbitMQ server not counted). Without --amqp only the embedded broker is
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from router.brokers import open_broker
from router.brokers.base import Broker, Delivered, QueueSpec

FLIGHTS = (1, 8, 32, 200)


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    in_flight: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


async def round_trips(broker: Broker, name: str, in_flight: int, messages: int, size: int) -> Row:
    """`in_flight` publishers, each waiting for its confirm; ends when all is consumed twice."""
    queues = [f"bench.{name}.{os.getpid()}.{i}" for i in (1, 2)]
    await broker.declare([QueueSpec(queue) for queue in queues])
    body, left, took = os.urandom(size), 2 * messages, []
    done = asyncio.Event()

    def on_delivery(delivered: Delivered) -> None:
        nonlocal left
        broker.ack(delivered)
        left -= 1
        if left == 0:
            done.set()

    for queue in queues:
        await broker.consume(queue, on_delivery, 256)
    todo = iter(range(messages))

    async def publisher() -> None:
        for _ in todo:
            began = time.perf_counter()
            await broker.publish(queues, body)
            took.append(time.perf_counter() - began)

    gc.collect()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[publisher() for _ in range(in_flight)])
    await done.wait()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await broker.delete(queues)
    took.sort()
    return Row(
        name,
        in_flight,
        messages / seconds,
        took[len(took) // 2] * 1000,
        took[len(took) * 99 // 100] * 1000,
        cpu / messages * 1e6,
    )


async def measure(name: str, make: Callable[[], Broker], messages: int, size: int) -> list[Row]:
    broker = make()
    await broker.start()
    await round_trips(broker, name, 32, messages // 5, size)  # warm-up
    rows = []
    for in_flight in FLIGHTS:
        rows.append(
            await round_trips(broker, name, in_flight, messages if in_flight > 1 else messages // 5, size)
        )
    await broker.stop()
    return rows


def table(rows: list[Row]) -> str:
    lines = [f"{'broker':<12}{'in flight':>10}{'messages/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/msg':>12}"]
    for r in rows:
        lines.append(
            f"{r.name:<12}{r.in_flight:>10}{r.per_second:>12,.0f}{r.p50_ms:>9.2f}{r.p99_ms:>9.2f}{r.cpu_us:>12.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.brokers", description=__doc__.partition("\n")[0])
    parser.add_argument("--amqp", help="also measure RabbitMQ at this URL")
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--size", type=int, default=1_024, help="bytes of a body")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = ["embedded", *([args.amqp] if args.amqp else [])]
        for setting in settings:
            name = setting if setting == "embedded" else "rabbitmq"
            run = measure(name, lambda s=setting: open_broker(s, Path(folder)), args.messages, args.size)  # type: ignore[misc]
            print(table(uvloop.run(run)), flush=True)


if __name__ == "__main__":
    main()
