"""REST through a whole engine: a request is done once, and who could not wait hears later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asked_parts import Asked
from engine_parts import running, write_site

from router.engine import Engine

CHANNEL = """\
channel: bills
title: 收费 Bills
from: {{http: {{path: /v1/bills, response: receipt.json}}}}
format: json
validate: bill.json
{more}to:
  bank: {{send: {{http: {{url: "http://127.0.0.1:{port}/pay", timeout: 20s}}}}, retry: {{first: 100ms, max: 100ms}}}}
tests:
  - name: a bill is paid
    given: {{bill: B1, fen: 100}}
    while: {{bank: {{body: {{paid: B1}}}}}}
    expect: {{reply: {{code: 200, $: {{paid: B1}}}}}}
"""
BILL = {
    "type": "object",
    "required": ["bill", "fen"],
    "properties": {"bill": {"$ref": "#/$defs/number"}, "fen": {"$ref": "money.json#/$defs/fen"}},
    "additionalProperties": False,
    "$defs": {"number": {"type": "string", "pattern": "^B[0-9]+$"}},
}
MONEY = {"$defs": {"fen": {"type": "integer", "minimum": 1}}}
RECEIPT = {"type": "object", "required": ["paid"], "properties": {"paid": {"type": "string"}}}


class Bank(Asked):
    def __init__(self) -> None:
        super().__init__()
        self.got: list[dict[str, Any]] = []

    def answer(self, body: bytes) -> bytes:
        self.got.append(json.loads(body))
        return json.dumps({"paid": self.got[-1]["bill"]}).encode()


@pytest.fixture
async def bank() -> AsyncIterator[Bank]:
    made = await Bank().start()
    yield made
    await made.stop()


def site(folder: Path, bank: Bank, more: str = "reply: bank\ntimeout: 10s\n") -> Path:
    made = write_site(folder, {"bills": CHANNEL.format(port=bank.port, more=more)})
    (made / "schemas").mkdir(exist_ok=True)
    for name, schema in (("bill", BILL), ("money", MONEY), ("receipt", RECEIPT)):
        (made / "schemas" / f"{name}.json").write_text(json.dumps(schema))
    return made


class Kiosk:
    def __init__(self, engine: Engine) -> None:
        url = f"http://127.0.0.1:{engine.web.port}"
        self.client = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60)

    async def pay(self, bill: str, key: str = "", fen: int = 100) -> httpx2.Response:
        headers = {"idempotency-key": key} if key else {}
        return await self.client.post("/v1/bills", json={"bill": bill, "fen": fen}, headers=headers)

    async def __aenter__(self) -> Kiosk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


async def test_the_same_key_is_done_once_and_answered_as_before_also_after_a_restart(
    tmp_path: Path, bank: Bank, broker: str
) -> None:
    async with running(site(tmp_path, bank), broker=broker) as engine, Kiosk(engine) as kiosk:
        first, again = await kiosk.pay("B1", "k1"), await kiosk.pay("B1", "k1")
        other, new = await kiosk.pay("B1", "k1", fen=200), await kiosk.pay("B1", "k2")
    async with running(site(tmp_path, bank), broker=broker) as engine, Kiosk(engine) as kiosk:
        after = await kiosk.pay("B1", "k1")
    assert [one.status_code for one in (first, again, other, new, after)] == [200, 200, 422, 200, 200]
    assert first.json() == again.json() == after.json() == {"paid": "B1"}
    assert [one.headers.get("idempotent-replayed") for one in (first, again, after)] == [None, "true", "true"]
    assert again.headers["jingluo-id"] == first.headers["jingluo-id"]
    assert other.json()["code"] == "JL-M080"
    assert len(bank.got) == 2


async def test_while_the_first_is_under_way_the_same_is_told_to_wait(tmp_path: Path, bank: Bank) -> None:
    bank.open.clear()
    async with running(site(tmp_path, bank)) as engine, Kiosk(engine) as kiosk:
        first = asyncio.create_task(kiosk.pay("B1", "k1"))
        await bank.came.wait()
        second, other = await kiosk.pay("B1", "k1"), await kiosk.pay("B2", "k1")
        bank.open.set()
        assert ((await first).status_code, second.status_code, other.status_code) == (200, 409, 422)
        assert (second.json()["code"], second.headers["retry-after"]) == ("JL-M081", "1")
        assert (await kiosk.pay("B1", "k1")).headers["idempotent-replayed"] == "true"
    assert len(bank.got) == 1


async def test_what_was_not_accepted_leaves_its_key_free(tmp_path: Path, bank: Bank) -> None:
    async with running(site(tmp_path, bank)) as engine, Kiosk(engine) as kiosk:
        assert (await kiosk.pay("no number", "k1")).status_code == 400
        assert (await kiosk.pay("B1", "k1")).status_code == 200


async def test_a_sites_own_rule_of_duplicates_holds_whatever_the_key(tmp_path: Path, bank: Bank) -> None:
    more = "reply: bank\ntimeout: 10s\nduplicates: {by: $.bill}\n"
    async with running(site(tmp_path, bank, more)) as engine, Kiosk(engine) as kiosk:
        answers = [await kiosk.pay("B1", "k1"), await kiosk.pay("B1", "k2"), await kiosk.pay("B1")]
    assert [one.json() for one in answers] == [{"paid": "B1"}] * 3
    assert len(bank.got) == 1


async def test_who_could_not_wait_hears_later_and_so_does_the_same_request(
    tmp_path: Path, bank: Bank, broker: str
) -> None:
    bank.open.clear()
    made = site(tmp_path, bank, "reply: bank\ntimeout: 200ms\n")
    async with running(made, broker=broker) as engine, Kiosk(engine) as kiosk:
        pending = await kiosk.pay("B1", "k1")
        assert (pending.status_code, pending.json()["state"]) == (202, "pending")
        assert pending.headers["location"] == f"/v1/bills/results/{pending.json()['id']}"
        still = await kiosk.client.get(pending.headers["location"])
        assert (still.status_code, still.json()["state"]) == (202, "pending")
        waiting = asyncio.create_task(kiosk.client.get(pending.headers["location"] + "?wait=50"))
        bank.open.set()
        result = await waiting
        assert (result.status_code, result.json()) == (200, {"paid": "B1"})
        assert result.headers["jingluo-state"] == "answered"
        again = await kiosk.pay("B1", "k1")
        assert (again.status_code, again.json()) == (200, {"paid": "B1"})
        assert (await kiosk.client.get("/v1/bills/results/0197")).status_code == 404
    assert len(bank.got) == 1


@pytest.mark.rabbitmq
async def test_a_later_answer_is_known_where_it_was_asked_for_though_another_process_delivered(
    tmp_path: Path, bank: Bank, amqp_vhost: str
) -> None:
    bank.open.clear()
    more = "reply: bank\ntimeout: 200ms\n"
    front, back = site(tmp_path / "front", bank, more), site(tmp_path / "back", bank, more)
    async with (
        running(back, broker=amqp_vhost, roles="delivery,journal"),
        running(front, broker=amqp_vhost, roles="intake") as engine,
        Kiosk(engine) as kiosk,
    ):
        pending = await kiosk.pay("B1")
        assert pending.json()["state"] == "pending"
        bank.open.set()
        result = await kiosk.client.get(pending.headers["location"] + "?wait=50s")
        assert (result.status_code, result.json()) == (200, {"paid": "B1"})


async def test_schemas_and_examples_come_from_the_channels_own_file(tmp_path: Path, bank: Bank) -> None:
    async with running(site(tmp_path, bank)) as engine, Kiosk(engine) as kiosk:
        document = (await kiosk.client.get("/openapi.json")).json()
    post, schemas = document["paths"]["/v1/bills"]["post"], document["components"]["schemas"]
    body = post["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/bills.bill"}
    assert body["examples"]["1"] == {"summary": "a bill is paid", "value": {"bill": "B1", "fen": 100}}
    assert post["responses"]["200"]["content"]["application/json"]["examples"]["1"]["value"] == {"paid": "B1"}
    properties = schemas["bills.bill"]["properties"]
    assert properties == {
        "bill": {"$ref": "#/components/schemas/bills.bill/$defs/number"},
        "fen": {"$ref": "#/components/schemas/bills.money/$defs/fen"},
    }
    assert schemas["bills.money"] == MONEY
