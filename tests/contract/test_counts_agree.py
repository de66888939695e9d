"""Counts are counted once: what `/metrics` says and what the journal says agree, whatever came between."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site
from prometheus_client.parser import text_string_to_metric_families

from router.clock import now_ms
from router.engine import Engine
from router.replay import Replayer, ReplayRequest
from router.search import Query
from router.store import Store

MORE = "duplicates: {by: $MSH-10, within: 24h}\nwhen: {$MSH-9.2: [A01, A03, A08]}\n"
TO = """\
    retry: {first: 100ms, for: 60s}
  emr:
    when: {$MSH-9.2: A01}
    send: {mllp: {host: 127.0.0.1, port: PORT, timeout: 2s}}
"""
FIGURES = {
    "accepted": "accepted",
    "filtered": "filtered",
    "refused": "refused",
    "duplicates": "duplicate",
    "delivered": "delivered",
    "dead": "dead",
    "delivery_failed": "retried",
}

Counted = Counter[tuple[str, str]]  # by figure and destination ("" for the channel's own)


def by_metrics(engine: Engine) -> Counted:
    counted: Counted = Counter()
    for family in text_string_to_metric_families(engine.metrics.render().decode()):
        name = family.name.removeprefix("jingluo_")
        if name in FIGURES:
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    counted[FIGURES[name], sample.labels.get("destination", "")] += int(sample.value)
    return +counted


def by_journal(store: Store) -> Counted:
    counted: Counted = Counter()
    for line in store.counts():
        names = (
            ("delivered", "dead") if line.destination else ("accepted", "filtered", "refused", "duplicate")
        )
        for name in names:
            counted[name, line.destination] += getattr(line, name)
    for found in store.search(Query(), 1000).found:
        for t in store.show(found.id).tries:
            counted["retried", t.destination] += t.outcome == "retry"
    return +counted


async def agreed(engine: Engine, before: Counted) -> Counted:
    """By the metrics, with what was counted before, once the journal says the same: either may hear of an end first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while before + by_metrics(engine) != by_journal(engine.store):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    counted = before + by_metrics(engine)
    assert counted == by_journal(engine.store)
    return counted


async def test_metrics_and_journal_agree_after_all_that_can_become_of_messages(
    tmp_path: Path, broker: str
) -> None:
    failed: Counter[tuple[str, str]] = Counter()

    def answer(message: bytes) -> str:
        id = field(message, "MSH", 10)
        failed[id, "lis"] += 1
        if id.startswith("AGAIN") and failed[id, "lis"] <= 2:
            return "AE"
        return "AR" if id.startswith("BAD") and not mended else "AA"

    mended = False
    sink, other = await Sink(answer).start(), await Sink().start()
    site = write_site(tmp_path, channel(sink, MORE, TO.replace("PORT", str(other.port))))
    counted: Counted = Counter()
    async with running(site, broker=broker) as engine:
        sent = [adt(f"OK{n}") for n in range(10)] + [adt(f"ONE{n}", "A03") for n in range(4)]
        sent += [adt(f"NO{n}", "A99") for n in range(3)] + [adt(f"BAD{n}") for n in range(2)]
        answers = await send(port(engine), *sent, *sent[:5], b"no HL7", adt("AGAIN1"), adt("AGAIN2", "A08"))
        assert Counter(map(code_of, answers)) == {"AA": len(sent) + 7, "AR": 1}
        await settled(engine)
        counted = await agreed(engine, counted)
    mended = True
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("OK0"), adt("AFTER"))
        replayer = Replayer(engine.store, engine.resend, now_ms)
        done = await replayer.replay(ReplayRequest(query=Query(state="dead")))
        assert len(done.made) == 2
        await settled(engine)
        assert await engine.journal.caught_up()
        counted = await agreed(engine, counted)
        lines = {line.destination: line for line in engine.store.counts()}
    assert counted == {
        ("accepted", ""): 10 + 4 + 2 + 2 + 1 + 2,
        ("filtered", ""): 3,
        ("refused", ""): 1,
        ("duplicate", ""): 5 + 1,
        ("delivered", "lis"): 10 + 4 + 2 + 1 + 2,
        ("delivered", "emr"): 10 + 2 + 1 + 1,
        ("dead", "lis"): 2,
        ("retried", "lis"): 4,
    }
    for way in (lines["lis"], lines["emr"]):
        assert way.accepted == way.delivered + way.dead + way.waiting
    await sink.stop()
    await other.stop()
