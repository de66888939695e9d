"""MLLP by TLS, both ways: who comes in, who is refused and how it is told, and that the others notice nothing."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from authority import Authority
from endpoint_parts import FakeEngine, Peer, adt, until
from tls_parts import Rig, said

from config.errors import Unreachable
from config.tls import ClientTls, client_context
from endpoints.hl7.framing import framed
from schemas.message import Message, Reply


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


async def test_openssls_own_client_is_answered(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls())
    client = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{door.port}", "-CAfile", str(rig.ca.file),
        "-verify_return_error", "-verify_hostname", "lis.hospital.local",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        client.stdin.write(framed(adt("C1")))
        answer = await asyncio.wait_for(client.stdout.readuntil(b"\x1c\r"), 30)
    finally:
        client.terminate()
        await client.communicate()
    assert b"MSA|AA|C1" in answer


async def test_what_comes_with_the_last_step_of_the_handshake_is_not_lost(rig: Rig) -> None:
    engine = FakeEngine()
    door = await rig.mllp(engine, rig.tls())
    peers = [await rig.peer(door.port) for _ in range(8)]
    for n, peer in enumerate(peers):
        peer.write(adt(f"C{n}"))
    assert [await peer.msa() for peer in peers] == [("AA", f"C{n}") for n in range(8)]
    for peer in peers:
        await peer.close()


async def test_both_sides_of_ours_speak_tls_with_each_other_and_the_message_says_who_sent_it(
    rig: Rig,
) -> None:
    engine = FakeEngine()
    his = rig.ca.issue("his.hospital.local", "his.hospital.local")
    door = await rig.mllp(
        engine, rig.tls(client="required", ca=rig.ca.file.name, names=["HIS.hospital.local"])
    )
    out = rig.destination("mllp", host="127.0.0.1", port=door.port, tls=rig.tls(his, ca=rig.ca.file.name))
    await out.start()
    for n in range(3):
        assert (await out.send(Message(adt(f"C{n}")))).code == "AA"
    assert {message.headers["tls.subject"] for message in engine.got} == {"CN=his.hospital.local,O=Hospital"}
    assert len({message.source for message in engine.got}) == 1, "one connection for all"


async def test_a_caller_without_a_certificate_with_a_strangers_or_with_another_name_does_not_come_in(
    rig: Rig, tmp_path: Path
) -> None:
    engine = FakeEngine()
    stranger = Authority(tmp_path, "Stranger").issue(
        "his.hospital.local", "his.hospital.local", file="stranger"
    )
    other = rig.ca.issue("kiosk.hospital.local", "kiosk.hospital.local")
    his = rig.ca.issue("his.hospital.local", "his.hospital.local")
    door = await rig.mllp(
        engine, rig.tls(client="required", ca=rig.ca.file.name, names=["his.hospital.local"])
    )

    def shows(pair: Any) -> dict[str, str]:
        return {"certificate": str(pair.certificate), "key": str(pair.key)}

    inside = await rig.peer(door.port, **shows(his))
    assert await inside.ask(adt("C1")) == ("AA", "C1")
    with structlog.testing.capture_logs() as logs:
        for shown in ({}, shows(stranger), shows(other)):
            try:
                peer = await rig.peer(door.port, **shown)
                peer.write(adt("C2"))
                assert await peer.closed()
            except (ssl.SSLError, ConnectionError):
                continue  # TLS 1.3 tells it at once, or at the first reading
            await peer.close()
        await until(lambda: len(logs) >= 3)
    assert [entry["reason"] for entry in said(logs, "tls.refused")] == [
        "peer did not return a certificate",
        "certificate: unable to get local issuer certificate",
    ]
    assert [entry["subject"] for entry in said(logs, "tls.not_allowed")] == [
        "CN=kiosk.hospital.local,O=Hospital"
    ]
    assert all(entry["peer"].startswith("127.0.0.1:") and entry["door"] == "his" for entry in logs)
    assert len(engine.got) == 1
    assert await inside.ask(adt("C3")) == ("AA", "C3"), "who was inside before noticed nothing"
    await inside.close()


async def test_tls_1_1_weak_ciphers_and_plain_text_are_refused(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    weak = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    weak.check_hostname, weak.verify_mode = False, ssl.CERT_NONE
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with structlog.testing.capture_logs() as logs:
        for context in (old, weak):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await rig.peer(door.port, context)
        plain = await Peer.connect(door.port)
        plain.write(adt("C1"))
        assert await plain.closed()
        await until(lambda: len(said(logs, "tls.refused")) == 3)
    reasons = [entry["reason"] for entry in said(logs, "tls.refused")]
    assert reasons[:2] == ["unsupported protocol", "no shared cipher"]
    await plain.close()


async def test_a_slow_handshake_is_cut_off_and_holds_nobody(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls(handshake_within="300ms"), connections=2)
    with structlog.testing.capture_logs() as logs:
        slow = [await Peer.connect(door.port) for _ in range(2)]
        for peer in slow:
            assert await peer.closed()
            await peer.close()
    assert [entry["reason"] for entry in said(logs, "tls.refused")] == ["no handshake within 0.3 s"] * 2
    peer = await rig.peer(door.port)
    assert await peer.ask(adt("C1")) == ("AA", "C1")
    await peer.close()


async def test_only_so_many_handshakes_are_made_at_once(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls(), connections=2)
    with structlog.testing.capture_logs() as logs:
        slow = [await Peer.connect(door.port) for _ in range(3)]
        assert await slow[2].closed()
        await until(lambda: bool(said(logs, "tls.too_many_handshakes")))
    for peer in slow:
        await peer.close()


async def test_a_stop_ends_handshakes_too(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls())
    slow = await Peer.connect(door.port)
    await until(lambda: bool(len(door._server._tasks) > 1))
    await door.stop()
    assert await slow.closed()
    await slow.close()


async def test_a_renewed_certificate_is_shown_to_the_next_caller_and_half_a_renewal_changes_nothing(
    rig: Rig,
) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls())
    first = await rig.peer(door.port)
    old_key = rig.server.key.read_bytes()
    renewed = rig.ca.issue("renewed.hospital.local", "lis.hospital.local", "127.0.0.1")
    rig.server.certificate.write_bytes(renewed.certificate.read_bytes())
    with structlog.testing.capture_logs() as logs:
        half = await rig.peer(door.port)
        assert _common_name(half) == "lis.hospital.local"
        assert said(logs, "tls.not_renewed")
        assert rig.server.key.read_bytes() == old_key
        rig.server.key.write_bytes(renewed.key.read_bytes())
        second = await rig.peer(door.port)
        assert _common_name(second) == "renewed.hospital.local"
        assert said(logs, "tls.renewed")
    for peer in (first, half, second):  # nobody was cut off for it
        assert await peer.ask(adt("C1")) == ("AA", "C1")
        await peer.close()


def _common_name(peer: Peer) -> str:
    shown = peer.writer.get_extra_info("peercert")
    return next(value for part in shown["subject"] for kind, value in part if kind == "commonName")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("authority", "unable to get local issuer certificate"),
        ("name", "IP address mismatch"),
        ("expired", "certificate has expired"),
    ],
)
async def test_a_receiver_whose_certificate_is_wrong_gets_nothing(
    rig: Rig, tmp_path: Path, wrong: str, reason: str
) -> None:
    engine = FakeEngine()
    issuer = Authority(tmp_path, "Stranger") if wrong == "authority" else rig.ca
    names = ("elsewhere.hospital.local",) if wrong == "name" else ("127.0.0.1",)
    shown = issuer.issue("wrong", *names, days=-1 if wrong == "expired" else 365)
    door = await rig.mllp(engine, rig.tls(shown))
    out = rig.destination("mllp", host="127.0.0.1", port=door.port, tls={"ca": rig.ca.file.name})
    await out.start()
    with pytest.raises(Unreachable, match=f"JL-E116.*{reason}") as error:
        await out.send(Message(adt("C1")))
    assert not error.value.maybe_done
    assert not engine.got


async def test_a_receiver_may_be_known_by_another_name_than_it_is_called_by(rig: Rig) -> None:
    shown = rig.ca.issue("lis2", "lis2.hospital.local")
    door = await rig.mllp(FakeEngine(), rig.tls(shown))
    tls = {"ca": rig.ca.file.name, "name": "lis2.hospital.local"}
    out = rig.destination("mllp", host="127.0.0.1", port=door.port, tls=tls)
    await out.start()
    assert (await out.send(Message(adt("C1")))).code == "AA"


async def test_a_file_that_is_not_there_yet_fails_the_try_and_not_the_engine(rig: Rig) -> None:
    door = await rig.mllp(FakeEngine(), rig.tls())
    out = rig.destination("mllp", host="127.0.0.1", port=door.port, tls={"ca": "later.pem"})
    await out.start()
    with pytest.raises(Unreachable, match=r"JL-E116.*later\.pem"):
        await out.send(Message(adt("C1")))
    (rig.folder / "later.pem").write_bytes(rig.ca.file.read_bytes())
    assert (await out.send(Message(adt("C1")))).code == "AA"


async def test_a_key_may_be_a_secret_and_locked(rig: Rig) -> None:
    locked = rig.ca.issue("locked", "127.0.0.1", password="invented")
    text = locked.key.read_text()
    door = await rig.mllp(FakeEngine(), rig.tls(locked, key=text, key_password="invented"))
    peer = await rig.peer(door.port)
    assert await peer.ask(adt("C1")) == ("AA", "C1")
    await peer.close()


async def test_a_caller_that_stops_sending_has_its_answers_first_where_they_are_there(rig: Rig) -> None:
    engine = FakeEngine(Reply("accepted", id="1"))
    door = await rig.mllp(engine, rig.tls())
    peer = await rig.peer(door.port)
    peer.write(adt("C1"), adt("C2"))
    assert [await peer.msa(), await peer.msa()] == [("AA", "C1"), ("AA", "C2")]
    await peer.close()
    await until(lambda: not door.lines)


def test_a_context_of_ours_always_verifies_and_takes_nothing_old(rig: Rig) -> None:
    context = client_context(ClientTls(ca=str(rig.ca.file)))
    made = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="lis.hospital.local").context
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    old = [c["name"] for c in made.get_ciphers() if "GCM" not in c["name"] and "CHACHA" not in c["name"]]
    assert old == []


@pytest.mark.parametrize(
    "case",
    [
        test_what_comes_with_the_last_step_of_the_handshake_is_not_lost,
        test_both_sides_of_ours_speak_tls_with_each_other_and_the_message_says_who_sent_it,
        test_tls_1_1_weak_ciphers_and_plain_text_are_refused,
        test_a_slow_handshake_is_cut_off_and_holds_nobody,
        test_a_stop_ends_handshakes_too,
        test_a_renewed_certificate_is_shown_to_the_next_caller_and_half_a_renewal_changes_nothing,
    ],
)
def test_the_loop_that_the_engine_runs_on_does_it_too(
    case: Callable[[Rig], Coroutine[Any, Any, None]], tmp_path: Path
) -> None:
    async def run() -> None:
        rig = Rig(tmp_path)
        try:
            await case(rig)
        finally:
            await rig.close()

    uvloop.run(run())
