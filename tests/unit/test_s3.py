"""S3, against moto's server, and against servers that are in trouble."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from authority import Authority
from blob_parts import FakeBlob
from endpoint_parts import FakeEngine, until
from folder_parts import Place
from pydantic import ValidationError
from s3d import S3Place

from config.errors import Unreachable
from endpoints.files import s3
from schemas.message import Message, Reply

MESSAGE = Message(b"body", id="0199a", channel="lab")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[S3Place]:
    made = S3Place(tmp_path)
    yield made
    await made.close()


async def refused(place: Place, text: str, maybe_done: bool = False, **options: Any) -> None:
    with pytest.raises(Unreachable, match=text) as caught:
        await place.destination(**options).send(MESSAGE)
    assert caught.value.maybe_done == maybe_done
    assert MESSAGE.id not in str(caught.value)


async def test_what_is_done_can_stay_where_it_is_with_a_tag(place: S3Place) -> None:
    for name in ("a.hl7", "b.hl7"):
        place.put(name)
    place.client.put_object_tagging(
        Bucket=place.bucket, Key="in/a.hl7", Tagging={"TagSet": [{"Key": "own", "Value": "1"}]}
    )
    engine = FakeEngine()
    source = await place.source(engine, done="tag")
    await engine.has(2)
    await until(lambda: place.names() == ["a.hl7", "b.hl7"])
    await source.stop()
    tags = place.client.get_object_tagging(Bucket=place.bucket, Key="in/a.hl7")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"own": "1", "jingluo": "done"}
    await place.source(engine, done="tag")  # as after a restart
    place.put("a.hl7", b"another content of the name")
    place.put("c.hl7")
    await engine.has(4)
    assert [message.headers["file"] for message in engine.got[2:]] == ["a.hl7", "c.hl7"]


async def test_what_stays_with_a_tag_never_hides_what_is_new(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.files.s3.MOST_NAMES", 0)
    source = await place.source(FakeEngine(), done="tag")
    await until(lambda: "more than 0 objects" in source.trouble)


async def test_a_claim_of_an_engine_that_died_is_taken_over_and_one_of_nothing_removed(
    place: S3Place,
) -> None:
    for name in (".taken.a.hl7", ".taken.gone.hl7", "a.hl7"):
        place.put(name)
    engine = FakeEngine()
    source = await place.source(engine, reclaim="1h")
    await until(lambda: source.trouble == "" and source.folder._made is not None)  # type: ignore[attr-defined]
    assert engine.got == []
    await source.stop()
    await place.source(engine, reclaim="1ms")
    await engine.has(1)
    await until(lambda: place.names() == [] and place.names("in/done") == ["a.hl7"])


async def test_a_claim_is_no_longer_ours_once_another_has_taken_it_over(place: S3Place) -> None:
    place.put("a.hl7")
    place.put(".taken.a.hl7", b"dead")
    source = await place.source(FakeEngine(), start=False, reclaim="1ms")
    other = await place.source(FakeEngine(), start=False, reclaim="1ms")
    await asyncio.sleep(1.1)  # the server counts in seconds
    for one in (source, other):
        await one.watcher.due()
    (seen,) = source.watcher.settling
    await source.folder.claim(seen, "1")
    with pytest.raises(FileNotFoundError):
        await other.folder.claim(seen, "2")


async def test_without_claims_files_are_taken_as_they_are(place: S3Place) -> None:
    place.put("a.hl7")
    engine = FakeEngine(held=True)
    await place.source(engine, claim=False)
    await engine.has(1)
    assert place.names() == ["a.hl7"]
    engine.open[0].set_result(Reply("accepted"))
    await until(lambda: place.names("in/done") == ["a.hl7"])


async def test_an_object_that_changed_since_it_was_seen_is_not_taken_for_the_old_one(place: S3Place) -> None:
    place.put("a.hl7", b"old")
    source = await place.source(FakeEngine(), start=False)
    await source.watcher.due()
    (seen,) = source.watcher.settling
    place.put("a.hl7", b"new")
    with pytest.raises(OSError, match="another one by now"):
        await anext(source.folder.read(seen))


async def test_a_large_body_goes_in_parts_and_what_fails_leaves_nothing(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PART", 5_500_000)
    pieces = tuple(bytes([number]) * 1_000_000 for number in range(18))
    destination = place.destination(name="{id}.bin")
    seen: set[str] = set()
    whole = FakeBlob(*pieces, during=lambda number: seen.update(place.names("out")))
    await destination.send(Message(b"", id="1", blob=whole))
    assert place.get("out/1.bin") == b"".join(pieces)
    assert seen == set()
    assert "-" in place.client.head_object(Bucket=place.bucket, Key="out/1.bin")["ETag"], "in parts"

    def breaks(number: int) -> None:
        if number == 17:
            raise OSError(5, "the body's own file is gone")

    with pytest.raises(Unreachable):
        await destination.send(Message(b"", id="2", blob=FakeBlob(*pieces, during=breaks)))
    assert place.names("out") == ["1.bin"]
    assert "Uploads" not in place.client.list_multipart_uploads(Bucket=place.bucket)


async def test_a_bucket_that_is_not_there_is_said(place: S3Place) -> None:
    await refused(place, "JL-E320.*no such bucket", bucket="another")
    await refused(place, "JL-E320.*no answer", url="http://127.0.0.1:1")
    source = await place.source(FakeEngine(), bucket="another")
    await until(lambda: "no such bucket" in source.trouble)


@pytest.mark.parametrize(
    ("status", "code", "text", "maybe_done"),
    [
        (403, "InvalidAccessKeyId", "JL-E322.*InvalidAccessKeyId", False),
        (403, "SignatureDoesNotMatch", "JL-E322", False),
        (403, "AccessDenied", "JL-E310.*AccessDenied", False),
        (503, "SlowDown", "JL-E320.*SlowDown", True),
        (500, "", "JL-E320.*500", True),
        (400, "EntityTooLarge", "JL-E310.*EntityTooLarge", False),
        (0, "", "JL-E320.*no answer", True),
    ],
)
async def test_what_a_server_says_decides_what_is_said(
    place: S3Place, status: int, code: str, text: str, maybe_done: bool
) -> None:
    body = f"<Error><Code>{code}</Code><Message>of out/0199a</Message></Error>" if code else ""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if status:
            head = f"HTTP/1.1 {status} no\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write((head + body).encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await refused(place, text, maybe_done, url=url)
    server.close()


async def test_what_was_written_and_not_answered_is_not_taken_for_anothers(place: S3Place) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[0])
        if asked[-1] == b"HEAD" or asked.count(b"PUT") > 1:
            status = b"404" if asked[-1] == b"HEAD" else b"412"
            writer.write(b"HTTP/1.1 " + status + b" no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await refused(place, "JL-E320.*no answer", maybe_done=True, url=url, exists="refuse")
    server.close()


async def test_a_server_whose_certificate_is_not_good_gets_nothing(place: S3Place) -> None:
    pair = Authority(place.root).issue("s3", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.write(b"HTTP/1.1 200 yes\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    other = Authority(place.root, "Other Authority").file.name
    with structlog.testing.capture_logs():
        await refused(place, "JL-E321.*TLS: ", url=url, ca=other)
        await refused(place, "JL-E321.*TLS: ", url=url)
    assert heard == []
    assert (await place.destination(url=url, ca="test-authority.pem").send(MESSAGE)).code == "written"
    server.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://id:key@s3.hospital.local"},
        {"url": "s3.hospital.local"},
        {"folder": "/in/"},
        {"folder": "in//lab"},
        {"bucket": "A b"},
        {"done": "leave"},
    ],
)
async def test_options_that_make_no_sense_are_refused(place: S3Place, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await place.source(FakeEngine(), start=False, **wrong)
