"""schemathesis, which knows the engine by its /openapi.json alone, finds nothing to say against the REST doors."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import jwt
import pytest
from engine_parts import running, write_site
from missing import missing

BILLS = """\
channel: bills
title: 收费 Bills
from: {http: {path: "/v1/{ward}/bills", callers: app}}
format: json
validate: bill.json
index: {bill: $.bill}
to:
  books: {send: {file: {folder: var/books}}}
reply: books
timeout: 2s
"""
BEDS = """\
channel: beds
title: 床位 Beds
from: {http: {method: GET, path: "/v1/{ward}/beds", callers: app}}
format: json
validate: bed.json
to:
  books: {send: {file: {folder: var/books}}}
"""
CALLERS = """\
callers:
  app:
    token: {issuer: sso, audience: jingluo, claims: {sub: app}, secret: secret://token-key}
    rate: 100000
    burst: 100000
"""
BILL = {
    "type": "object",
    "required": ["bill", "fen"],
    "properties": {
        "bill": {"type": "string", "pattern": "^B[0-9]{1,9}$"},
        "fen": {"type": "integer", "minimum": 1, "maximum": 10**12},
        "items": {
            "type": "array",
            "maxItems": 5,
            "items": {"type": "object", "properties": {"code": {"type": "string"}}},
        },
    },
    "additionalProperties": False,
}
BED = {
    "type": "object",
    "required": ["ward"],
    "properties": {"ward": {"type": "string"}, "free": {"enum": ["yes", "no"]}},
}
# A key that was used with another body is refused, and nothing of the request alone says so.
CHOICES = '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", 401, 403, 404, 409, 422]\n'
KEY = "an-invented-key-of-the-issuer-0123456789"


async def test_a_client_that_knows_only_the_document_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        missing("schemathesis is not installed")
    monkeypatch.setenv("JINGLUO_SECRET_TOKEN_KEY", KEY)
    site = write_site(tmp_path, {"bills": BILLS, "beds": BEDS})
    (site / "callers.yaml").write_text(CALLERS)
    (site / "schemas").mkdir()
    (site / "schemathesis.toml").write_text(CHOICES)
    for name, schema in (("bill", BILL), ("bed", BED)):
        (site / "schemas" / f"{name}.json").write_text(json.dumps(schema))
    claims = {"iss": "sso", "aud": "jingluo", "sub": "app", "exp": time.time() + 600}
    async with running(site) as engine:
        asked = await asyncio.create_subprocess_exec(
            str(command), "run", f"http://127.0.0.1:{engine.web.port}/openapi.json",
            "--include-path-regex", "^/v1/", "--header", f"Authorization: Bearer {jwt.encode(claims, KEY)}",
            "--checks", "all", "--max-examples", "10", "--seed", "1", "--no-shrink", "--no-color",
            "--phases", "coverage,fuzzing", "--generation-database", "none",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await asked.communicate())[0].decode()
        assert asked.returncode == 0, said
        assert await count(engine.web.port) > 20, said


async def count(port: int) -> float:
    """Messages that were accepted: a client that never came in would find nothing either."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    return sum(float(line.split()[1]) for line in lines if line.startswith("jingluo_accepted_total{"))
