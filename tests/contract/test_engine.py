"""The whole way of a message, through both brokers: what a sender hears, what receivers get, what the journal knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site

from config import registry
from router.api import TOKEN_FILE
from router.brokers.base import BrokerDown, Depth, QueueFull
from router.envelope import JOURNAL
from router.search import Query


async def test_what_is_accepted_arrives_and_can_be_found(tmp_path: Path, broker: str, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        answers = await send(port(engine), *[adt(f"A{n}", patient=f"P{n}") for n in range(20)])
        assert [code_of(a) for a in answers] == ["AA"] * 20
        await sink.wait_for(20)
        await settled(engine)
        found = engine.store.search(Query(index={"patient": "P7"}), 10).found
        assert len(found) == 1
        story = engine.store.show(found[0].id)
        assert field(story.body, "MSH", 10) == "A7"
        assert [d.state for d in story.message.deliveries] == ["sent"]
    assert sorted(sink.ids()) == sorted(f"A{n}" for n in range(20))


async def test_a_receiver_that_says_not_now_is_asked_again(tmp_path: Path, broker: str) -> None:
    said: list[str] = []

    def answer(message: bytes) -> str:
        said.append("AE" if len(said) < 2 else "AA")
        return said[-1]

    sink = await Sink(answer).start()
    retry = "    retry: {first: 100ms, factor: 1, for: 1m}\n"
    async with running(write_site(tmp_path, channel(sink, branch=retry)), broker=broker) as engine:
        await send(port(engine), adt("R1"))
        await sink.wait_for(3)
        await settled(engine)
        found = engine.store.search(Query(), 10).found[0]
        tries = engine.store.show(found.id).message.deliveries[0]
        assert tries.state == "sent"
    await sink.stop()
    assert said == ["AE", "AE", "AA"]


async def test_one_refused_delivery_does_not_hold_the_next(tmp_path: Path, broker: str) -> None:
    sink = await Sink(lambda m: "AR" if field(m, "MSH", 10) == "BAD" else "AA").start()
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        await send(port(engine), adt("BAD"), adt("GOOD"))
        await sink.wait_for(2)
        await settled(engine, "dead")
        dead = engine.store.search(Query(state="dead"), 10).found
        assert [field(engine.store.show(f.id).body, "MSH", 10) for f in dead] == ["BAD"]
    await sink.stop()


async def test_what_cannot_be_read_is_refused_kept_and_never_delivered(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        answers = await send(port(engine), b"this is no HL7", adt("OK1"))
        assert [code_of(a) for a in answers] == ["AR", "AA"]
        await sink.wait_for(1)
        await settled(engine, "refused")
        refused = engine.store.search(Query(state="refused"), 10).found
        assert [engine.store.show(f.id).body for f in refused] == [b"this is no HL7"]
        assert refused[0].code.startswith("JL-M")
    assert sink.ids() == ["OK1"]


async def test_what_matches_no_condition_is_accepted_and_filed(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink, more="when: {$MSH-9.2: A08}\n"))
    async with running(site, broker=broker) as engine:
        answers = await send(port(engine), adt("F1", "A01"), adt("F2", "A08"))
        assert [code_of(a) for a in answers] == ["AA", "AA"]
        await sink.wait_for(1)
        await settled(engine, "filtered")
    assert sink.ids() == ["F2"]


async def test_a_sender_may_wait_for_the_destinations_own_answer(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink, more="reply: lis\ntimeout: 10s\n"))
    async with running(site, broker=broker) as engine:
        (answer,) = await send(port(engine), adt("Q1"))
    assert field(answer, "MSH", 3) == "LIS"
    assert "MSA|AA|Q1" in answer.decode()


async def test_a_sender_that_waits_too_long_hears_pending(tmp_path: Path, broker: str) -> None:
    sink = await Sink(lambda m: None).start()
    site = write_site(tmp_path, channel(sink, more="reply: lis\ntimeout: 200ms\n"))
    async with running(site, broker=broker) as engine:
        (answer,) = await send(port(engine), adt("Q2"))
        assert code_of(answer) == "AA"
        assert "pending" in answer.decode()
        await sink.wait_for(1)
    await sink.stop()


async def test_in_a_lane_the_order_of_a_patient_holds_through_a_failure(tmp_path: Path, broker: str) -> None:
    failed: list[str] = []

    def answer(message: bytes) -> str:
        number = field(message, "MSH", 10)
        if number == "P1-0" and len(failed) < 2:
            failed.append(number)
            return "AE"
        return "AA"

    sink = await Sink(answer).start()
    more = "order: {by: $PID-3.1, lanes: 2}\n"
    retry = "    retry: {first: 200ms, factor: 1, for: 1m}\n"
    async with running(write_site(tmp_path, channel(sink, more, retry)), broker=broker) as engine:
        for n in range(5):
            await send(port(engine), adt(f"P1-{n}", patient="P1"), adt(f"P2-{n}", patient="P2"))
        await settled(engine)
    await sink.stop()
    assert failed
    for patient in ("P1", "P2"):
        done = [i for i in sink.ids() if i.startswith(patient)]
        assert list(dict.fromkeys(done)) == [f"{patient}-{n}" for n in range(5)]


async def test_a_dead_letter_is_replayed_as_a_new_message_of_the_old_one(tmp_path: Path, broker: str) -> None:
    refusing = {"now": True}
    sink = await Sink(lambda m: "AR" if refusing["now"] else "AA").start()
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        await send(port(engine), adt("D1"))
        await settled(engine, "dead")
        refusing["now"] = False
        old = engine.store.search(Query(state="dead"), 1).found[0]
        token = (engine.settings.var / TOKEN_FILE).read_text()
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            assert (await client.post("/api/replay", json={"ids": [old.id]})).status_code == 401
            unread = await client.post("/api/replay", content=b"[[[ no json")
            assert (unread.status_code, unread.json()["code"]) == (401, "JL-E205"), (
                "a stranger's body is not read"
            )
            answer = await client.post(
                "/api/replay", json={"ids": [old.id]}, headers={"authorization": f"Bearer {token}"}
            )
        assert answer.status_code == 200, answer.text
        await sink.wait_for(2)
        await settled(engine, "sent")
        new = engine.store.show(answer.json()["made"][0]["new"])
        assert new.message.parent == old.id
        assert new.message.deliveries[0].state == "sent"
    await sink.stop()


async def test_figures_and_health_agree_with_the_journal(tmp_path: Path, broker: str, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        await send(port(engine), *[adt(f"H{n}") for n in range(5)], b"MSH|broken")
        await sink.wait_for(5)
        await settled(engine)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            ready = await client.get("/health/ready")
            figures = (await client.get("/metrics")).text
        assert ready.status_code == 200
        assert ready.json()["channels"] == {"adt": "open"}
        assert 'jingluo_accepted_total{channel="adt"} 5.0' in figures
        assert 'jingluo_delivered_total{channel="adt",destination="lis"} 5.0' in figures
        assert 'jingluo_refused_total{channel="adt"} 1.0' in figures
        (way,) = [c for c in engine.store.counts() if c.destination == "lis"]
        assert (way.accepted, way.delivered, way.dead, way.waiting) == (5, 5, 0, 0)


async def test_a_door_whose_port_is_taken_does_not_hold_the_others(tmp_path: Path, sink: Sink) -> None:
    channels = channel(sink) | channel(sink, name="second")
    other = await Sink().start()
    channels["second"] = channels["second"].replace("port: 0", f"port: {other.port}")
    async with running(write_site(tmp_path, channels)) as engine:
        assert list(engine.doors.closed) == ["second"]
        (answer,) = await send(port(engine), adt("X1"))
        assert code_of(answer) == "AA"
        await sink.wait_for(1)
    await other.stop()


async def test_a_broken_channel_is_refused_by_name_and_the_others_run(tmp_path: Path, sink: Sink) -> None:
    from channels.loader import load_site
    from config.settings import load_settings

    site = write_site(
        tmp_path, channel(sink) | {"broken": "channel: broken\nfrom: {mlpp: {port: 0}}\nformat: hl7v2\n"}
    )
    loaded = load_site(load_settings(site, {}))
    assert [c.name for c in loaded.channels] == ["adt"]
    errors = [f for f in loaded.findings if f.severity == "error"]
    assert errors
    assert all(f.file.endswith("broken.yaml") for f in errors)
    assert "mllp" in errors[0].hint


async def test_without_a_broker_the_sender_keeps_its_message(tmp_path: Path, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink))) as engine:
        door = port(engine)
        await engine.broker.stop()
        (answer,) = await send(door, adt("N1"))
        assert code_of(answer) == "AE"
        assert "JL-B" in answer.decode()
    with contextlib.suppress(TimeoutError):
        await sink.wait_for(1, within_s=0.2)
    assert sink.got == []


async def test_an_outcome_that_the_journals_queue_could_not_take_is_recorded_later(
    tmp_path: Path, sink: Sink
) -> None:
    async with running(write_site(tmp_path, channel(sink))) as engine:
        publish = engine.broker.publish
        refused = []

        def full(queues: Sequence[str], body: bytes, *, delay_s: float = 0) -> asyncio.Future[None]:
            if tuple(queues) == (JOURNAL,) and not refused:
                refused.append(body)
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                future.set_exception(QueueFull("JL-B003", "the journal's queue is full"))
                return future
            return publish(queues, body, delay_s=delay_s)

        engine.broker.publish = full  # type: ignore[method-assign]
        await send(port(engine), adt("J1"))
        await settled(engine)
        assert len(refused) == 1
        (way,) = [c for c in engine.store.counts() if c.destination == "lis"]
        assert (way.delivered, way.waiting) == (1, 0)
    assert sink.ids() == ["J1"]


async def test_a_message_that_is_cut_or_too_large_is_refused_and_filed_with_what_there_is(
    tmp_path: Path, sink: Sink
) -> None:
    channels = channel(sink)
    channels["adt"] = channels["adt"].replace("{port: 0}", "{port: 0, max_size: 2KB}")
    async with running(write_site(tmp_path, channels)) as engine:
        large = adt("BIG") + b"NTE|1||" + b"x" * 3000 + b"\r"
        answers = await send(port(engine), large, adt("SMALL"))
        assert [code_of(answer) for answer in answers] == ["AR", "AA"]
        await sink.wait_for(1)
        await settled(engine, "refused")
        (refused,) = engine.store.search(Query(state="refused"), 10).found
        assert refused.code == "JL-E101"
        assert engine.store.show(refused.id).body.startswith(adt("BIG")[:100])
    assert sink.ids() == ["SMALL"]


async def test_what_is_too_large_at_a_door_or_in_a_folder_is_filed_with_its_head(tmp_path: Path) -> None:
    door = "channel: door\nfrom: {http: {path: /v1/adt, max_size: 6KB}}\nformat: hl7v2\n"
    folder = (
        "channel: folder\nfrom: {file: {folder: in, max_size: 6KB, poll: 50ms, settle: 0s}}\nformat: hl7v2\n"
    )
    (tmp_path / "in").mkdir()
    async with running(write_site(tmp_path, {"door": door, "folder": folder})) as engine:
        large = adt("BIG") + b"NTE|1||" + b"x" * 6000 + b"\r"
        (tmp_path / "in" / "a.hl7").write_bytes(large)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            answer = await client.post("/v1/adt", content=large)
        await settled(engine, "refused", 2)
        found = engine.store.search(Query(state="refused"), 10).found
        assert sorted((one.channel, one.code) for one in found) == [
            ("door", "JL-E201"),
            ("folder", "JL-E301"),
        ]
        assert {engine.store.show(one.id).body for one in found} == {large[:4096]}
    assert (answer.status_code, answer.json()["code"]) == (413, "JL-E201")
    assert answer.json()["id"] in {one.id for one in found}
    assert (tmp_path / "in" / "failed" / "a.hl7").read_bytes() == large


async def test_a_full_queue_drains_once_its_receiver_is_back(tmp_path: Path, broker: str) -> None:
    gone = await Sink().start()
    address = gone.port
    retry = "    retry: {first: 100ms, factor: 1, for: 1h}\n"
    channels = channel(gone, more="limit: {messages: 5}\n", branch=retry)
    await gone.stop()
    async with running(write_site(tmp_path, channels), broker=broker) as engine:
        answers = await send(port(engine), *[adt(f"F{n}") for n in range(5)])
        kept = [code_of(answer) for answer in answers].count("AA")
        assert kept
        back = await Sink().start(address)
        await back.wait_for(kept)
        await settled(engine)
    await back.stop()


async def test_an_answer_that_cannot_be_mapped_leaves_its_message_delivered(
    tmp_path: Path, sink: Sink
) -> None:
    (tmp_path / "maps").mkdir()
    answer_map = "map: answer\nfrom: json\nto: hl7v2\nmake: {MSH: {9: $.kind | required}}\n"
    (tmp_path / "maps" / "answer.yaml").write_text(answer_map)
    channels = channel(sink, more="reply: lis\ntimeout: 5s\n", branch="    reply_map: answer\n")
    async with running(write_site(tmp_path, channels)) as engine:
        (answer,) = await send(port(engine), adt("U1"))
        assert code_of(answer) == "AR"
        await settled(engine)
        (way,) = [c for c in engine.store.counts() if c.destination == "lis"]
        assert (way.delivered, way.dead) == (1, 0)


async def test_a_bug_in_the_map_of_an_answer_leaves_its_message_delivered_once(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(value: str) -> str:
        raise KeyError(value)

    registry.functions.known()
    monkeypatch.setitem(registry.functions._things, "faulty", faulty)
    (tmp_path / "maps").mkdir()
    answer_map = "map: answer\nfrom: hl7v2\nto: hl7v2\nmake: {MSH: {9: $MSA-1 | faulty}}\n"
    (tmp_path / "maps" / "answer.yaml").write_text(answer_map)
    channels = channel(sink, more="reply: lis\ntimeout: 5s\n", branch="    reply_map: answer\n")
    async with running(write_site(tmp_path, channels)) as engine:
        (answer,) = await send(port(engine), adt("U1"))
        assert b"|AA|U1|pending" in answer
        await settled(engine)
        (way,) = [c for c in engine.store.counts() if c.destination == "lis"]
        assert (way.delivered, way.dead) == (1, 0)
    assert sink.ids() == ["U1"]


async def test_the_state_is_told_while_the_broker_is_away(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(queues: Sequence[str]) -> dict[str, Depth]:
        raise BrokerDown("JL-B001", "away")

    async with running(write_site(tmp_path, channel(sink))) as engine:
        monkeypatch.setattr(engine.broker, "depth", away)
        token = (engine.settings.var / TOKEN_FILE).read_text()
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
            answer = await client.get(f"http://127.0.0.1:{engine.web.port}/api/status")
        assert answer.status_code == 200, answer.text
        assert [waiting["destination"] for waiting in answer.json()["waiting"]] == ["lis"]
