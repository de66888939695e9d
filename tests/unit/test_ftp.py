"""FTP and FTPS, against pyftpdlib's server, and against servers that are not what they should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from authority import Authority
from blob_parts import FakeBlob
from endpoint_parts import FakeEngine, until
from folder_parts import Place
from ftpd import FtpPlace, FtpsPlace, ImplicitPlace
from pydantic import ValidationError

from config.errors import Refused, Unreachable
from endpoints.files.folder import Away, Entry
from endpoints.files.ftp_session import _listed
from schemas.message import Message

MESSAGE = Message(b"body", id="0199a", channel="lab")
Open = Callable[..., FtpPlace]


@pytest.fixture
async def open(tmp_path: Path) -> AsyncIterator[Open]:
    made: list[FtpPlace] = []

    def one(kind: type[FtpPlace] = FtpPlace, **facts: Any) -> FtpPlace:
        made.append(kind(tmp_path, **facts))
        return made[-1]

    yield one
    for place in made:
        await place.close()


async def refused(place: Place, text: str, **options: Any) -> None:
    with pytest.raises(Unreachable, match=text) as caught:
        await place.destination(**options).send(MESSAGE)
    assert not caught.value.maybe_done
    assert not (place.root / "out").exists()


@pytest.mark.parametrize("kind", [FtpsPlace, ImplicitPlace])
async def test_a_server_whose_certificate_is_not_good_is_told_no_password(
    open: Open, kind: type[FtpPlace]
) -> None:
    place = open(kind)
    other = Authority(place.root, "Other Authority").file.name
    await refused(place, "JL-E321.*self-signed|JL-E321.*issuer", tls={"ca": other})
    named = {"ca": "test-authority.pem", "name": "lis.hospital.local"}
    await refused(place, "JL-E321.*[Hh]ostname mismatch", tls=named)
    await refused(place, "JL-E321.*TLS: .*No such file", tls={"ca": "gone.pem"})
    assert (await place.destination().send(MESSAGE)).code == "written"


async def test_files_go_both_ways_by_implicit_tls(open: Open) -> None:
    place = open(ImplicitPlace)
    place.put("a.bin", b"\r\n\xff" * 200_000)
    engine = FakeEngine()
    await place.source(engine)
    assert (await engine.has(1))[0].body == b"\r\n\xff" * 200_000
    await until(lambda: place.names("in/done") == ["a.bin"])


async def test_a_server_without_tls_hears_no_password(open: Open) -> None:
    await refused(open(), "JL-E320.*does not do that", secure="explicit", tls={"ca": ""})


async def test_in_clear_is_asked_for_and_has_no_certificates(open: Open) -> None:
    place = open()
    with pytest.raises(ValidationError, match="without TLS"):
        place.destination(tls={"ca": "a.pem"})
    with pytest.raises(ValidationError, match="password"):
        place.destination(password="")


async def test_who_is_not_let_in_hears_so(open: Open) -> None:
    await refused(open(auth_failed_timeout=0), "JL-E322.*lis is not let in", password="wrong")


async def test_a_server_that_is_away_is_said_once_and_asked_again(open: Open) -> None:
    place = open()
    engine = FakeEngine()
    source = await place.source(engine)
    place.put("a.hl7")
    await engine.has(1)
    with structlog.testing.capture_logs() as logs:
        place.end()
        await until(lambda: "JL-E320" in source.trouble)
        place.put("b.hl7")
        await refused(place, "JL-E320.*refused")
        place.begin()
        await engine.has(2)
    await until(lambda: source.trouble == "")
    assert len([entry for entry in logs if entry["event"] == "file.folder_unreadable"]) <= 2


async def test_a_server_that_can_only_list_names(open: Open) -> None:
    few = {name: fact for name, fact in FtpPlace.handler.proto_cmds.items() if name not in ("MLSD", "MLST")}
    place = open(proto_cmds=few)
    for name in ("a.hl7", "b.hl7"):
        place.put(name, name.encode())
    engine = FakeEngine()
    await place.source(engine, pattern="*.hl7")
    assert [message.body for message in await engine.has(2)] == [b"a.hl7", b"b.hl7"]
    await until(lambda: place.names("in/done") == ["a.hl7", "b.hl7"])


async def test_names_in_gbk_are_read_and_written_as_the_server_has_them(open: Open) -> None:
    place = open(encoding="gb18030")
    place.put("检验.hl7")
    engine = FakeEngine()
    await place.source(engine, names="GB18030", pattern="检*")
    assert (await engine.has(1))[0].headers["file"] == "检验.hl7"
    await until(lambda: place.names("in/done") == ["检验.hl7"])
    await place.destination(names="GB18030", name="{channel}{id}").send(Message(b"b", id="1", channel="检验"))
    assert place.names("out") == ["检验1"]


async def test_half_of_a_large_body_is_never_seen(open: Open) -> None:
    place = open()
    pieces = tuple(bytes([number]) * 500_000 for number in range(6))
    destination = place.destination(name="{id}.bin")
    seen: set[str] = set()
    whole = FakeBlob(*pieces, during=lambda number: seen.update(place.names("out")))
    await destination.send(Message(b"", id="1", blob=whole))
    assert place.get("out/1.bin") == b"".join(pieces)
    assert seen <= {".1-lab.out.part"}

    def breaks(number: int) -> None:
        if number == 3:
            raise OSError(5, "the body's own file is gone")

    with pytest.raises(Unreachable):
        await destination.send(Message(b"", id="2", blob=FakeBlob(*pieces, during=breaks)))
    assert place.names("out") == ["1.bin"]
    await destination.send(Message(b"whole", id="2"))
    assert place.get("out/2.bin") == b"whole"


async def test_a_right_that_is_missing_is_named_once_and_the_file_taken_once(open: Open) -> None:
    place = open()
    (place.root / "in/done").mkdir()
    place.server.handler.authorizer.override_perm("lis", str(place.root / "in/done"), "el")
    place.put("a.hl7")
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        source = await place.source(engine)
        await until(lambda: "does not allow it (550)" in source.trouble)
        place.put("b.hl7")
        await until(lambda: "2 file(s)" in source.trouble)
    assert len(engine.got) == 2
    assert [entry["event"] for entry in logs] == ["file.unusable"] * 2


# Servers of our own making


async def _says(lines: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        answer = lines.get(line[:4].decode().strip(), "200 yes")
        writer.write(f"{answer}\r\n".encode())
        if not answer:
            break
    writer.close()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ({"USER": "999 what"}, "JL-E320.*no sense"),
        ({"USER": "x" * 9000}, "JL-E320.*no sense"),
        ({"USER": "421 busy"}, "JL-E320"),
        ({"USER": ""}, "JL-E320"),
        ({"PASV": "227 Entering (1,2)", "EPSV": "229 (|||0|)"}, "JL-E3"),
        ({"PASV": "227 Entering (10,0,0,9,0,9)"}, "JL-E320.*refused"),
    ],
)
async def test_answers_that_make_no_sense_are_an_end_of_the_session(
    open: Open, lines: dict[str, str], text: str
) -> None:
    place = open()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _says(lines, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await refused(place, text, port=port, timeout="2s")
    server.close()


async def test_a_session_that_broke_as_a_file_was_asked_for_is_not_used_again(open: Open) -> None:
    place = open()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _says({"PASV": "227 Entering (1,2)"}, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    folder = place.destination(port=server.sockets[0].getsockname()[1], timeout="2s").folder
    with pytest.raises(Away):
        await anext(folder.read(Entry("a", 1, 0)))
    assert folder._idle == []  # type: ignore[attr-defined]
    server.close()


def test_lines_of_a_listing_are_read_as_they_come() -> None:
    full = _listed("Type=file;Size=10;Modify=20260105080000.5;UNIX.mode=0644; a b.hl7")
    assert full == ("a b.hl7", "file", 10, 1_767_600_000_500_000_000)
    assert _listed("type=file;size=many;modify=when; a") == ("a", "file", -1, 0)
    assert _listed("type=OS.unix=slink:/etc;; link") is None
    assert _listed("what is this") is None


async def test_a_listing_without_an_end_is_given_up(open: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoints.files.ftp_session.MOST_NAMES", 3)
    place = open()
    for number in range(5):
        place.put(f"{number}.hl7")
    source = await place.source(FakeEngine())
    await until(lambda: "more than 3 names" in source.trouble)


async def test_a_name_that_the_servers_charset_has_not_is_refused(open: Open) -> None:
    with pytest.raises(Refused, match="JL-E311"):
        await (
            open()
            .destination(names="latin-1", name="{channel}{id}")
            .send(Message(b"b", id="1", channel="检验"))
        )
