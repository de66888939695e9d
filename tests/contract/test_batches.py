"""`batch: hl7`: a batch is one message for its sender, and as many as it holds for everybody else; on both brokers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from engine_parts import Sink, adt, code_of, field, port, running, send, settled, write_site

from router.board import Mode
from router.search import Query

CHANNEL = """\
channel: adt
from: {from}
format: hl7v2
batch: hl7
index: {{patient: $PID-3.1}}
order: {{by: $PID-3.1, lanes: 2}}
duplicates: {{by: $MSH-10}}
when: {{$MSH-9.2: A01}}
to:
  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 2s}}}}}}
"""
HEAD = b"FHS|^~\\&|HIS|WARD|LIS|LAB|20260105||||FILE7\rBHS|^~\\&|HIS|WARD|LIS|LAB|20260105||||B1\r"


def site(folder: Path, sink: Sink, source: str = "{mllp: {port: 0}}") -> Path:
    return write_site(folder, {"adt": CHANNEL.format(**{"from": source}, port=sink.port)})


def batch(*messages: bytes, says: int | None = None) -> bytes:
    count = len(messages) if says is None else says
    return HEAD + b"".join(messages) + f"BTS|{count}\rFTS|1\r".encode()


async def test_a_batch_is_answered_as_one_and_each_message_goes_on_by_itself(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    patients = [f"P{n}" for n in range(3)]
    ids = [f"{patient}-{n}" for n in range(10) for patient in patients]
    messages = [adt(id, patient=id[:2]) for id in ids]
    bad, other = b"MSH\r", adt("X1", "A08")
    whole = batch(*messages[:15], bad, *messages[15:], other, messages[0])
    async with running(site(tmp_path, sink), broker=broker) as engine:
        cut = batch(*messages, says=31)
        answers = await send(port(engine), whole, cut, adt("ALONE"))
        assert [code_of(answer) for answer in answers] == ["AA", "AR", "AA"]
        assert field(answers[0], "MSA", 2) == "FILE7"
        await sink.wait_for(len(ids) + 1)
        await settled(engine)
        assert sorted(sink.ids()) == sorted([*ids, "ALONE"])
        for patient in patients:
            assert [id for id in sink.ids() if id[:2] == patient] == [id for id in ids if id[:2] == patient]
        refused = engine.store.search(Query(state="refused")).found
        assert [(one.code, one.reason) for one in refused] == [
            ("JL-M009", "BTS-1: it says 31 messages, and there are 30")
        ]
        (parent,) = engine.store.search(Query(kind="batch", state="sent")).found
        assert [d.reason for d in parent.deliveries] == ["33 items, 1 of them dead: 16"]
        (dead,) = engine.store.search(Query(state="dead")).found
        assert (dead.parent, dead.deliveries[0].code) == (parent.id, "JL-M003")
        assert dead.deliveries[0].reason.startswith("item 16 of the batch: MSH-1: ")
        children = engine.store.show(parent.id).children
        assert len(children) == 32, "and one that points at the message that it repeats"
        states = [found.state for found in engine.store.search(Query(), 100).found]
        assert (states.count("filtered"), states.count("duplicate")) == (1, 1)
        assert engine.store.show(children[0]).parents == (parent.id,)


async def test_a_large_file_of_messages_is_taken_apart_piece_by_piece(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    source = "{file: {folder: in, poll: 100ms, settle: 0s}}"
    place = site(tmp_path, sink, source)
    (place / "jingluo.yaml").write_text("http: {host: 127.0.0.1, port: 0}\nlimits: {whole: 1MB}\n")
    ids = [f"L{n}" for n in range(60)]
    filler = b"ZZZ|" + b"x" * 40_000 + b"\r"
    messages = [adt(id, patient="P1") + filler for id in ids]
    (place / "in").mkdir()
    (place / "in" / "cut.hl7").write_bytes(batch(*messages, says=61))
    (place / "in" / "night.hl7").write_bytes(batch(*messages))
    async with running(place, broker=broker) as engine:
        await engine.board.say(Mode("adt", "batch", "paused", 0))
        async with asyncio.timeout(60):
            while not (place / "in" / "done" / "night.hl7").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (place / "in" / "failed" / "cut.hl7").exists()
        assert sink.got == [], "accepted, and not taken apart yet"
        await engine.board.say(Mode("adt", "batch", "running", 0))
        await sink.wait_for(len(ids), 60)
        await settled(engine)
        assert sink.ids() == ids
        assert sink.got == messages


@pytest.mark.rabbitmq
async def test_the_door_and_who_takes_batches_apart_may_be_two_processes(
    tmp_path: Path, amqp_vhost: str, sink: Sink
) -> None:
    place = site(tmp_path, sink)
    async with (
        running(place, broker=amqp_vhost, roles="journal,delivery", var=str(tmp_path / "back")) as back,
        running(place, broker=amqp_vhost, roles="intake", var=str(tmp_path / "front")) as front,
    ):
        answers = await send(port(front), batch(*(adt(f"R{n}") for n in range(20))))
        assert [code_of(answer) for answer in answers] == ["AA"]
        await sink.wait_for(20)
        await settled(back)
        assert sink.ids() == [f"R{n}" for n in range(20)]
