"""Roles in processes of their own, with RabbitMQ between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from engine_parts import Sink, adt, code_of, field, running, send, write_site

from channels.loader import load_site
from config.errors import ConfigError
from config.settings import load_settings
from router.api import TOKEN_FILE
from router.engine import Engine
from router.search import Query
from router.store import StoreError

pytestmark = pytest.mark.rabbitmq

CHANNEL = """\
channel: adt
from: {{mllp: {{port: 0}}}}
format: hl7v2
index: {{patient: $PID-3.1}}
{more}to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 5s}}}}
"""


def site(folder: Path, sink: Sink, more: str = "") -> Path:
    return write_site(folder, {"adt": CHANNEL.format(port=sink.port, more=more)})


def door(engine: Engine) -> int:
    found = engine.doors.port("adt")
    assert found
    return found


async def until_sent(engine: Engine, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                if len(engine.store.search(Query(state="sent"), 1000).found) >= count:
                    return
            await asyncio.sleep(0.05)


async def test_three_processes_do_what_one_does(tmp_path: Path, sink: Sink, amqp_vhost: str) -> None:
    place = site(tmp_path, sink)
    async with contextlib.AsyncExitStack() as stack:
        start = lambda roles: stack.enter_async_context(running(place, broker=amqp_vhost, roles=roles))  # noqa: E731
        journal, _, intake = await start("journal"), await start("delivery"), await start("intake")
        answers = await send(door(intake), adt("A1", patient="P7"), b"no HL7")
        assert [code_of(answer) for answer in answers] == ["AA", "AR"]
        await until_sent(journal, 1)
        assert sink.ids() == ["A1"]
        assert [f.state for f in journal.store.search(Query(), 10).found] == ["refused", "accepted"]
        async with httpx2.AsyncClient() as client:
            ready = (await client.get(f"http://127.0.0.1:{intake.web.port}/health/ready")).json()
            assert (ready["roles"], ready["channels"], "journal" in ready) == (
                ["intake"],
                {"adt": "open"},
                False,
            )
            replay = f"http://127.0.0.1:{intake.web.port}/api/replay"
            assert (await client.post(replay, json={})).status_code == 401, "the token comes before anything"
            token = (intake.settings.var / TOKEN_FILE).read_text()
            shown = {"authorization": f"Bearer {token}"}
            assert (await client.post(replay, json={}, headers=shown)).status_code == 404, "no journal here"


async def test_an_answer_finds_its_way_back_to_the_process_that_waits(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    place = site(tmp_path, sink, "reply: lis\ntimeout: 10s\n")
    sink.answer = lambda message: "AR" if field(message, "MSH", 10) == "NO" else "AA"
    async with (
        running(place, broker=amqp_vhost, roles="journal,delivery"),
        running(place, broker=amqp_vhost, roles="intake") as one,
        running(place, broker=amqp_vhost, roles="intake") as other,
    ):
        for engine in (one, other):
            yes, no = await send(door(engine), adt("YES"), adt("NO"))
            assert (code_of(yes), code_of(no)) == ("AA", "AR")
            assert field(yes, "MSH", 3) == "LIS", "the laboratory's own answer, not ours"


async def test_two_of_each_at_once_deliver_every_message_once(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    place = site(tmp_path, sink)
    async with contextlib.AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(running(place, broker=amqp_vhost, roles=roles))
            for roles in ("journal", "delivery", "intake") * 2
        ]
        doors = [door(engine) for engine in engines if "intake" in engine.roles]
        sent = [[adt(f"{n}-{i}") for i in range(50)] for n in range(8)]
        answers = await asyncio.gather(*(send(doors[n % 2], *messages) for n, messages in enumerate(sent)))
        assert Counter(code_of(answer) for each in answers for answer in each) == {"AA": 400}
        await until_sent(engines[0], 400)
        assert sorted(sink.ids()) == sorted(f"{n}-{i}" for n in range(8) for i in range(50))
        (way,) = [c for c in engines[0].store.counts() if c.destination == "lis"]
        assert (way.accepted, way.delivered, way.dead, way.waiting) == (400, 400, 0, 0)
        shares = [
            engine.metrics.render()
            .decode()
            .split('jingluo_delivered_total{channel="adt",destination="lis"} ')[1]
            for engine in engines
            if "delivery" in engine.roles
        ]
        assert sum(float(share.split("\n")[0]) for share in shares) == 400


def test_no_role_asks_for_what_another_needs(tmp_path: Path) -> None:
    write_site(
        tmp_path,
        {
            "query": "channel: query\nfrom: {http: {path: /q, auth: {bearer: secret://kiosk}}}\nformat: json\n"
            "to:\n  emr: {send: {http: {url: 'http://127.0.0.1:9/', auth: {bearer: secret://emr}}}}\n"
        },
        settings="broker: amqp://jl:secret://mq@127.0.0.1/\ndatabase: postgresql://jl:secret://db@127.0.0.1/x\n",
    )

    def missing(roles: str, *secrets: str) -> set[str]:
        env = {f"JINGLUO_SECRET_{name.upper()}": "x" for name in secrets} | {"JINGLUO_ROLES": roles}
        try:
            found = load_site(load_settings(tmp_path, env), env).findings
        except ConfigError as error:
            found = error.findings
        return {finding.message.split("'")[1] for finding in found if finding.code == "JL-C032"}

    assert missing("intake", "mq") == {"kiosk"}
    assert missing("delivery", "mq") == {"emr"}
    assert missing("journal", "mq") == {"db"}
    assert missing("journal", "mq", "db") == set()
    assert missing("intake,delivery,journal", "mq", "db") == {"kiosk", "emr"}


def lanes_of(engine: Engine) -> int:
    return engine.works["adt"].channel.lanes


@pytest.mark.parametrize("had", ["order: {by: $PID-3.1, lanes: 2}\n", ""], ids=["two lanes", "no order"])
async def test_lanes_change_for_all_processes_or_for_none(
    tmp_path: Path, sink: Sink, amqp_vhost: str, had: str
) -> None:
    """Else a process that comes back would put messages where nobody fetches them."""
    place = site(tmp_path, sink, had)
    now = 2 if had else 0
    async with running(place, broker=amqp_vhost, roles="delivery,journal", var="var/one") as delivery:
        async with running(place, broker=amqp_vhost, roles="intake", var="var/two") as intake:
            await send(door(intake), adt("A1"))
        site(tmp_path, sink, "order: {by: $PID-3.1, lanes: 3}\n")
        async with running(place, broker=amqp_vhost, roles="intake", var="var/two") as intake:
            assert (lanes_of(intake), lanes_of(delivery)) == (now, now)
            await send(door(intake), adt("A2"))
            await sink.wait_for(2)
            assert "JL-R005" in [finding.code for finding in (await intake.reload.plan()).findings]
    async with running(place, broker=amqp_vhost) as alone:
        assert lanes_of(alone) == 3
        await send(door(alone), adt("A3"))
        await sink.wait_for(3)
    assert sink.ids() == ["A1", "A2", "A3"]


async def test_an_order_that_goes_stays_while_others_run(tmp_path: Path, sink: Sink, amqp_vhost: str) -> None:
    place = site(tmp_path, sink, "order: {by: $PID-3.1, lanes: 2}\n")
    async with running(place, broker=amqp_vhost, roles="delivery,journal", var="var/one"):
        site(tmp_path, sink)
        async with running(place, broker=amqp_vhost, roles="intake", var="var/two") as intake:
            assert lanes_of(intake) == 2, "without a key all go into one of them"
            await send(door(intake), adt("A1"), adt("A2"))
            await sink.wait_for(2)
    assert sink.ids() == ["A1", "A2"]
