"""REST as a whole: what a request may be packed in and called by, and what each answer and /openapi.json say."""

from __future__ import annotations

import asyncio
import gzip
import json

import httpx2
import pytest
from endpoint_parts import Door, FakeEngine

from endpoints.base import Described
from schemas.message import Reply

# What each answer comes to


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("answered", id="7", body=b"{}", format="json"), 200),
        (Reply("accepted", id="7"), 202),
        (Reply("pending", id="7"), 202),
        (Reply("refused", id="7", code="JL-M020", text="not JSON"), 400),
        (Reply("refused", id="7", code="JL-M080", text="other"), 422),
        (Reply("refused", id="7", code="JL-M081", text="under way"), 409),
        (Reply("failed", id="7", code="JL-B001", text="no broker"), 503),
    ],
)
async def test_every_answer_says_what_it_comes_to(
    door: Door, client: httpx2.AsyncClient, reply: Reply, status: int
) -> None:
    await door(FakeEngine(reply))
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, answer.headers["jingluo-state"], answer.headers["jingluo-id"]) == (
        status,
        reply.state,
        "7",
    )
    if reply.state in ("refused", "failed"):
        assert answer.json()["state"] == reply.state
    assert "idempotent-replayed" not in answer.headers


async def test_an_answer_without_a_body_is_an_answer_all_the_same(
    door: Door, client: httpx2.AsyncClient
) -> None:
    await door(FakeEngine(Reply("answered", id="7")))
    answer = await client.post("/v1/patients", json={})
    assert (answer.status_code, answer.json()) == (200, {"id": "7", "state": "answered"})


async def test_an_answer_that_was_given_before_says_so(door: Door, client: httpx2.AsyncClient) -> None:
    await door(FakeEngine(Reply("answered", id="7", body=b"{}", format="json", again=True)))
    assert (await client.post("/v1/patients", json={})).headers["idempotent-replayed"] == "true"


# Idempotency-Key


async def test_a_key_and_what_it_is_of_go_with_the_message(door: Door, client: httpx2.AsyncClient) -> None:
    engine = FakeEngine()
    await door(engine)
    for key, body, query in (
        ("a", b"[1]", ""),
        ('"a"', b"[1]", ""),
        ("b", b"[1]", ""),
        ("a", b"[2]", ""),
        ("a", b"[1]", "?x=1"),
    ):
        await client.post(f"/v1/patients{query}", content=body, headers={"idempotency-key": key})
    first, same, *others = [message.once for message in engine.got]
    assert first is not None
    assert same == first
    assert [one.key == first.key for one in others if one] == [False, True, True]
    assert len({one.of for one in (first, *others[1:]) if one}) == 3
    await client.post("/v1/patients", content=b"[1]")
    assert engine.got[-1].once is None


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "x" * 256])
async def test_a_key_that_is_none_is_refused(door: Door, client: httpx2.AsyncClient, key: str) -> None:
    engine = FakeEngine()
    await door(engine)
    answer = await client.post("/v1/patients", json={}, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"], engine.got) == (400, "JL-E217", [])


async def test_a_channel_may_want_a_key_of_each_request(door: Door, client: httpx2.AsyncClient) -> None:
    await door(FakeEngine(), idempotency_key="required")
    assert (await client.post("/v1/patients", json={})).json()["code"] == "JL-E217"
    assert (await client.post("/v1/patients", json={}, headers={"idempotency-key": "1"})).status_code == 202


# Later answers


async def test_who_was_told_pending_asks_for_the_result_and_may_wait_for_it(
    door: Door, client: httpx2.AsyncClient
) -> None:
    asked: list[tuple[str, str, float]] = []
    replies = {"7": Reply("pending", id="7")}

    async def results(caller: str, id: str, wait_s: float) -> Reply | None:
        asked.append((caller, id, wait_s))
        if wait_s:
            replies["7"] = Reply("answered", id="7", body=b'{"paid": true}', format="json")
        return replies.get(id)

    await door(FakeEngine(Reply("pending", id="7")), results)
    told = await client.post("/v1/patients", json={})
    assert (told.status_code, told.headers["location"]) == (202, "/v1/patients/results/7")
    now = await client.get(told.headers["location"])
    assert (now.status_code, now.json()["state"]) == (202, "pending")
    later = await client.get(told.headers["location"] + "?wait=30s")
    assert (later.status_code, later.json()) == (200, {"paid": True})
    await client.get(told.headers["location"] + "?wait=500ms")
    await client.get(told.headers["location"] + "?wait=9999")
    assert [wait_s for _, _, wait_s in asked] == [0, 30, 0.5, 60]
    unknown = await client.get("/v1/patients/results/8")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "JL-E219")
    assert (await client.get("/v1/patients/results/7?wait=soon")).json()["code"] == "JL-E205"


async def test_a_door_that_closes_lets_nobody_wait(door: Door, client: httpx2.AsyncClient) -> None:
    begun = asyncio.Event()

    async def results(caller: str, id: str, wait_s: float) -> Reply | None:
        if wait_s:
            begun.set()
            await asyncio.sleep(wait_s)
        return Reply("pending", id=id)

    opened = await door(FakeEngine(), results)
    waiting = asyncio.create_task(client.get("/v1/patients/results/7?wait=60"))
    await begun.wait()
    opened.close()
    assert (await waiting).status_code == 202
    assert (await client.get("/v1/patients/results/7")).status_code == 404


