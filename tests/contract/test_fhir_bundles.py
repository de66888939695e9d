"""Every R4 bundle that others published, through the engine's FHIR server and its client to the example's record."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, write_site
from fhir_parts import JSON, valid
from missing import missing

from deploy.sandbox.emr import Emr
from schemas.fhir import validate

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
AT_ONCE = 4
CHANNEL = """\
channel: bundles
from: {fhir: {accepts: {Bundle: [transaction, batch, create]}}}
format: fhir
to:
  emr: {send: {system: emr}}
reply: emr
"""


def bundles() -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes, and where it is sent."""
    for path in sorted(
        [*CORPUS.glob("fhir/[!r]*/*.json"), *CORPUS.glob("fhir/r4/*/*.json"), *CORPUS.glob("pairs/*/*.json")]
    ):
        body = path.read_bytes()
        try:
            tree = json.loads(body)
        except ValueError:
            continue
        if isinstance(tree, dict) and tree.get("resourceType") == "Bundle":
            yield path.name, body, "" if tree.get("type") in ("transaction", "batch") else "/Bundle"


def reads(bundle: dict[str, Any]) -> bool:
    """Whether it holds what the example's record does not serve in a transaction."""
    return any(entry["request"]["method"] not in ("POST", "PUT") for entry in bundle["entry"])


@pytest.fixture
def found() -> list[tuple[str, bytes, str]]:
    every = list(bundles())
    if not every:
        missing("the corpus of published messages is not here")
    return every


async def test_what_becomes_of_every_published_bundle_is_known(
    tmp_path: Path, found: list[tuple[str, bytes, str]]
) -> None:
    """What the record keeps, its sender hears of; what it refuses, too: nothing is in between, and nothing twice."""
    emr = Emr()
    await emr.open()
    systems = f"systems: {{emr: {{kind: fhir, url: 'http://127.0.0.1:{emr.port}/fhir'}}}}\n"
    answers: dict[str, httpx2.Response] = {}
    waiting = iter(found)
    async with running(write_site(tmp_path, {"bundles": CHANNEL}, systems)) as engine:
        base = f"http://127.0.0.1:{engine.web.port}/fhir"

        async def send() -> None:
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
                for name, body, path in waiting:
                    answers[name] = await client.post(base + path, content=body, headers=JSON)

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    await emr.close()
    states = Counter((one.status_code, one.headers["jingluo-state"]) for one in answers.values())
    assert set(states) <= {(200, "answered"), (201, "answered"), (422, "refused"), (400, "refused")}, states
    done = sum(count for (status, _), count in states.items() if status < 300)
    assert len(emr.received) == done
    assert len(answers) == len(found)
    bodies = {name: json.loads(body) for name, body, _ in found}
    for name, answer in answers.items():
        said: dict[str, Any] = answer.json()
        if answer.status_code != 201:  # which gives back what was sent
            assert valid(said)["resourceType"] == (
                "Bundle" if answer.status_code == 200 else "OperationOutcome"
            ), name
        if answer.status_code >= 400:
            assert validate(bodies[name]) or reads(bodies[name]), name
    assert done > 100
