"""A message that kills its worker: parked after three deliveries, and nobody else is parked with it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import killer
import pytest
from engine_parts import adt, code_of, port, running, send, write_site
from process_parts import WAIT_S, Process, connect, free_port

from config.settings import load_settings
from router.search import Query
from router.store import Store, StoreError, open_journal

GOOD = [f"G{n}" for n in range(12)]


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    return killer.install(tmp_path / "plugins")


def site(folder: Path, door: int, order: str = "") -> Path:
    text = (
        f"channel: adt\nfrom: {{mllp: {{port: {door}}}}}\nformat: hl7v2\n{order}"
        f"to:\n  lis:\n    send: {{killer: {{into: {folder / 'sent'}}}}}\n    retry: {{first: 100ms}}\n"
    )
    return write_site(folder, {"adt": text})


def sent(folder: Path) -> list[str]:
    return (folder / "sent").read_text().split() if (folder / "sent").exists() else []


async def fates(store: Store, ids: set[str]) -> dict[str, set[tuple[str, str]]]:
    """What became of these messages, once nothing is open any more: by state, (id in MSH-10, code)."""
    async with asyncio.timeout(4 * WAIT_S):
        while True:
            await asyncio.sleep(0.2)
            found: dict[str, set[tuple[str, str]]] = {"sent": set(), "dead": set()}
            with contextlib.suppress(StoreError):  # no journal yet
                for message in store.search(Query(state="accepted"), 100).found:
                    body = store.show(message.id).body or b""
                    (delivery,) = message.deliveries
                    known = (body.split(b"|")[9].decode(), delivery.code)
                    found.setdefault(delivery.state, set()).add(known)
            if found.keys() == {"sent", "dead"} and {id for some in found.values() for id, _ in some} == ids:
                return found


async def kept_running(engines: list[Process], start: Iterator[Process], stop: asyncio.Event) -> list[int]:
    """A supervisor: starts another for each that dies. How they died."""
    deaths = []
    while not stop.is_set():
        for number, engine in enumerate(engines):
            if engine.died is not None:
                deaths.append(engine.died)
                engines[number] = next(start)
        await asyncio.sleep(0.05)
    return deaths


@pytest.mark.parametrize("order", ["", "order: {by: $PID-3.1, lanes: 2}\n"])
async def test_what_kills_the_engine_is_parked_after_three_deliveries(
    tmp_path: Path, broker: str, plugins: Path, order: str
) -> None:
    door = free_port()
    place = site(tmp_path, door, order)
    engines = [Process(place, broker, plugins)]
    _, writer = await connect(door)
    writer.close()
    stop = asyncio.Event()
    start = iter(lambda: Process(place, broker, plugins), None)
    messages = [adt("KILL"), *map(adt, GOOD)]
    deaths = asyncio.create_task(kept_running(engines, start, stop))
    answers = await sent_somehow(door, messages)
    store = open_journal(load_settings(place, {}))
    found = await fates(store, {"KILL", *GOOD})
    stop.set()
    assert await deaths == [-signal.SIGSEGV] * 3
    store.close()
    assert engines[0].terminate() == 0
    assert {code_of(answer) for answer in answers} == {"AA"}
    assert found["dead"] == {("KILL", "JL-D901")}
    assert found["sent"] == {(id, "OK") for id in GOOD}
    assert sent(tmp_path).count("KILL") == 3
    if order:
        goods = [id for id in dict.fromkeys(sent(tmp_path)) if id != "KILL"]
        assert goods == GOOD


async def sent_somehow(door: int, messages: list[bytes]) -> list[bytes]:
    """A sender that sends again what was not answered, as one does whose receiver dies."""
    answers: list[bytes] = []
    for message in messages:
        while True:
            _, writer = await connect(door)
            writer.close()
            try:
                answers += await send(door, message)
                break
            except (asyncio.IncompleteReadError, OSError):
                continue
    return answers


@pytest.mark.rabbitmq
async def test_two_workers_know_together_what_kills_them(
    tmp_path: Path, amqp_vhost: str, plugins: Path
) -> None:
    place = site(tmp_path, free_port())
    numbers = iter(range(100))

    def worker() -> Process:
        """Each with a folder of its own, as on a machine of its own."""
        var = str(tmp_path / f"var{next(numbers)}")
        return Process(place, amqp_vhost, plugins, roles="delivery", var=var, http_port="0")

    async with running(place, broker=amqp_vhost, roles="intake,journal") as engine:
        workers = [worker(), worker()]
        stop = asyncio.Event()
        deaths = asyncio.create_task(kept_running(workers, iter(worker, None), stop))
        await send(port(engine), adt("KILL"), *map(adt, GOOD))
        found = await fates(engine.store, {"KILL", *GOOD})
        stop.set()
        assert await deaths == [-signal.SIGSEGV] * 3
        for one in workers:
            one.kill()
    assert found["dead"] == {("KILL", "JL-D901")}
    assert found["sent"] == {(id, "OK") for id in GOOD}
