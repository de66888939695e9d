"""Folders of this machine that are shares of others: away, slow, shared with other engines, with old names."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from endpoint_parts import FakeEngine, until
from folder_parts import Place
from pydantic import ValidationError

from config import registry
from config.errors import Unreachable
from endpoints.files import watcher
from endpoints.files.names import safe_part
from endpoints.files.watcher import Watcher
from schemas.message import Message, Reply

MESSAGE = Message(b"body", id="0199a", channel="lab")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.close()


async def test_a_share_that_is_not_mounted_is_not_taken_for_an_empty_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = True
    monkeypatch.setattr(os.path, "ismount", lambda path: mounted and path == str(place.root))
    engine = FakeEngine()
    source = await place.source(engine, mount=".")
    destination = place.destination(mount=".")
    await destination.send(MESSAGE)
    with structlog.testing.capture_logs() as logs:
        mounted = False
        place.put("a.hl7")
        await until(lambda: "is not mounted" in source.trouble)
        with pytest.raises(Unreachable, match=r"JL-E310.*is not mounted"):
            await destination.send(Message(b"b", id="2"))
        asked = len(logs)
        mounted = True
        await engine.has(1)
    await until(lambda: source.trouble == "")
    assert asked == 1, "however often it was looked"
    assert place.names("out") == ["0199a"]


async def test_a_share_that_hangs_takes_one_thread_and_is_said_to_hang(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, scandir = threading.Event(), os.scandir
    hung: list[Any] = []

    def hangs(path: Any) -> Iterator[os.DirEntry[Any]]:
        if not gate.is_set():
            hung.append(path)
            gate.wait(20)
        return scandir(path)

    engine = FakeEngine()
    source = await place.source(engine, timeout="50ms")
    turns, turn = [], source.folder.turn

    async def counted() -> bool:
        turns.append(0)
        return await turn()

    monkeypatch.setattr(source.folder, "turn", counted)
    monkeypatch.setattr(os, "scandir", hangs)
    place.put("a.hl7")
    try:
        await until(lambda: "does not answer" in source.trouble)
        turns.clear()
        await until(lambda: len(turns) > 5)
        assert len(hung) == 1
    finally:
        gate.set()
    await engine.has(1)
    await until(lambda: source.trouble == "")


async def test_files_can_come_in_the_order_of_their_time(place: Place) -> None:
    now = time.time()
    for name, ago in (("a.hl7", 10), ("b.hl7", 30), ("c.hl7", 20)):
        place.put(name, at_s=now - ago)
    engine = FakeEngine()
    await place.source(engine, order="time")
    await engine.has(3)
    assert [message.headers["file"] for message in engine.got] == ["b.hl7", "c.hl7", "a.hl7"]


async def test_a_file_that_is_not_old_enough_waits(place: Place) -> None:
    place.put("a.hl7")
    place.put("b.hl7", at_s=time.time() - 7200)
    engine = FakeEngine()
    source = await place.source(engine, age="1h")
    await engine.has(1)
    await until(lambda: place.names() == ["a.hl7"] and len(source.watcher.settling) == 1)
    assert [message.headers["file"] for message in engine.got] == ["b.hl7"]


async def test_a_file_that_was_moved_back_by_hand_is_another(place: Place) -> None:
    place.put("a.hl7")
    engine = FakeEngine()
    await place.source(engine)
    await until(lambda: place.names("in/done") == ["a.hl7"])
    (place.root / "in/done/a.hl7").rename(place.root / "in/a.hl7")
    first, second = await engine.has(2)
    assert first.once != second.once


async def test_a_claim_that_nobody_finishes_is_taken_over(place: Place) -> None:
    place.put("a.hl7.taken-0a1b2c3d.part", b"a")
    place.put("b.txt.taken-0a1b2c3d.part", b"not meant")
    engine = FakeEngine()
    source = await place.source(engine, claim="rename", reclaim="1h", pattern="*.hl7")
    await until(lambda: len(source.watcher.settling) == 1)
    assert engine.got == []
    await source.stop()
    await place.source(engine, claim="rename", reclaim="20ms", pattern="*.hl7")
    assert (await engine.has(1))[0].headers["file"] == "a.hl7"
    await until(lambda: place.names("in/done") == ["a.hl7"])


async def test_a_share_without_locks_is_shared_by_claims(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*given: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    engine = FakeEngine(held=True)
    await place.source(engine)
    place.put("a.hl7")
    await engine.has(1)
    assert [name[:12] for name in place.names()] == ["a.hl7.taken-"]
    engine.open[0].set_result(Reply("accepted"))
    await until(lambda: place.names("in/done") == ["a.hl7"])


async def test_names_in_gbk_are_read_and_written_as_the_share_has_them(place: Place) -> None:
    (place.root / "in" / os.fsdecode("检验.hl7".encode("gb18030"))).write_bytes(b"x")
    (place.root / "in" / os.fsdecode(b"\xff.hl7")).write_bytes(b"y")
    engine = FakeEngine()
    await place.source(engine, names="GB18030", pattern=["检*.hl7", "?.hl7"])
    got = [message.headers["file"] for message in await engine.has(2)]
    assert got == ["检验.hl7", "\N{REPLACEMENT CHARACTER}.hl7"]
    await place.destination(names="GB18030", name="{channel}{id}").send(Message(b"b", id="1", channel="检验"))
    assert os.fsencode(next((place.root / "out").iterdir()).name) == "检验1".encode("gb18030")
    with pytest.raises(ValidationError, match="is no charset"):
        place.destination(names="GBX")


async def test_there_is_a_limit_to_the_folders_that_are_looked_into(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_MOST_FOLDERS", 3)
    for number in range(5):
        place.put(f"{number}/a.hl7")
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        await place.source(engine, recursive=True)
        await engine.has(2)
        await until(lambda: len(place.names()) == 3)
    assert [entry["event"] for entry in logs] == ["file.too_many_folders"]


async def test_a_link_in_place_of_what_is_being_written_is_not_followed(place: Place) -> None:
    secret = place.root / "site.key"
    secret.write_text("0123")
    (place.root / "out").mkdir()
    (place.root / "out" / ".0199a-lab.out.part").symlink_to(secret)
    await place.destination().send(MESSAGE)
    assert secret.read_text() == "0123"
    assert place.get("out/0199a") == b"body"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "a\nb", "a\0b"])
def test_what_a_server_calls_a_name_and_is_none_is_left_alone(place: Place, name: str) -> None:
    folder = place.destination().folder
    options = registry.sources.get("file").Options(folder="in")
    seen = Watcher(options, folder, "0a1b2c3d", "drop", time.time)
    assert not safe_part(name)
    assert seen._choose("")([name, "a.hl7"]) == ["a.hl7"]


@pytest.mark.parametrize("ready", ["ok", "*.ok*", "../*.ok", "*"])
async def test_a_marker_is_one_star_and_more(place: Place, ready: str) -> None:
    with pytest.raises(ValidationError, match="marker"):
        await place.source(FakeEngine(), ready=ready)


@pytest.mark.parametrize("name", ["x.hl7", "{stem}", "{$PID-3.1}"])
def test_a_name_without_the_id_must_say_what_becomes_of_the_file_that_is_there(
    place: Place, name: str
) -> None:
    with pytest.raises(ValidationError, match="exists"):
        place.destination(name=name)
    place.destination("hl7v2", name=name, exists="number")


async def test_what_is_claimed_is_not_lost_sight_of_behind_others(place: Place) -> None:
    for number in range(30):
        place.put(f"{number:02}.hl7")
    place.put("z.hl7.taken-0a1b2c3d.part", b"z")
    engine = FakeEngine()
    await place.source(engine, claim="rename", reclaim="1ms", batch=1)
    await engine.has(31)
    names = [message.headers["file"] for message in engine.got]
    assert names.index("z.hl7") < 10


async def test_a_file_that_grows_under_its_claim_settles_again(place: Place) -> None:
    engine = FakeEngine(Reply("failed", code="JL-B001", retry_after_s=5))
    source = await place.source(engine, claim="rename", settle="100ms")
    place.put("a.hl7", b"half")
    await engine.has(1)
    (taken,) = place.names()
    with (place.root / "in" / taken).open("ab") as sender:  # it has the file open, whatever it is called now
        sender.write(b" and half")
    await until(lambda: any(seen.size == 13 for seen in source.watcher.settling))
    engine.reply = Reply("accepted")
    await until(lambda: place.names("in/done") == ["a.hl7"])
    assert engine.got[-1].body == b"half and half"
