"""FHIR through a running engine: a client, the engine's FHIR server, and the example hospital's record behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, write_site

from deploy.sandbox.emr import Emr
from router.engine import Engine

PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.3", "value": "P0001"}],
    "name": [{"text": "测试甲"}],
}
IN = """\
channel: fhir-in
title: 上传 Bundles for the record
from: {fhir: {accepts: {Bundle: [transaction, batch], Patient: [create, update]}}}
format: fhir
validate: fhir/r4
to:
  emr: {send: {system: emr}}
reply: emr
timeout: 5s
"""
ASK = """\
channel: fhir-ask
from: {fhir: {accepts: {"*": [read, search, vread, history]}}}
format: fhir
to:
  emr: {send: {system: emr}, retry: {for: 2s}}
reply: emr
timeout: 5s
"""


def systems(emr: Emr) -> str:
    return f"systems: {{emr: {{kind: fhir, url: 'http://127.0.0.1:{emr.port}/fhir', timeout: 2s}}}}\n"


@pytest.fixture
async def emr() -> AsyncIterator[Emr]:
    party = Emr()
    await party.open()
    yield party
    await party.close()


def client(engine: Engine) -> httpx2.AsyncClient:
    base = f"http://127.0.0.1:{engine.web.port}/fhir"
    return httpx2.AsyncClient(base_url=base, trust_env=False, timeout=20)


def bundle(kind: str, *resources: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


async def test_a_transaction_reaches_the_record_and_its_answer_comes_back(tmp_path: Path, emr: Emr) -> None:
    site = write_site(tmp_path, {"fhir-in": IN, "fhir-ask": ASK}, systems(emr))
    async with running(site) as engine, client(engine) as asking:
        answer = await asking.post("", json=bundle("transaction", PATIENT))
        assert (answer.status_code, answer.json()["type"]) == (200, "transaction-response"), answer.text
        assert answer.headers["jingluo-state"] == "answered"
        found = await asking.get("/Patient", params={"identifier": "P0001"})
        assert (found.status_code, found.json()["total"]) == (200, 1), found.text
        assert (await asking.get("/Patient/99")).status_code == 404
        said = await asking.get("/metadata")
        assert said.json()["resourceType"] == "CapabilityStatement"
        wrong = await asking.post("/Patient", json={**PATIENT, "gender": "M"})
        assert wrong.status_code == 422
    assert emr.counts() == {"Patient": 1}
