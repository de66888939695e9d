"""SOAP through a whole engine: a caller of one web service is answered by another, and the journal has the call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
from aiohttp import web
from engine_parts import running, settled, write_site

from router.search import Query

PLATFORM = """\
channel: patients
title: 患者登记 Registrations, to the platform
from: {{http: {{path: /v1/patients}}}}
format: xml
reply: platform
timeout: 20s
to:
  platform:
    send:
      soap:
        convention: hip
        url: "http://127.0.0.1:{port}/"
        arguments: {{action: PatientInfoRegister, message: $body}}
        security: {{user: jingluo, password: secret://platform, digest: true}}
        timeout: 10s
    retry: {{first: 100ms, max: 100ms}}
"""
ANSWER = (
    '<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="{}"><acknowledgementDetail>'
    '<text value="EMPI 0001"/></acknowledgementDetail></acknowledgement></MCCI_IN000002UV01>'
)


class Platform:
    """Says AE to the first try of each message, and then AA."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.port = 0

    async def start(self) -> Platform:
        app = web.Application()
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        text = (await request.read()).decode()
        self.got.append(text)
        said = ANSWER.format("AE" if len(self.got) == 1 else "AA")
        inside = f"<R xmlns=''><HIPMessageServerResult><![CDATA[{said}]]></HIPMessageServerResult></R>"
        body = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{inside}</e:Body></e:Envelope>'
        return web.Response(text=body, content_type="text/xml")


async def test_a_caller_gets_the_services_answer_and_the_journal_has_both_tries(
    tmp_path: Path, broker: str
) -> None:
    platform = await Platform().start()
    site = write_site(
        tmp_path, {"patients": PLATFORM.format(port=platform.port)}, settings="secrets: {file: s.yaml}\n"
    )
    (site / "s.yaml").write_text("platform: invented-p4ss\n")
    async with running(site, broker=broker) as engine:
        url = f"http://127.0.0.1:{engine.web.port}/v1/patients"
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(
                url, content=b"<p>P0001</p>", headers={"content-type": "application/xml"}
            )
        assert (answer.status_code, answer.headers["jingluo-state"]) == (200, "answered")
        assert "EMPI 0001" in answer.text
        await settled(engine)
        (found,) = (await asyncio.to_thread(engine.store.search, Query())).found
        story = await asyncio.to_thread(engine.store.show, found.id)
    await platform.stop()
    tries = [(one.outcome, one.code) for one in story.tries]
    assert tries == [("retry", "JL-E422"), ("sent", "AA")]
    assert b"EMPI 0001" in story.tries[1].answer
    assert len(platform.got) == 2
    assert all("&lt;p&gt;P0001&lt;/p&gt;" in one and "invented-p4ss" not in one for one in platform.got)
