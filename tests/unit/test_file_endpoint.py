"""Files that others put into a folder, and files that others fetch from one."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from endpoint_parts import FakeEngine, until
from pydantic import ValidationError

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.file import FileDestination, FileSource
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[FileSource]]


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[FileSource] = []

    async def open(engine: FakeEngine, **options: Any) -> FileSource:
        made = registry.sources.get("file")
        options = {"folder": "in", "poll": "10ms", "settle": "0s", **options}
        opened.append(made(made.Options(**options), Ground("drop", base_dir=str(tmp_path))))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    (tmp_path / "in").mkdir()
    yield open
    for one in opened:
        await one.stop()


def put(tmp_path: Path, name: str, body: bytes = b"x") -> Path:
    """As a careful sender does: the name appears when the file is whole."""
    path = tmp_path / "in" / name
    part = path.with_name(f".{name}")
    part.write_bytes(body)
    part.rename(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


async def looks(source: FileSource, count: int) -> None:
    """Until it has looked so often from now on."""
    left, due = [None] * count, source.watcher.due

    async def counted() -> Any:
        if left:
            left.pop()
        return await due()

    source.watcher.due = counted  # type: ignore[method-assign]
    await until(lambda: not left)


async def test_files_are_taken_in_the_order_of_their_names_and_moved(source: Open, tmp_path: Path) -> None:
    for name in ("b.hl7", "c.hl7", "a.hl7"):
        put(tmp_path, name, name.encode())
    engine = FakeEngine()
    await source(engine, charset="GB18030")
    await engine.has(3)
    await until(lambda: names(tmp_path / "in") == [])
    assert [message.body for message in engine.got] == [b"a.hl7", b"b.hl7", b"c.hl7"]
    assert names(tmp_path / "in" / "done") == ["a.hl7", "b.hl7", "c.hl7"]
    first = engine.got[0]
    assert (first.source, dict(first.headers), first.charset) == (
        "file in/a.hl7",
        {"file": "a.hl7"},
        "GB18030",
    )


async def test_a_file_is_moved_only_after_the_reply_and_the_next_waits_for_it(
    source: Open, tmp_path: Path
) -> None:
    put(tmp_path, "a.hl7")
    put(tmp_path, "b.hl7")
    engine = FakeEngine(held=True)
    await source(engine)
    await engine.has(1)
    assert names(tmp_path / "in") == ["a.hl7", "b.hl7"]
    engine.open[0].set_result(Reply("accepted"))
    await engine.has(2)
    assert names(tmp_path / "in") == ["b.hl7"]
    engine.open[1].set_result(Reply("accepted"))


async def test_of_two_processes_one_takes_from_a_folder_and_the_other_takes_over(
    source: Open, tmp_path: Path
) -> None:
    first, second = FakeEngine(), FakeEngine()
    running = await source(first)
    put(tmp_path, "a.hl7")
    await first.has(1)
    await source(second)
    put(tmp_path, "b.hl7")
    await until(lambda: names(tmp_path / "in" / "done") == ["a.hl7", "b.hl7"])
    assert (len(first.got), len(second.got)) == (2, 0)
    await running.stop()
    put(tmp_path, "c.hl7")
    await second.has(1)


async def test_a_file_can_be_deleted_instead(source: Open, tmp_path: Path) -> None:
    path = put(tmp_path, "a.hl7")
    await source(FakeEngine(), done="delete")
    await until(lambda: not path.exists())
    assert names(tmp_path / "in" / "done") == []


async def test_a_link_that_comes_in_a_files_place_is_not_followed(source: Open, tmp_path: Path) -> None:
    secret = tmp_path / "site.key"
    secret.write_text("0123")
    put(tmp_path, "a.hl7")
    second = put(tmp_path, "b.hl7")
    engine = FakeEngine(held=True)
    await source(engine)
    await engine.has(1)
    second.unlink()
    second.symlink_to(secret)
    put(tmp_path, "c.hl7", b"c")
    engine.open[0].set_result(Reply("accepted"))
    await engine.has(2)
    engine.open[1].set_result(Reply("accepted"))
    assert [message.body for message in engine.got] == [b"x", b"c"]


async def test_a_reason_is_written_to_no_file_that_a_link_names(source: Open, tmp_path: Path) -> None:
    secret = tmp_path / "site.key"
    secret.write_text("0123")
    await source(FakeEngine(Reply("refused", id="0199", code="JL-M031", text="no")))
    reason = tmp_path / "in" / "failed" / "a.hl7.reason.txt"
    reason.symlink_to(secret)
    put(tmp_path, "a.hl7")
    await until(lambda: not reason.is_symlink() and reason.exists() and bool(reason.read_text()))
    assert secret.read_text() == "0123"


async def test_a_refused_file_goes_to_failed_with_its_reason_and_nothing_of_the_patient(
    source: Open, tmp_path: Path
) -> None:
    put(tmp_path, "a.hl7", b"bad")
    put(tmp_path, "b.hl7", b"good")

    def reply(message: Message) -> Reply:
        if message.body == b"good":
            return Reply("accepted")
        return Reply("refused", id="0199", code="JL-M031", text="TEST^ONE is no date", path="PID-7")

    await source(FakeEngine(reply))
    failed = tmp_path / "in" / "failed"
    await until(lambda: names(tmp_path / "in") == [])
    assert names(failed) == ["a.hl7", "a.hl7.reason.txt"]
    assert (failed / "a.hl7.reason.txt").read_text() == "JL-M031 PID-7 0199\n"
    assert (failed / "a.hl7").read_bytes() == b"bad"
    assert names(tmp_path / "in" / "done") == ["b.hl7"]


async def test_a_file_stays_while_the_engine_takes_nothing(source: Open, tmp_path: Path) -> None:
    put(tmp_path, "a.hl7", b"a")
    put(tmp_path, "b.hl7", b"b")
    engine = FakeEngine(Reply("failed", code="JL-B001", retry_after_s=5))
    await source(engine)
    await engine.has(3)
    assert {message.body for message in engine.got} == {b"a"}
    assert names(tmp_path / "in") == ["a.hl7", "b.hl7"]
    engine.reply = Reply("accepted")
    await until(lambda: names(tmp_path / "in") == [])


async def test_a_file_that_grows_is_left_alone_until_it_settles(source: Open, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.hl7"
    engine = FakeEngine()
    opened = await source(engine, settle="50ms")
    for _ in range(20):
        with path.open("ab") as file:
            file.write(b"0123456789")
        await opened._look()
        assert engine.got == []
    await engine.has(1)
    assert engine.got[0].body == b"0123456789" * 20


async def test_names_that_are_not_meant_are_left_alone(source: Open, tmp_path: Path) -> None:
    others = [".a.hl7", "a.hl7.part", "a.tmp", "a.txt"]
    for name in [*others, "z.hl7"]:
        put(tmp_path, name)
    (tmp_path / "secret").write_bytes(b"s")
    os.symlink(tmp_path / "secret", tmp_path / "in" / "link.hl7")
    engine = FakeEngine()
    await source(engine, pattern="*.hl7")
    await engine.has(1)
    await until(lambda: names(tmp_path / "in" / "done") == ["z.hl7"])
    assert names(tmp_path / "in") == sorted([*others, "link.hl7"])
    assert len(engine.got) == 1


async def test_a_file_over_the_limit_goes_to_failed_and_the_others_are_taken(
    source: Open, tmp_path: Path
) -> None:
    put(tmp_path, "a.hl7", b"x" * 5001)
    put(tmp_path, "b.hl7", b"x" * 5000)
    engine = FakeEngine()
    await source(engine, max_size="5KB")
    await until(lambda: names(tmp_path / "in") == [])
    assert names(tmp_path / "in" / "failed") == ["a.hl7", "a.hl7.reason.txt"]
    assert [len(message.body) for message in engine.got] == [5000]
    (filed,) = engine.refused
    assert (filed.body, filed.headers["file"], filed.fault_code) == (b"x" * 4096, "a.hl7", "JL-E301")


async def test_one_look_takes_no_more_than_a_batch(source: Open, tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, f"{number}.hl7")
    engine = FakeEngine()
    opened = await source(engine, batch=2, poll="1h")
    await until(lambda: len(opened.watcher.settling) == 5)
    await opened._look()
    assert [message.headers["file"] for message in engine.got] == ["0.hl7", "1.hl7"]


async def test_the_same_name_again_does_not_overwrite_what_was_done(source: Open, tmp_path: Path) -> None:
    engine = FakeEngine()
    await source(engine)
    for number in range(3):
        path = put(tmp_path, "a.hl7", str(number).encode())
        await until(lambda path=path: not path.exists())  # type: ignore[misc]
    done = tmp_path / "in" / "done"
    assert names(done) == ["a.2.hl7", "a.3.hl7", "a.hl7"]
    assert [(done / name).read_bytes() for name in names(done)] == [b"1", b"2", b"0"]


async def test_a_file_that_cannot_be_moved_is_not_taken_twice_and_is_named_once(
    source: Open, tmp_path: Path
) -> None:
    engine = FakeEngine(held=True)
    opened = await source(engine)
    done = tmp_path / "in" / "done"
    shutil.rmtree(done)
    put(tmp_path, "a.hl7")
    put(tmp_path, "b.hl7")
    with structlog.testing.capture_logs() as logs:
        await engine.has(1)
        engine.held = False
        engine.open[0].set_result(Reply("accepted"))
        await engine.has(2)
        await until(lambda: "2 file(s)" in opened.trouble)
        await looks(opened, 5)
    assert len(engine.got) == 2
    assert [entry["event"] for entry in logs] == ["file.unusable"] * 2
    assert "a.hl7" not in str(logs) + opened.trouble
    done.mkdir()
    await until(lambda: names(done) == ["a.hl7", "b.hl7"])
    await until(lambda: opened.trouble == "")
    assert len(engine.got) == 2


async def test_a_folder_that_goes_away_and_comes_back_is_looked_at_again(
    source: Open, tmp_path: Path
) -> None:
    engine = FakeEngine()
    await source(engine)
    with structlog.testing.capture_logs() as logs:
        (tmp_path / "in").rename(tmp_path / "gone")
        await until(lambda: bool(logs))
    (tmp_path / "gone").rename(tmp_path / "in")
    put(tmp_path, "a.hl7")
    await engine.has(1)


async def test_a_paused_source_takes_nothing_until_it_resumes(source: Open, tmp_path: Path) -> None:
    engine = FakeEngine()
    opened = await source(engine)
    opened.pause()
    put(tmp_path, "a.hl7")
    await until(lambda: len(opened.watcher.settling) == 1)
    assert engine.got == []
    opened.resume()
    await engine.has(1)


async def test_a_stop_waits_for_the_reply_and_moves_the_file(source: Open, tmp_path: Path) -> None:
    put(tmp_path, "a.hl7")
    put(tmp_path, "b.hl7")
    engine = FakeEngine(held=True)
    opened = await source(engine)
    await engine.has(1)
    stopping = asyncio.create_task(opened.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    engine.open[0].set_result(Reply("accepted"))
    await stopping
    assert names(tmp_path / "in") == ["b.hl7"]
    assert names(tmp_path / "in" / "done") == ["a.hl7"]
    assert len(engine.got) == 1


async def test_a_folder_that_cannot_be_is_an_os_error(source: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        await source(FakeEngine(), folder="file")


# The destination

MESSAGE = Message(b"body", id="0199a", channel="lab", received_ms=1_767_571_200_000)


def writer(tmp_path: Path, **options: Any) -> FileDestination:
    made = registry.destinations.get("file")
    destination: FileDestination = made(
        made.Options(folder="out", **options), Ground("a.b", base_dir=str(tmp_path))
    )
    return destination


async def test_a_message_becomes_a_file_and_the_same_message_the_same_file(tmp_path: Path) -> None:
    destination = writer(tmp_path, name="{channel}-{date}-{id}.hl7")
    for _ in range(2):
        receipt = await destination.send(MESSAGE)
    assert (receipt.code, receipt.headers["file"]) == ("written", "lab-20260105-0199a.hl7")
    assert names(tmp_path / "out") == ["lab-20260105-0199a.hl7"]
    assert (tmp_path / "out" / "lab-20260105-0199a.hl7").read_bytes() == b"body"


@pytest.mark.parametrize("name", ["x.hl7", "{id}/{channel}", "../{id}", ".{id}", "{id}{body}", "{id}\\a"])
def test_a_name_that_leaves_the_folder_or_does_not_tell_messages_apart_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ValidationError):
        writer(tmp_path, name=name)


@pytest.mark.parametrize("id", ["", "../../etc/passwd", "a/b", "..", "a\0b", "x" * 300])
async def test_an_id_that_makes_no_file_name_is_refused_and_nothing_is_written(
    tmp_path: Path, id: str
) -> None:
    with pytest.raises(Refused, match="JL-E311") as caught:
        await writer(tmp_path).send(Message(b"body", id=id))
    assert not caught.value.retry
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []
    assert names(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_unreachable_and_keeps_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(Unreachable, match="JL-E310") as caught:
        await writer(tmp_path).send(MESSAGE)
    assert not caught.value.maybe_done


async def test_a_full_disk_is_unreachable_and_keeps_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="No space left"):
        await writer(tmp_path).send(MESSAGE)
    assert names(tmp_path / "out") == []


async def test_a_file_that_the_engine_fails_at_does_not_hold_the_next(source: Open, tmp_path: Path) -> None:
    def reply(message: Message) -> Reply:
        return Reply("failed", code="JL-D900") if message.headers["file"] == "a.hl7" else Reply("accepted")

    put(tmp_path, "a.hl7")
    put(tmp_path, "b.hl7")
    await source(FakeEngine(reply))
    await until(lambda: names(tmp_path / "in" / "done") == ["b.hl7"])
    assert names(tmp_path / "in") == ["a.hl7"]
