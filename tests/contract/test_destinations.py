"""Pause, resume, drain, hold, skip: what an operator says of a destination, on both brokers, also over restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site

from router.api import TOKEN_FILE
from router.brokers.embedded import EmbeddedBroker
from router.brokers.rabbitmq import RabbitBroker
from router.engine import Engine
from router.search import Query
from router.store import StoreDown

ORDER = "order: {by: $PID-3.1, lanes: 1}\n"
QUICK = "    retry: {first: 100ms, factor: 1, for: 1h}\n"
HOLD = "    retry: {first: 100ms, factor: 1, for: 300ms, then: hold}\n"


async def until(said: Callable[[], Any], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not said():  # noqa: ASYNC110  # nobody tells a test
            await asyncio.sleep(0.05)


async def tell(engine: Engine, what: str, status: int = 200, **order: str) -> Any:
    """An operator's order by the API, to the one destination of the tests."""
    headers = {"authorization": f"Bearer {(engine.settings.var / TOKEN_FILE).read_text()}"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}", headers=headers) as client:
        if what == "list":
            answer = await client.get("/api/destinations")
        else:
            answer = await client.post(f"/api/destinations/adt/lis/{what}", json=order, timeout=30)
    assert answer.status_code == status, answer.text
    return answer.json()


async def ready(engine: Engine) -> Any:
    async with httpx2.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{engine.web.port}/health/ready")).json()


def consumed(engine: Engine) -> set[str]:
    """The queues that this engine takes from, so that it may hold something of them unacknowledged."""
    if isinstance(engine.broker, RabbitBroker):
        return {consumer.queue for consumer in engine.broker._consumers}
    assert isinstance(engine.broker, EmbeddedBroker)
    return {name for name, queue in engine.broker._queues.items() if queue.consumers}


def figures(engine: Engine) -> str:
    return engine.metrics.render().decode()


@pytest.mark.parametrize("order", ["", ORDER])
async def test_a_paused_destination_gets_nothing_and_loses_nothing_also_over_a_restart(
    tmp_path: Path, broker: str, sink: Sink, order: str
) -> None:
    site = write_site(tmp_path, channel(sink, order, QUICK))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("B1"))
        await sink.wait_for(1)
        shown = await tell(engine, "pause", reason="moves house")
        assert (shown["state"], shown["reason"]) == ("paused", "moves house")
        answers = await send(port(engine), *(adt(f"W{n}") for n in range(5)))
        assert {code_of(answer) for answer in answers} == {"AA"}
        assert (await ready(engine))["destinations"] == {"adt/lis": "paused: moves house"}
        assert 'stopped{channel="adt",destination="lis",state="paused"} 1.0' in figures(engine)
        await until(lambda: not consumed(engine) & set(engine.outlets[0].queues))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("W5"))
        with contextlib.suppress(TimeoutError):
            await sink.wait_for(2, within_s=1)
        assert sink.ids() == ["B1"]
        (shown,) = await tell(engine, "list")
        assert (shown["state"], shown["waiting"]) == ("paused", 6)
        await tell(engine, "resume")
        await sink.wait_for(7)
        await settled(engine)
        assert (await tell(engine, "list"))[0]["state"] == "running"
    assert sorted(sink.ids()) == ["B1", *(f"W{n}" for n in range(6))]


async def test_a_pause_lets_what_is_being_sent_end_and_sends_it_once(tmp_path: Path, broker: str) -> None:
    sink = await Sink(slow_s=0.5).start()
    site = write_site(tmp_path, channel(sink, branch="    parallel: 2\n"))
    async with running(site, broker=broker) as engine:
        await send(port(engine), *(adt(f"S{n}") for n in range(20)))
        await sink.wait_for(1)
        await tell(engine, "pause")
        await asyncio.sleep(1.5)
        begun = len(sink.got)
        assert begun < 20
        await tell(engine, "resume")
        await settled(engine)
    await sink.stop()
    assert sorted(sink.ids()) == sorted(f"S{n}" for n in range(20)), "each once"


