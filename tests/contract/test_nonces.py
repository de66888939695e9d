"""A nonce is good once: in one process, in several at the same time, and over restarts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from amqp_proxy import way_through
from engine_parts import Sink, running, write_site
from signing import KEY, signed

from config.private import make_folder
from router.brokers import open_broker
from router.brokers.base import BrokerDown
from router.clock import now_ms
from router.duplicates import Seen
from router.engine import Engine
from router.nonces import Nonces

UNTIL_S = now_ms() // 1000 + 3600
CHANNEL = """\
channel: adt
from: {{http: {{path: /v1/adt, callers: kiosk}}}}
format: hl7v2
to:
  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {port}}}}}}}
"""
CALLERS = "callers: {kiosk: {keys: [{hmac-sm3: secret://kiosk-key}]}}\n"


def key(n: int) -> bytes:
    return hashlib.blake2b(str(n).encode(), digest_size=16).digest()


@contextlib.asynccontextmanager
async def process(broker: str, var: Path) -> AsyncIterator[Nonces]:
    """What a process of the engine has of it."""
    make_folder(var)
    opened, seen = open_broker(broker, var), Seen(var / "seen.db", now_ms)
    await opened.start()
    nonces = Nonces(seen, opened, now_ms, alone=broker == "embedded")
    await nonces.start()
    yield nonces
    await nonces.stop()
    await seen.stop()
    await opened.stop()


async def test_of_many_who_claim_one_nonce_one_gets_it(broker: str, tmp_path: Path) -> None:
    async with process(broker, tmp_path / "a") as nonces:
        won = await asyncio.gather(*(nonces.claim(key(n % 10), UNTIL_S) for n in range(50)))
        assert sum(won) == 10
        assert [nonces.known(key(n)) for n in (0, 9, 10)] == [True, True, False]


async def test_what_was_used_before_a_restart_is_used_after_it(broker: str, tmp_path: Path) -> None:
    async with process(broker, tmp_path / "a") as nonces:
        assert await nonces.claim(key(1), UNTIL_S)
    async with process(broker, tmp_path / "a") as nonces:
        assert [await nonces.claim(key(n), UNTIL_S) for n in (1, 2)] == [False, True]


@pytest.mark.rabbitmq
async def test_of_two_machines_that_claim_at_once_one_gets_it_and_a_third_hears_of_it(
    amqp_vhost: str, tmp_path: Path
) -> None:
    async with process(amqp_vhost, tmp_path / "a") as one, process(amqp_vhost, tmp_path / "b") as two:
        claims = [nonces.claim(key(n), UNTIL_S) for n in range(20) for nonces in (one, two)]
        won = await asyncio.gather(*claims)
        assert [won[n] + won[n + 1] for n in range(0, 40, 2)] == [1] * 20
        async with process(amqp_vhost, tmp_path / "c") as three:
            assert [await three.claim(key(n), UNTIL_S) for n in (19, 20)] == [False, True]


@pytest.mark.rabbitmq
async def test_while_the_broker_is_away_nobody_can_say_and_afterwards_it_goes_on(
    amqp_vhost: str, tmp_path: Path
) -> None:
    url, proxy = await way_through(amqp_vhost)
    async with process(url, tmp_path / "a") as nonces:
        proxy.refusing = True
        proxy.cut()
        await asyncio.sleep(0.1)
        with pytest.raises(BrokerDown):
            await nonces.claim(key(1), UNTIL_S)
        proxy.refusing = False
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(BrokerDown):
                    assert await nonces.claim(key(2), UNTIL_S)
                    break
                await asyncio.sleep(0.05)
    await proxy.stop()


async def test_before_it_knows_what_was_used_nobody_comes_in(tmp_path: Path) -> None:
    nonces = Nonces(Seen(tmp_path / "seen.db", now_ms), open_broker("embedded", tmp_path), now_ms, alone=True)
    with pytest.raises(BrokerDown):
        await nonces.claim(key(1), UNTIL_S)


async def test_an_engine_lets_a_request_in_once_also_after_it_was_started_anew_and_counts_the_others(
    tmp_path: Path, broker: str, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JINGLUO_SECRET_KIOSK_KEY", KEY)
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port)})
    (site / "callers.yaml").write_text(CALLERS)
    body = b"MSH|^~\\&|KIOSK|A|LIS|B|20260105||ADT^A01|1|P|2.5\r"
    once = signed("POST", "/v1/adt", body)
    async with running(site, broker=broker) as engine:
        assert [await post(engine, body, once) for _ in range(2)] == [202, 401]
        assert 'jingluo_callers_refused_total{channel="adt",reason="replay"} 1.0' in (
            engine.metrics.render().decode()
        )
    async with running(site, broker=broker) as engine:
        assert await post(engine, body, once) == 401
        (site / "callers.yaml").write_text("callers: {}\n")
        refused = await engine.reload.apply()
        assert [finding.code for finding in refused.findings] == ["JL-C091"]
        (site / "callers.yaml").write_text(CALLERS.replace("kiosk-key}]", "kiosk-key}], rate: 7"))
        plan = await engine.reload.apply()
        assert (plan.applied, plan.callers, [c.change for c in plan.channels]) == (
            True,
            ("~ caller kiosk",),
            ["same"],
        )
        assert engine.admission.callers.known["kiosk"].rate == 7


async def post(engine: Engine, body: bytes, authorization: str) -> int:
    headers = {"authorization": authorization, "content-type": "text/plain"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"http://127.0.0.1:{engine.web.port}/v1/adt", content=body, headers=headers
        )
    return answer.status_code