# What a request is packed in


async def test_a_packed_body_is_unpacked_and_one_that_bursts_is_refused(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await door(engine, max_size="2MB")
    body = json.dumps(list(range(50_000))).encode()

    async def post(packed: bytes, encoding: str = "gzip") -> httpx2.Response:
        return await client.post("/v1/patients", content=packed, headers={"content-encoding": encoding})

    assert (await post(gzip.compress(body))).status_code == 202
    assert (await post(body, "identity")).status_code == 202
    assert [message.body for message in engine.got] == [body, body]
    for packed, status, code in (
        (gzip.compress(bytes(1_900_000)), 413, "JL-E201"),  # a thousand times what came
        (gzip.compress(body * 9), 413, "JL-E201"),
        (gzip.compress(body)[:-9], 400, "JL-E218"),
        (gzip.compress(body) + b"x", 400, "JL-E218"),
        (body, 400, "JL-E218"),
        (b"", 400, "JL-E218"),
    ):
        answer = await post(packed)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    unknown = await post(body, "br")
    assert (unknown.status_code, unknown.headers["accept-encoding"]) == (415, "gzip")
    assert len(engine.got) == 2


async def test_a_long_answer_is_packed_for_who_takes_it_packed(
    door: Door, client: httpx2.AsyncClient
) -> None:
    body = json.dumps(["测试"] * 1000).encode()
    await door(FakeEngine(Reply("answered", body=body, format="json")))
    packed = await client.post("/v1/patients", json={}, headers={"accept-encoding": "gzip"})
    plain = await client.post("/v1/patients", json={}, headers={"accept-encoding": "identity"})
    assert [one.headers.get("content-encoding") for one in (packed, plain)] == ["gzip", None]
    assert packed.content == plain.content == body
    assert int(packed.headers["content-length"]) < len(body) / 10


async def test_a_request_has_a_hundred_header_fields_at_the_most(
    door: Door, client: httpx2.AsyncClient
) -> None:
    await door(FakeEngine())
    answer = await client.post("/v1/patients", json={}, headers={f"x-{n}": "1" for n in range(120)})
    assert (answer.status_code, answer.json()["code"]) == (431, "JL-E202")


async def test_a_path_with_parameters_is_found_decoded_and_other_methods_hear_405(
    door: Door, client: httpx2.AsyncClient
) -> None:
    engine = FakeEngine()
    await door(engine, path="/v1/{ward}/bills/{bill}")
    await door(engine, path="/v1/open/bills/B1")
    assert (await client.post("/v1/%E5%86%85%E7%A7%91/bills/B%2B1", json={})).status_code == 202
    assert (await client.post("/v1/open/bills/B1", json={})).status_code == 202
    kept = [{key: value for key, value in message.headers.items() if "." in key} for message in engine.got]
    assert kept == [{"param.ward": "内科", "param.bill": "B+1"}, {}]
    other = await client.get("/v1/open/bills/B1")
    assert (other.status_code, other.json()["code"], other.headers["allow"]) == (405, "JL-E207", "POST")
    assert (await client.post("/v1/open/bills", json={})).status_code == 404


# What /openapi.json says


SAID = Described(
    title="收费 Bills",
    schemas={"bills.bill": {"type": "object", "required": ["fen"]}, "bills.receipt": {"type": "object"}},
    request="bills.bill",
    response="bills.receipt",
    examples={"a bill": {"fen": 100}},
    answers={"a bill": {"paid": True}},
)


async def test_a_channel_is_described_with_schemas_examples_and_every_refusal(
    door: Door, client: httpx2.AsyncClient
) -> None:
    async def results(caller: str, id: str, wait_s: float) -> Reply | None:
        return None

    opened = await door(
        FakeEngine(), results, SAID, channel="bills", path="/v1/{ward}/bills", callers=["kiosk"]
    )
    document = (await client.get("/openapi.json")).json()
    post = document["paths"]["/v1/{ward}/bills"]["post"]
    body = post["requestBody"]["content"]["application/json"]
    assert (post["summary"], post["tags"]) == ("收费 Bills", ["bills"])
    assert [(one["name"], one["in"]) for one in post["parameters"]] == [
        ("ward", "path"),
        ("Idempotency-Key", "header"),
    ]
    assert body["schema"] == {"$ref": "#/components/schemas/bills.bill"}
    assert body["examples"]["1"] == {"summary": "a bill", "value": {"fen": 100}}
    answer = post["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/bills.receipt"}
    assert answer["examples"]["1"]["value"] == {"paid": True}
    for status in ("400", "401", "403", "409", "413", "415", "422", "429", "503"):
        problem = post["responses"][status]["content"]["application/problem+json"]
        assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert post["security"] == [{"signature": []}, {"token": []}, {"certificate": []}]
    assert document["components"]["schemas"]["bills.bill"] == {"type": "object", "required": ["fen"]}
    assert "/v1/{ward}/bills/results/{result_id}" in document["paths"]
    await opened.stop()
    document = (await client.get("/openapi.json")).json()
    assert [path for path in document["paths"] if path.startswith("/v1")] == []
    assert "bills.bill" not in document["components"]["schemas"]