async def test_a_drained_destination_takes_nothing_new_until_it_is_resumed(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    sink.answer = lambda message: "AE" if len(sink.got) < 4 else "AA"
    async with running(write_site(tmp_path, channel(sink, "", QUICK)), broker=broker) as engine:
        await send(port(engine), adt("D1"), adt("D2"))
        assert (await tell(engine, "drain"))["state"] in ("draining", "drained")
        late = asyncio.create_task(send(port(engine), adt("LATE")))
        async with asyncio.timeout(30):
            while (await tell(engine, "list"))[0]["state"] != "drained":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert sorted(set(sink.ids())) == ["D1", "D2"]
        assert not late.done()
        assert (await ready(engine))["channels"] == {"adt": "paused, lis is being drained"}
        await tell(engine, "resume")
        assert [code_of(answer) for answer in await late] == ["AA"]
        await until(lambda: "LATE" in sink.ids())


async def test_what_is_given_up_holds_its_lane_until_an_operator_lets_it_try_again(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    well = False
    sink.answer = lambda message: "AA" if well else "AE"
    site = write_site(tmp_path, channel(sink, ORDER, HOLD))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("H1"), adt("H2"))
        await until(lambda: engine.board.held)
        ((queue, held),) = engine.board.held.items()
        assert (await ready(engine))["held_lanes"] == {queue: f"{held.code} at message {held.id}"}
        assert 'jingluo_lanes_held{channel="adt",destination="lis"} 1.0' in figures(engine)
        (shown,) = await tell(engine, "list")
        assert [lane["id"] for lane in shown["held"]] == [held.id]
    tried = len(sink.got)
    well = True
    async with running(site, broker=broker) as engine:
        await asyncio.sleep(1)
        assert len(sink.got) == tried, "a held lane waits for its operator, also over a restart"
        await tell(engine, "resume", 409, id="ffffffff")
        await tell(engine, "resume")
        await settled(engine)
        assert not engine.board.held
        assert not engine.store.search(Query(state="dead"), 10).found
    assert sink.ids()[tried:] == ["H1", "H2"]


async def test_a_message_that_is_skipped_becomes_a_dead_letter_and_its_lane_goes_on(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    sink.answer = lambda message: "AR" if field(message, "MSH", 10) == "BAD" else "AA"
    site = write_site(tmp_path, channel(sink, ORDER, HOLD))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("G1"), adt("BAD"), adt("G2"))
        await until(lambda: engine.board.held)
        (held,) = engine.board.held.values()
        await tell(engine, "skip", 409)
        await tell(engine, "skip", 409, id="0" * 20)
        await tell(engine, "skip", id=held.id[:8])
        await settled(engine)
        (dead,) = engine.store.search(Query(state="dead"), 10).found
        assert (dead.id, dead.deliveries[0].code) == (held.id, held.code)
        assert "skipped by an operator" in dead.deliveries[0].reason
    assert sink.ids() == ["G1", "BAD", "G2"]


async def test_a_held_lane_that_is_resumed_after_a_restart_has_its_time_for_retries_anew(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    sink.answer = lambda message: "AE"
    site = write_site(tmp_path, channel(sink, ORDER, HOLD.replace("300ms", "5s")))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("R1"))
        await until(lambda: engine.board.held)
        assert await engine.journal.caught_up()
    async with running(site, broker=broker) as engine:
        before = len(sink.got)
        await tell(engine, "resume")
        await until(lambda: len(sink.got) >= before + 2 or engine.board.held)
        assert len(sink.got) >= before + 2
        sink.answer = lambda message: "AA"
        await settled(engine)


async def test_a_waiting_sender_hears_that_its_message_is_kept_while_a_lane_is_held(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    sink.answer = lambda message: "AR"
    site = write_site(tmp_path, channel(sink, ORDER + "reply: lis\ntimeout: 20s\n", HOLD))
    async with running(site, broker=broker) as engine:
        (answer,) = await send(port(engine), adt("Q1"))
        assert code_of(answer) == "AA"
        assert "do not send it again" in answer.decode()


async def test_while_the_database_is_away_nobody_knows_that_a_drain_has_ended(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(query: Query, limit: int) -> None:
        raise StoreDown("JL-J010", "away")

    async with running(write_site(tmp_path, channel(sink))) as engine:
        monkeypatch.setattr(engine.store, "search", away)
        shown = await tell(engine, "drain")
        assert shown["state"] == "draining"


async def test_an_unknown_destination_is_named_with_the_nearest(tmp_path: Path, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink))) as engine:
        headers = {"authorization": f"Bearer {(engine.settings.var / TOKEN_FILE).read_text()}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            answer = await client.post("/api/destinations/adt/lsi/pause", json={}, headers=headers)
            assert answer.status_code == 404
            assert "JL-D910" in answer.text
            assert "adt/lis" in answer.text
            assert (await client.post("/api/destinations/adt/lis/pause", json={})).status_code == 401


async def test_what_waits_for_a_destination_that_is_gone_is_seen_and_delivered_once_it_is_back(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site, broker=broker) as engine:
        await tell(engine, "pause")
        await send(port(engine), adt("L1"), adt("L2"))
    (site / "channels" / "adt.yaml").unlink()
    async with running(write_site(tmp_path, channel(sink, name="other")), broker=broker) as engine:
        gone = [d for d in await tell(engine, "list") if d["channel"] == "adt"]
        assert [(d["state"], d["waiting"]) for d in gone] == [("gone", 2)]
        assert (await tell(engine, "resume"))["state"] == "gone"
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        await sink.wait_for(2)
        await settled(engine)


@pytest.mark.rabbitmq
async def test_a_pause_reaches_every_process_and_a_lanes_hold_is_known_to_all(
    tmp_path: Path, amqp_vhost: str, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink, ORDER, HOLD))
    sink.answer = lambda message: "AR" if field(message, "MSH", 10) == "BAD" else "AA"
    roles = {"one": "delivery", "other": "delivery", "door": "intake", "desk": "journal"}
    async with contextlib.AsyncExitStack() as stack:
        engines = {
            name: await stack.enter_async_context(
                running(site, broker=amqp_vhost, roles=role, var=str(tmp_path / name))
            )
            for name, role in roles.items()
        }
        desk, door = engines["desk"], engines["door"]
        await tell(desk, "pause")
        await send(port(door), adt("P1"), adt("BAD"), adt("P2"))
        for engine in engines.values():
            await until(lambda engine=engine: engine.board.state(("adt", "lis")) == "paused")  # type: ignore[misc]
        await asyncio.sleep(0.5)
        assert sink.got == []
        await tell(desk, "resume")
        await until(lambda: all(engine.board.held for engine in engines.values()))
        (held,) = desk.board.held.values()
        await tell(desk, "skip", id=held.id)
        await until(lambda: "P2" in sink.ids())
        assert list(dict.fromkeys(sink.ids())) == ["P1", "BAD", "P2"]
