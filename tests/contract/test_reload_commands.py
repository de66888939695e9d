"""Reload from outside: `jingluo plan` and `apply`, SIGHUP, the watcher, and several processes one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import Sink, adt, code_of, port, running, send, write_site
from process_parts import free_port

from router.api import TOKEN_FILE, health

JINGLUO = Path(sys.executable).parent / "jingluo"
WITHIN_S = 60


class Running:
    """`jingluo run` on a site with one channel `adt`, whose file `write` changes."""

    def __init__(self, site: Path, sink: Sink) -> None:
        self.site = site
        self.door, self.http, self.sink = free_port(), free_port(), sink
        self.write()
        self.process: Process

    def write(self, title: str = "", format: str = "hl7v2", door: int = 0, more: str = "") -> None:
        text = f"channel: adt\ntitle: '{title}'\nfrom: {{mllp: {{port: {door or self.door}}}}}\nformat: {format}\n"
        text += f"to:\n  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {self.sink.port}}}}}}}\n{more}"
        write_site(self.site, {"adt": text})
        (self.site / "jingluo.yaml").write_text(f"http: {{port: {self.http}}}\n")

    async def command(self, *words: str) -> tuple[int, str, str]:
        """The exit code, what it printed, and what it complained of."""
        made = await asyncio.create_subprocess_exec(
            JINGLUO, "--site", self.site, *words, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(made.communicate(), WITHIN_S)
        return made.returncode or 0, out.decode(), err.decode()

    async def health(self) -> dict[str, Any]:
        async with httpx2.AsyncClient() as client:
            found: dict[str, Any] = (await client.get(f"http://127.0.0.1:{self.http}/health/ready")).json()
            return found

    async def until(self, key: str, *, other_than: object) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    if (found := (await self.health())[key]) != other_than:
                        return found
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def run(site: Path, sink: Sink, *options: str) -> AsyncIterator[Running]:
    one = Running(site, sink)
    with (site / "log").open("w") as log:
        one.process = await asyncio.create_subprocess_exec(
            JINGLUO, "--site", site, "run", *options, stdout=log, stderr=log
        )
    try:
        await one.until("ready", other_than=False)
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            one.process.terminate()
        assert await asyncio.wait_for(one.process.wait(), WITHIN_S) == 0, (site / "log").read_text()


async def test_plan_shows_apply_does_and_both_say_no_with_the_place(tmp_path: Path, sink: Sink) -> None:
    async with run(tmp_path, sink) as engine:
        digest = (await engine.health())["digest"]
        assert (await engine.command("plan"))[:2] == (
            0,
            f"nothing changes: {digest} is live, 1 channels 无变化\n",
        )

        more = f"  emr: {{send: {{mllp: {{host: 127.0.0.1, port: {sink.port}}}}}}}\n"
        engine.write("another", more=more)
        code, said, _ = await engine.command("plan")
        assert code == 0
        assert "~ adt  changed" in said
        assert "    + destination emr" in said
        assert "queue jl.adt.emr is made" in said
        assert (await engine.health())["digest"] == digest

        code, said, _ = await engine.command("apply", "--json")
        plan = json.loads(said)
        assert (code, plan["applied"], plan["live"]) == (0, True, digest)
        found = await engine.health()
        assert (found["digest"], found["digests"]["adt"]) == (plan["new"], plan["channels"][0]["new"])

        engine.write("a mistake", format="hl7v3")
        code, said, _ = await engine.command("apply")
        assert code == 1
        assert said.splitlines()[-2:] == [
            "channels/adt.yaml:4:9: JL-C017: no format is called 'hl7v3'; did you mean 'hl7v2'?",
            f"refused, nothing changed: {plan['new']} goes on 已拒绝，未作任何更改",
        ]
        assert (await engine.health())["reload_refused"] is True
        assert [code_of(a) for a in await send(engine.door, adt("1"))] == ["AA"]

        engine.write("settings")
        (tmp_path / "jingluo.yaml").write_text(f"http: {{port: {engine.http}}}\nstop_within: 5s\n")
        code, said, _ = await engine.command("apply")
        assert (code, "jingluo.yaml:2:1: JL-R002: `stop_within` is not what" in said) == (1, True)
    code, _, complaint = await engine.command("plan")
    assert (code, "JL-J008" in complaint) == (1, True)


async def test_a_hang_up_applies_and_a_mistake_ends_nothing(tmp_path: Path, sink: Sink) -> None:
    async with run(tmp_path, sink) as engine:
        digest = (await engine.health())["digest"]
        engine.write("another")
        engine.process.send_signal(signal.SIGHUP)
        new = await engine.until("digest", other_than=digest)
        engine.write("a mistake", format="hl7v3")
        engine.process.send_signal(signal.SIGHUP)
        assert await engine.until("reload_refused", other_than=False) is True
        assert (await engine.health())["digest"] == new
        assert "channels/adt.yaml:4:9: JL-C017" in (tmp_path / "log").read_text()
        engine.write("right again")
        engine.process.send_signal(signal.SIGHUP)
        assert await engine.until("digest", other_than=new) != digest


async def test_watched_files_are_applied_when_they_are_whole(tmp_path: Path, sink: Sink) -> None:
    pytest.importorskip("watchfiles")
    async with run(tmp_path, sink, "--watch") as engine:
        digest = (await engine.health())["digest"]
        moved = free_port()
        path = tmp_path / "channels" / "adt.yaml"
        engine.write("moved", door=moved)
        whole = path.read_text()
        with path.open("w") as file:  # without its destination it would be whole YAML too
            file.write(whole[: whole.index("to:")])
            file.flush()
            await asyncio.sleep(3)
            file.write(whole[whole.index("to:") :])
        await engine.until("digest", other_than=digest)
        assert [code_of(a) for a in await send(moved, adt("1"))] == ["AA"]
        await sink.wait_for(1)
        assert (tmp_path / "log").read_text().count("reload.applied") == 1


@pytest.mark.rabbitmq
async def test_each_process_applies_for_itself_and_health_shows_which_have(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    more = "  emr: {{send: {{mllp: {{host: 127.0.0.1, port: {port}}}}}}}\n"
    text = "channel: adt\nfrom: {{mllp: {{port: 0}}}}\nformat: hl7v2\nto:\n"
    text += "  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {port}}}}}}}\n"
    site = write_site(tmp_path, {"adt": text.format(port=sink.port)})
    async with (
        running(site, broker=amqp_vhost, roles="intake", var="var/intake") as intake,
        running(site, broker=amqp_vhost, roles="delivery", var="var/delivery") as delivery,
    ):
        write_site(site, {"adt": (text + more).format(port=sink.port)})
        token = (intake.settings.var / TOKEN_FILE).read_text()
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
            answer = await client.post(f"http://127.0.0.1:{intake.web.port}/api/apply", json={})
        assert answer.json()["applied"], answer.text
        assert health(intake)["digests"] != health(delivery)["digests"]
        await send(port(intake), adt("1"))
        await sink.wait_for(1)
        assert (await intake.queues.waiting(["jl.adt.emr"])) == {"jl.adt.emr": 1}, "it waits for who delivers"
        assert (await delivery.reload.apply()).applied
        await sink.wait_for(2)
        assert health(intake)["digests"] == health(delivery)["digests"]

        write_site(site, {"adt": text.format(port=sink.port)})
        assert (await intake.reload.apply(drain=True)).applied
        assert (await delivery.reload.apply(drain=True)).applied
        await send(port(intake), adt("2"))
        await sink.wait_for(3)
        assert health(delivery)["emptying"] == ["adt/emr"], "as long as another process may send there"
        assert sink.ids() == ["1", "1", "2"]

        write_site(
            site, {"adt": text.format(port=sink.port).replace("to:", "order: {by: $PID-3.1, lanes: 2}\nto:")}
        )
        refused = await delivery.reload.apply()
        assert [f.code for f in refused.findings if f.severity == "error"] == ["JL-R005"]
