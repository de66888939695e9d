"""The shipped channels `insurance` and `insurance-soap` in an engine, with the example centre behind them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
from centre_parts import agreed, bill, diagnoses, line, registration
from engine_parts import running, settled, write_site
from lxml import etree

from config.settings import ROOT
from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.insured import Insured
from router.engine import Engine
from router.search import Query
from schemas.json import Json

SECRET = "t" * 40
SYSTEMS = """\
systems:
  insurance:
    kind: nhsa
    url: http://127.0.0.1:{port}
    fixmedins_code: H99999900001
    fixmedins_name: 示例医院
    mdtrtarea_admvs: "999900"
    recer_sys_code: MBS
    timeout: {timeout}
    query_lag: 1s
"""
_TOKEN = "token: {{issuer: sso, audience: jingluo, claims: {{sub: {0}}}, secret: secret://token-key}}"
CALLERS = f"""\
callers:
  his:
    {_TOKEN.format("his")}
    scopes: [insurance.query, insurance.preview, insurance.upload, insurance.settle, insurance.reverse]
  kiosk:
    {_TOKEN.format("kiosk")}
    scopes: [insurance.1101, insurance.5203]
"""
_CALL = """<?xml version="1.0" encoding="GBK"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<Call xmlns="http://tempuri.org/"><tradeCode>{code}</tradeCode><xml><![CDATA[{xml}]]></xml></Call></s:Body></s:Envelope>"""


def token(who: str) -> str:
    now = int(time.time())
    claims = {"iss": "sso", "aud": "jingluo", "sub": who, "iat": now, "exp": now + 600}
    return "Bearer " + jwt.encode(claims, SECRET, "HS256")


@dataclass
class Doors:
    """A caller of both doors. `number` of what is asked is its Idempotency-Key, or its HISTradeNo."""

    engine: Engine
    centre: Centre
    client: httpx2.AsyncClient
    number: int = 0

    @property
    def patient(self) -> Insured:
        return self.centre.persons[0]

    def enveloped(self, input: Any) -> dict[str, Any]:
        return {"input": input, "insuplc_admdvs": self.patient.insuplc_admdvs}

    async def post(
        self, code: str, body: Any, who: str = "his", key: str = "", **headers: str
    ) -> httpx2.Response:
        self.number += 1
        said = {"authorization": token(who), "content-type": "application/json"}
        said["idempotency-key"] = key or f"N{self.number}"
        sent = body if isinstance(body, bytes) else Json().encode(body)
        return await self.client.post(f"/v1/insurance/{code}", content=sent, headers=said | headers)

    async def asked(self, code: str, input: Any, **more: Any) -> dict[str, Any]:
        """The answer to what must be answered."""
        response = await self.post(code, self.enveloped(input), **more)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = Json().decode(response.content)
        return answer

    async def done(self, code: str, input: Any) -> Any:
        answer = await self.asked(code, input)
        assert answer["outcome"] == "OK", answer
        return answer["output"]

    async def charged(self, number: str = "O1") -> tuple[str, dict[str, Any]]:
        """An outpatient who may settle: the visit, and the input of 2207."""
        patient = self.patient
        mdtrt_id = str((await self.done("2201", registration(patient, number)))["data"]["mdtrt_id"])
        await self.done("2203A", diagnoses(patient, mdtrt_id))
        fees = [line(patient, mdtrt_id, f"{number}F1", "XTEST000000000000001", "43.25", "2")]
        await self.done("2204", {"feedetail": fees})
        seen = (await self.done("2206", bill(patient, mdtrt_id, "86.50")))["setlinfo"]
        return mdtrt_id, bill(patient, mdtrt_id, "86.50", **agreed(seen))

    async def call(self, code: str, xml: str, who: str = "his") -> etree._Element:
        """The `Response` of a SOAP call."""
        headers = {"content-type": "text/xml; charset=GBK", "authorization": token(who)}
        body = _CALL.format(code=code, xml=xml).encode("gb18030")
        response = await self.client.post("/soap/insurance", content=body, headers=headers)
        assert response.status_code == 200, response.text
        result = etree.fromstring(response.content).findtext(".//{*}CallResult") or ""
        return etree.fromstring(result.encode())

    def request(self, code: str, input: Any, number: str = "") -> str:
        self.number += 1
        said = {"TradeCode": code, "HISTradeNo": number or f"T{self.number}"}
        said |= {"insuplc_admdvs": self.patient.insuplc_admdvs}
        return etree.tostring(element("Request", {**said, **input}), encoding="unicode")

    async def found(self, **index: str) -> list[str]:
        """The ids of what the journal finds, once it has everything."""
        await settled(self.engine)
        return [one.id for one in self.engine.store.search(Query(index=index), 50).found]


def element(name: str, value: Any) -> etree._Element:
    made = etree.Element(name)
    if isinstance(value, Mapping):
        for key, one in value.items():
            made.extend(element(key, item) for item in (one if isinstance(one, list) else [one]))
    else:
        made.text = str(value)
    return made


@contextlib.asynccontextmanager
async def opened(
    folder: Path, timeout: str = "20s", wait: str = "30s", away: bool = False, database: str = ""
) -> AsyncIterator[Doors]:
    """`wait`: how long a caller waits. `away`: nobody is at the centre's address yet."""
    centre = Centre()
    await centre.start()
    channels = {
        name: (ROOT / "channels" / f"{name}.yaml")
        .read_text("utf-8")
        .replace("timeout: 30s", f"timeout: {wait}")
        for name in ("insurance", "insurance-soap")
    }
    site = write_site(folder / "site", channels, SYSTEMS.format(port=centre.port, timeout=timeout))
    (site / "callers.yaml").write_text(CALLERS, "utf-8")
    (folder / "secrets.yaml").write_text(f"token-key: '{SECRET}'\n")
    (site / "jingluo.yaml").write_text(
        f"http: {{host: 127.0.0.1, port: 0}}\nsecrets: {{file: {folder / 'secrets.yaml'}}}\n"
    )
    if away:
        await centre.stop()
    async with running(site, database=database) as engine:
        base = f"http://127.0.0.1:{engine.web.port}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
            yield Doors(engine, centre, client)
    await centre.stop()
