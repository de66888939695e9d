"""SFTP, against OpenSSH's server, and against servers that are not what they should be."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import structlog
from blob_parts import FakeBlob
from endpoint_parts import FakeEngine, until
from folder_parts import Place
from pydantic import ValidationError
from sshd import SftpPlace

from channels.report import check_site
from config.errors import Unreachable
from schemas.message import Message

MESSAGE = Message(b"body", id="0199a", channel="lab")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[SftpPlace]:
    made = SftpPlace(tmp_path)
    yield made
    await made.close()


async def refused(place: Place, code: str, text: str, **options: Any) -> None:
    with pytest.raises(Unreachable, match=f"{code}.*{text}") as caught:
        await place.destination(**options).send(MESSAGE)
    assert not caught.value.maybe_done
    assert not (place.root / "out").exists()


async def test_a_server_that_is_not_known_is_not_spoken_to(place: SftpPlace) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    (place.root / "others").write_text(f"[127.0.0.1]:{place.server.port} {stranger}")
    await refused(place, "JL-E321", "not who it should be: it shows SHA256:", known_hosts="others")
    (place.root / "others").write_text(f"[127.0.0.2]:22 {stranger}")
    await refused(place, "JL-E321", "no good key of 127.0.0.1", known_hosts="others")
    await refused(place, "JL-E321", "known_hosts: No such file", known_hosts="gone")
    other = f"SHA256:{'A' * 43}"
    await refused(place, "JL-E321", re.escape(place.server.fingerprint), known_hosts="", fingerprint=other)
    both = [other, place.server.fingerprint]
    assert (await place.destination(known_hosts="", fingerprint=both).send(MESSAGE)).code == "written"


async def test_without_a_word_on_who_the_server_is_nothing_is_said_to_it(place: SftpPlace) -> None:
    with pytest.raises(ValidationError, match="which server it must be"):
        place.destination(known_hosts="")
    with pytest.raises(ValidationError, match="no fingerprint"):
        place.destination(fingerprint="MD5:aa:bb")
    with pytest.raises(ValidationError, match="how we log in"):
        place.destination(key="")


async def test_who_is_not_let_in_hears_so(place: SftpPlace) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(place.root / "other"), "pkcs8-pem", passphrase="invented")
    await refused(place, "JL-E322", "is not let in", key="other", key_password="invented")
    await refused(place, "JL-E322", "not with this password", key="other", key_password="wrong")
    await refused(place, "JL-E322", "our key: No such file", key="gone")
    text = (place.root / "sshd/own_key").read_text()
    assert (await place.destination(key=text).send(MESSAGE)).code == "written"


async def test_a_server_that_is_away_is_said_once_and_asked_again(place: SftpPlace) -> None:
    engine = FakeEngine()
    source = await place.source(engine)
    await until(lambda: source.folder._client is not None)  # type: ignore[attr-defined]
    place.server.stop()
    with structlog.testing.capture_logs() as logs:
        source.folder._connection.abort()  # type: ignore[attr-defined]
        await until(lambda: "JL-E320" in source.trouble)
        place.put("a.hl7")
        await refused(place, "JL-E320", "sftp 127.0.0.1")
        place.server.start()
        await engine.has(1)
    await until(lambda: source.trouble == "")
    assert len([entry for entry in logs if entry["event"] == "file.folder_unreadable"]) <= 2


async def test_a_file_that_cannot_be_put_away_is_taken_once_and_named_once(place: SftpPlace) -> None:
    (place.root / "in/done").write_bytes(b"no folder")
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        source = await place.source(engine, pattern="*.hl7")
        place.put("a.hl7")
        place.put("b.hl7")
        await until(lambda: "2 file(s)" in source.trouble)
    (place.root / "in/done").unlink()
    await until(lambda: place.names("in/done") == ["a.hl7", "b.hl7"])
    await until(lambda: source.trouble == "")
    assert len(engine.got) == 2
    assert [entry["event"] for entry in logs] == ["file.unusable"] * 2


async def test_names_in_gbk_are_read_and_written_as_the_server_has_them(place: SftpPlace) -> None:
    (place.root / "in" / os.fsdecode("检验.hl7".encode("gb18030"))).write_bytes(b"x")
    engine = FakeEngine()
    await place.source(engine, names="GB18030", pattern="检*")
    assert (await engine.has(1))[0].headers["file"] == "检验.hl7"
    await until(lambda: (place.root / "in/done" / os.fsdecode("检验.hl7".encode("gb18030"))).exists())
    await place.destination(names="GB18030", name="{channel}{id}").send(Message(b"b", id="1", channel="检验"))
    assert os.fsencode(next((place.root / "out").iterdir()).name) == "检验1".encode("gb18030")


async def test_links_on_the_server_are_left_alone(place: SftpPlace) -> None:
    (place.root / "in/link.hl7").symlink_to(place.root / "sshd/own_key")
    place.put("z.hl7")
    engine = FakeEngine()
    await place.source(engine)
    await until(lambda: place.names("in/done") == ["z.hl7"])
    assert len(engine.got) == 1


PIECES = tuple(bytes([number]) * 500_000 for number in range(6))


async def test_a_large_body_goes_in_pieces_and_half_of_one_is_never_seen(place: SftpPlace) -> None:
    destination = place.destination(name="{id}.bin")
    seen: set[str] = set()
    message = Message(
        b"", id="1", blob=FakeBlob(*PIECES, during=lambda number: seen.update(place.names("out")))
    )
    await destination.send(message)
    assert place.get("out/1.bin") == b"".join(PIECES)
    assert seen == {".1-lab.out.part"}
    loop = asyncio.get_running_loop()

    def breaks(number: int) -> None:
        loop.call_soon_threadsafe(destination.folder._connection.abort)  # type: ignore[attr-defined]

    with pytest.raises(Unreachable, match="JL-E320"):
        await destination.send(Message(b"", id="2", blob=FakeBlob(*PIECES, during=breaks)))
    assert "2.bin" not in place.names("out")
    await destination.send(Message(b"whole", id="2"))
    assert place.get("out/2.bin") == b"whole"


# Servers of our own making


class _Odd(asyncssh.SFTPServer):
    """Names that lead elsewhere, and nothing of what OpenSSH has besides the protocol."""

    odd: tuple[bytes, ...] = ()

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        regular = asyncssh.SFTPAttrs(
            type=asyncssh.FILEXFER_TYPE_REGULAR, permissions=0o100644, size=1, mtime=1
        )
        for name in self.odd:
            yield asyncssh.SFTPName(name, b"", regular)
        async for one in super().scandir(path):
            yield one

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no extensions here")

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("no extensions here")


class _Door(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("lis", "invented")


class OddPlace(Place):
    kind = "sftp"

    async def open(self, **more: Any) -> OddPlace:
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.print = key.get_fingerprint()
        self.server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Door, server_host_keys=[key], sftp_factory=self.files, **more
        )
        return self

    def files(self, chan: asyncssh.SSHServerChannel[bytes]) -> _Odd:
        return _Odd(chan, chroot=str(self.root).encode())

    def options(self) -> dict[str, Any]:
        port = self.server.sockets[0].getsockname()[1]
        return {
            "host": "127.0.0.1",
            "port": port,
            "user": "lis",
            "password": "invented",
            "fingerprint": self.print,
        }

    async def close(self) -> None:
        await super().close()
        self.server.close()
        await self.server.wait_closed()


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddPlace]:
    made = await OddPlace(tmp_path).open()
    yield made
    await made.close()


async def test_names_that_lead_elsewhere_are_never_asked_for(
    odd: OddPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Odd, "odd", (b"../secret.hl7", b"/etc/passwd", b"..", b"a\\b.hl7", b"a\nb.hl7"))
    (odd.root / "secret.hl7").write_bytes(b"s")
    odd.put("z.hl7")
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        await odd.source(engine)
        await until(lambda: odd.names("in/done") == ["z.hl7"])
    assert len(engine.got) == 1
    assert [entry["event"] for entry in logs] == ["file.unsafe_name"]
    assert odd.get("secret.hl7") == b"s"


async def test_a_server_that_knows_the_protocol_alone_and_a_password(odd: OddPlace) -> None:
    destination = odd.destination()
    for body in (b"first", b"second"):
        await destination.send(Message(body, id="1"))
    assert odd.get("out/1") == b"second"
    assert odd.names("out") == ["1"]
    await refused_at(odd, "JL-E322", password="wrong")


async def test_a_server_without_sftp_is_left_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = [], []
    monkeypatch.setattr(_Door, "connection_made", lambda self, made: begun.append(made))
    monkeypatch.setattr(_Door, "connection_lost", lambda self, error: ended.append(error))
    monkeypatch.setattr(OddPlace, "files", None)
    place = await OddPlace(tmp_path).open()
    await refused_at(place, "JL-E320.*Session refused")
    await until(lambda: len(ended) == len(begun) > 0)
    await place.close()


async def test_the_servers_root_is_a_folder_too(odd: OddPlace) -> None:
    assert odd.destination(folder="/").folder._path("") == b"/"  # type: ignore[attr-defined]


async def refused_at(place: Place, code: str, **options: Any) -> None:
    with pytest.raises(Unreachable, match=code):
        await place.destination(**options).send(MESSAGE)


@pytest.mark.parametrize(
    "weak",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes256-ctr"]},
    ],
)
async def test_a_server_that_has_only_what_is_broken_is_not_spoken_to(
    tmp_path: Path, weak: dict[str, Any]
) -> None:
    place = await OddPlace(tmp_path).open(**weak)
    await refused_at(place, "JL-E320.*SSH")
    await place.close()


async def test_a_server_that_does_not_answer_is_given_up(place: SftpPlace) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    same = {"known_hosts": "", "fingerprint": place.server.fingerprint}
    await refused(place, "JL-E320", "no connection within", port=port, connect_within="200ms", **same)
    server.close()


def test_a_driver_that_is_not_installed_is_said_by_the_check_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "channels").mkdir()
    text = (
        "channel: a\nfrom: {sftp: {host: a, user: b, key: channels/a.yaml, known_hosts: channels/a.yaml}}\n"
    )
    (tmp_path / "channels/a.yaml").write_text(
        f"{text}format: hl7v2\nto:\n  b: {{send: {{file: {{folder: out}}}}}}\n"
    )
    assert not check_site(tmp_path, {})
    monkeypatch.setattr("channels.systems.find_spec", lambda name: None)
    (found,) = check_site(tmp_path, {})
    assert (found.code, found.line, found.hint) == ("JL-C075", 2, "pip install 'jingluo[sftp]'")


async def test_a_listing_without_an_end_is_cut(place: SftpPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoints.files.sftp.MOST_NAMES", 5)
    for number in range(9):
        place.put(f"{number}.hl7")
    engine = FakeEngine()
    await place.source(engine, done="delete")
    await engine.has(9)


def test_two_channels_may_take_from_one_server(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "k").write_bytes(b"")
    for name in ("a", "b"):
        source = f"from: {{sftp: {{host: lis, user: u, key: k, known_hosts: k, folder: {name}}}}}"
        text = f"channel: {name}\n{source}\nformat: hl7v2\nto:\n  b: {{send: {{file: {{folder: out}}}}}}\n"
        (tmp_path / f"channels/{name}.yaml").write_text(text)
    assert not check_site(tmp_path, {})
