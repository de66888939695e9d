"""What all kinds of folders do alike, each with its real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from endpoint_parts import FakeEngine, until
from folder_parts import Place
from ftpd import FtpPlace, FtpsPlace
from s3d import S3Place
from sshd import SftpPlace

from config.errors import Refused
from schemas.message import Message, Reply

MESSAGE = Message(b"body", id="0199a", channel="lab", received_ms=1_767_571_200_000)
PLACES = {"file": Place, "sftp": SftpPlace, "ftp": FtpPlace, "ftps": FtpsPlace, "s3": S3Place}


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    made = PLACES[request.param](tmp_path)
    yield made
    await made.close()


async def test_files_are_taken_by_pattern_in_the_order_of_their_names_and_moved(place: Place) -> None:
    for name in ("b.hl7", "a.hl7", "c.txt", ".d.hl7", "e.hl7.part", "f.tmp", "g.HL7"):
        place.put(name, name.encode())
    engine = FakeEngine()
    await place.source(engine, pattern=["*.hl7", "*.txt"])
    await engine.has(3)
    await until(lambda: place.names() == [".d.hl7", "e.hl7.part", "f.tmp", "g.HL7"])
    assert [message.headers["file"] for message in engine.got] == ["a.hl7", "b.hl7", "c.txt"]
    assert [message.body for message in engine.got] == [b"a.hl7", b"b.hl7", b"c.txt"]
    assert place.names("in/done") == ["a.hl7", "b.hl7", "c.txt"]


async def test_a_refused_file_goes_to_failed_and_its_reason_beside_it(place: Place) -> None:
    place.put("a.hl7", b"bad")
    place.put("b.hl7", b"x" * 5001)
    engine = FakeEngine(Reply("refused", id="0199", code="JL-M031", text="TEST^ONE is no date", path="PID-7"))
    await place.source(engine, max_size="5KB")
    files = ["a.hl7", "a.hl7.reason.txt", "b.hl7", "b.hl7.reason.txt"]
    await until(lambda: place.names("in/failed") == files)
    assert place.get("in/failed/a.hl7.reason.txt") == b"JL-M031 PID-7 0199\n"
    assert place.get("in/failed/b.hl7.reason.txt") == b"JL-E301\n"
    (filed,) = engine.refused
    assert (filed.body, filed.fault_code) == (b"x" * 4096, "JL-E301")


async def test_a_file_can_be_deleted_and_one_of_a_name_that_is_done_is_kept_beside_it(place: Place) -> None:
    engine = FakeEngine()
    first = await place.source(engine)
    for number in range(3):
        place.put("a.hl7", str(number).encode())
        await until(lambda: place.names() == [])
    assert place.names("in/done") == ["a.2.hl7", "a.3.hl7", "a.hl7"]
    await first.stop()
    await place.source(engine, done="delete")
    place.put("b.hl7")
    await engine.has(4)
    await until(lambda: place.names() == [])
    assert "b.hl7" not in place.names("in/done")


async def test_a_file_stays_while_the_engine_takes_nothing_and_is_given_back_at_a_stop(place: Place) -> None:
    place.put("a.hl7", b"a")
    place.put("b.hl7", b"b")
    engine = FakeEngine(Reply("failed", code="JL-B001", retry_after_s=5))
    source = await place.source(engine)
    await engine.has(3)
    assert {message.body for message in engine.got} == {b"a"}
    await source.stop()
    assert place.names() == ["a.hl7", "b.hl7"]


async def test_a_large_file_comes_in_pieces(place: Place) -> None:
    body = bytes(range(256)) * 4000
    place.put("a.bin", body)
    engine = FakeEngine()
    await place.source(engine)
    assert (await engine.has(1))[0].body == body


async def test_a_file_that_grows_is_left_alone_until_it_settles(place: Place) -> None:
    engine = FakeEngine()
    source = await place.source(engine, settle="200ms")
    for number in range(1, 6):
        place.put("a.hl7", b"0123456789" * number)
        await until(lambda n=number: any(seen.size == 10 * n for seen in source.watcher.settling))  # type: ignore[misc]
        assert engine.got == []
    await engine.has(1)
    assert engine.got[0].body == b"0123456789" * 5


async def test_a_file_is_taken_when_its_marker_is_there_and_the_marker_goes_too(place: Place) -> None:
    for name in ("a.hl7", "b.hl7", "b.hl7.ok", "c.hl7", "c.ok"):
        place.put(name)
    engine = FakeEngine()
    await place.source(engine, ready="*.ok")
    await engine.has(2)
    await until(lambda: place.names() == ["a.hl7"])
    assert [message.headers["file"] for message in engine.got] == ["b.hl7", "c.hl7"]
    place.put("a.ok")
    await engine.has(3)
    await until(lambda: place.names() == [])
    assert place.names("in/done") == ["a.hl7", "b.hl7", "c.hl7"]


async def test_subfolders_are_looked_into_where_that_is_asked(place: Place) -> None:
    for name in ("z.hl7", "lab/a.hl7", "lab/deep/b.hl7", "lab/deep/er/c.hl7", ".hidden/d.hl7"):
        place.put(name, name.encode())
    engine = FakeEngine()
    source = await place.source(engine, recursive=True, depth=2)
    await engine.has(3)
    await until(lambda: place.names() == [".hidden/d.hl7", "lab/deep/er/c.hl7"])
    assert [message.body for message in engine.got] == [b"lab/a.hl7", b"lab/deep/b.hl7", b"z.hl7"]
    assert place.names("in/done") == ["lab/a.hl7", "lab/deep/b.hl7", "z.hl7"]
    await source.stop()
    place.put("y.hl7")
    await place.source(engine)
    await engine.has(4)
    assert engine.got[3].headers["file"] == "y.hl7"


async def test_what_was_taken_and_not_put_away_before_a_crash_is_known_again(place: Place) -> None:
    place.put("a.hl7")
    engine = FakeEngine(held=True)
    source = await place.source(engine, reclaim="50ms")
    await engine.has(1)
    assert source._looking is not None
    source._looking.cancel()  # as a crash would
    await asyncio.gather(source._looking, return_exceptions=True)
    await source.folder.close()
    source.watcher.mine.clear()
    place.opened.remove(source)
    again = FakeEngine()
    await place.source(again, reclaim="50ms")
    await again.has(1)
    assert again.got[0].once == engine.got[0].once
    await until(lambda: place.names("in/done") == ["a.hl7"])


async def test_another_content_of_the_same_name_and_size_is_another_file(place: Place) -> None:
    engine = FakeEngine()
    await place.source(engine)
    for body in (b"one", b"two"):
        place.put("a.hl7", body, at_s=1_767_600_000)
        await until(lambda: place.names() == [])
    assert len({message.once for message in engine.got}) == 2


async def test_two_engines_take_each_file_once(place: Place) -> None:
    first, second = FakeEngine(), FakeEngine()
    options = {"claim": "rename"} if place.kind == "file" else {}
    await place.source(first, **options)
    await place.source(second, **options)
    for number in range(20):
        place.put(f"{number}.hl7", str(number).encode())
    await until(lambda: len(place.names("in/done")) == 20)
    taken = [message.body for message in (*first.got, *second.got)]
    assert sorted(taken) == sorted(str(number).encode() for number in range(20))
    await until(lambda: place.names() == [])


# The destination


async def test_a_message_becomes_a_file_and_the_same_message_the_same_file(place: Place) -> None:
    destination = place.destination(name="{channel}-{date}-{id}.hl7")
    for _ in range(2):
        receipt = await destination.send(MESSAGE)
    assert (receipt.code, receipt.headers["file"]) == ("written", "lab-20260105-0199a.hl7")
    assert place.names("out") == ["lab-20260105-0199a.hl7"]
    assert place.get("out/lab-20260105-0199a.hl7") == b"body"


async def test_a_name_that_is_there_is_numbered_or_refused(place: Place) -> None:
    numbers = place.destination(name="{channel}.hl7", exists="number")
    for _ in range(3):
        await numbers.send(MESSAGE)
    assert place.names("out") == ["lab.2.hl7", "lab.3.hl7", "lab.hl7"]
    refuses = place.destination(name="{channel}.hl7", exists="refuse")
    with pytest.raises(Refused, match="JL-E312"):
        await refuses.send(MESSAGE)
    with pytest.raises(Refused, match="JL-E312"):
        await refuses.send(Message(b"another", id="2", channel="lab", attempt=2))
    assert (await refuses.send(Message(b"body", id="0199a", channel="lab", attempt=2))).code == "written"
    assert place.get("out/lab.hl7") == b"body"


async def test_fields_of_the_message_name_its_file_and_lead_nowhere_else(place: Place) -> None:
    body = b"MSH|^~\\&|HIS|A|LIS|B|20260105080000||ADT^A01|1|P|2.5\rPID|1||../../P/1\r"
    destination = place.destination("hl7v2", name="{$PID-3.1}_{$PID-99}_{stem}_{id}.hl7")
    message = Message(body, id="7", headers={"file": "lab/../报告 1.hl7"})
    assert (await destination.send(message)).headers["file"] == "P_1___报告_1_7.hl7"
    assert place.names("out") == ["P_1___报告_1_7.hl7"]
