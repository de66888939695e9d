"""HTTP by TLS: the engine's web server, a channel that asks who comes, and the destination."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from authority import Authority, Pair
from caller_parts import callers_of
from endpoint_parts import FakeEngine, Peer, until
from pydantic import ValidationError
from tls_parts import Rig, said

from config import registry
from config.errors import Unreachable
from config.settings import LimitSettings
from config.tls import ServerTls, pinned_context
from endpoints.base import Ground
from endpoints.web import WebServer
from schemas.message import Message


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
async def web(rig: Rig) -> AsyncIterator[WebServer]:
    tls = ServerTls(**rig.tls(client="optional", ca=rig.ca.file.name, handshake_within="300ms"))
    server = WebServer("127.0.0.1", 0, LimitSettings(body="1MB", connections=5), tls, rig.folder)
    await server.start()
    yield server
    await server.stop()


async def door(
    rig: Rig, web: WebServer, path: str, asks: dict[str, Any] | None = None, **tls: Any
) -> FakeEngine:
    engine, made = FakeEngine(), registry.sources.get("http")
    options = made.Options(path=path, content_types=["*"], tls=tls, **(asks or {}))
    source = made(options, Ground("patients", "json", web=web))
    rig.opened.append(source)
    await source.start(engine.deliver)
    return engine


async def curl(rig: Rig, web: WebServer, path: str, shown: Pair | None = None, *more: str) -> tuple[int, Any]:
    """Status and body of a POST by curl, which knows the authority."""
    show = ("--cert", str(shown.certificate), "--key", str(shown.key)) if shown else ()
    asked = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--noproxy", "*", "--cacert", str(rig.ca.file), *show, *more, "--max-time", "30",
        "--write-out", "\n%{http_code}", "--json", '{"a": 1}', f"https://127.0.0.1:{web.port}{path}",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asked.communicate()
    body, _, status = out.decode().rpartition("\n")
    return int(status), json.loads(body) if body else None


async def test_a_channel_says_whose_certificate_may_come_in(rig: Rig, web: WebServer, tmp_path: Path) -> None:
    app = rig.ca.issue("app.hospital.local", "app.hospital.local")
    kiosk = rig.ca.issue("kiosk", "kiosk.hospital.local")
    stranger = Authority(tmp_path, "Stranger").issue(
        "app.hospital.local", "app.hospital.local", file="stranger"
    )
    anybody = await door(rig, web, "/v1/anybody")
    closed = await door(rig, web, "/v1/closed", client="required", names=["app.hospital.local"])
    assert (await curl(rig, web, "/v1/anybody"))[0] == 202
    assert (await curl(rig, web, "/v1/anybody", kiosk))[0] == 202
    assert (await curl(rig, web, "/v1/closed", app))[0] == 202
    for shown in (None, kiosk):
        status, said = await curl(rig, web, "/v1/closed", shown)
        assert (status, said["code"]) == (403, "JL-E213")
    assert (await curl(rig, web, "/v1/anybody", stranger))[0] == 0, "an unknown authority gets no connection"
    assert [m.headers.get("tls.subject") for m in anybody.got] == [None, "CN=kiosk,O=Hospital"]
    assert [m.headers.get("tls.subject") for m in closed.got] == ["CN=app.hospital.local,O=Hospital"]


async def test_a_certificate_is_a_callers_and_what_stands_in_authorization_comes_before_it(
    rig: Rig, web: WebServer
) -> None:
    pacs = rig.ca.issue("pacs", "PACS.hospital.local")
    other = rig.ca.issue("kiosk", "kiosk.hospital.local")
    web.admission.callers = callers_of(
        rig.folder, "callers: {pacs: {certificate: [pacs.hospital.local], scopes: [images]}}"
    )
    engine = await door(rig, web, "/v1/images", asks={"scope": "images"})
    assert (await curl(rig, web, "/v1/images", pacs))[0] == 202
    for shown in (other, None):
        status, told = await curl(rig, web, "/v1/images", shown)
        assert (status, told["code"]) == (401, "JL-E214")
    basic = ("--header", "Authorization: Bearer x")
    assert (await curl(rig, web, "/v1/images", pacs, *basic))[0] == 401
    assert [message.headers["caller.name"] for message in engine.got] == ["pacs"]


async def test_a_header_of_the_caller_is_never_taken_for_a_certificate() -> None:
    made = registry.sources.get("http")
    with pytest.raises(ValidationError, match=r"tls\.subject: names with a dot are the engine's own"):
        made.Options(path="/v1/a", headers=["tls.subject"])


async def test_tls_1_1_is_refused_and_a_failed_or_slow_handshake_is_told_and_hurts_nobody(
    rig: Rig, web: WebServer
) -> None:
    engine = await door(rig, web, "/v1/a")
    with structlog.testing.capture_logs() as logs:
        old = ("--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0")
        assert (await curl(rig, web, "/v1/a", None, *old))[0] == 0
        slow = await Peer.connect(web.port)
        assert await slow.closed()
        await slow.close()
        await until(lambda: len(said(logs, "tls.refused")) == 2)
    assert [entry["reason"] for entry in said(logs, "tls.refused")] == [
        "unsupported protocol",
        "no handshake within 0.3 s",
    ]
    assert (await curl(rig, web, "/v1/a"))[0] == 202
    assert len(engine.got) == 1


async def test_the_destination_shows_its_certificate_and_looks_at_the_receivers(
    rig: Rig, web: WebServer, tmp_path: Path
) -> None:
    engine = await door(rig, web, "/v1/closed", client="required")
    ours = rig.ca.issue("jingluo", "jingluo.hospital.local")
    url = f"https://127.0.0.1:{web.port}/v1/closed"
    good = rig.destination("http", url=url, tls=rig.tls(ours, ca=rig.ca.file.name))
    await good.start()
    assert (await good.send(Message(b"{}", id="1", format="json"))).code == "202"
    other = Authority(tmp_path, "Stranger")
    for tls, reason in (
        ({"ca": other.file.name}, "certificate: self-signed certificate in certificate chain"),
        ({"ca": rig.ca.file.name, "name": "emr.hospital.local"}, "Hostname mismatch"),
        ({"ca": "nowhere.pem"}, "No such file"),
    ):
        bad = rig.destination("http", url=url, tls=tls)
        await bad.start()
        with pytest.raises(Unreachable, match=f"JL-E227.*{reason}") as error:
            await bad.send(Message(b"{}", id="2", format="json"))
        assert not error.value.maybe_done
    assert [m.headers["tls.subject"] for m in engine.got] == ["CN=jingluo,O=Hospital"]


async def test_a_command_on_this_machine_trusts_exactly_the_engines_certificate(
    rig: Rig, web: WebServer
) -> None:
    await door(rig, web, "/v1/a")
    other = rig.ca.issue("other", "127.0.0.1")

    def status(pair: Pair) -> int:
        with httpx2.Client(verify=pinned_context(pair.certificate), trust_env=False) as client:
            return client.post(f"https://localhost:{web.port}/v1/a", content=b"{}").status_code

    assert await asyncio.to_thread(status, rig.server) == 202, (
        "under a name that the certificate does not have"
    )
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await asyncio.to_thread(status, other)


def test_nobody_can_ask_for_no_verification_or_for_tls_in_clear() -> None:
    made = registry.destinations.get("http")
    with pytest.raises(ValidationError, match="verify"):
        made.Options(url="https://a/", verify=False)
    with pytest.raises(ValidationError, match="tls needs an https url"):
        made.Options(url="http://a/", tls={"ca": "a.pem"})
