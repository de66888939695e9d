"""What `jingluo test` plays in memory is what the engine does with real sockets, queues and rows."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from engine_parts import Sink, adt, code_of, port, running, send, write_site

from channels.cases import Answer, Case, World
from channels.loader import load_site
from config.settings import load_settings
from router.engine import Engine
from router.proving.stage import Played, Stage
from router.search import Found, Query
from router.store import StoreError
from transforms.proving import Given

ANSWERS = {"P-AA": "AA", "P-AE": "AE", "P-AR": "AR"}
MESSAGES = [
    *(adt(f"M-{patient}", patient=patient) for patient in ANSWERS),
    adt("M-DEAD", patient=""),
    adt("M-A20", event="A20", patient="P-AA"),
    adt("M-ORM").replace(b"ADT^", b"ORM^"),
    adt("M-P-AA", patient="P-AA"),  # the first again
    b"this is no HL7",
    "MSH|^~\\&|HIS|A|LIS|A|20260105||ADT^A01|M-GB|P|2.4\rPID|1||P-AA||欧阳^小明\r".encode("gb18030"),
]
MAP = """\
map: person
from: hl7v2
to: json
make: {number: $PID-3.1 | required, name: $PID-5, at: $MSH-7}
"""


def answer_to(message: bytes) -> str:
    return next((code for name, code in ANSWERS.items() if name.encode() in message), "AA")


def channel(sink: Sink) -> str:
    return f"""\
channel: adt
from: {{mllp: {{port: 0, charset: GB18030}}}}
format: hl7v2
index: {{patient: $PID-3.1, name: $PID-5}}
duplicates: {{by: $MSH-10}}
when: {{$MSH-9.1: ADT}}
to:
  lis:
    when: {{$MSH-9.2: [A01, A08]}}
    send: {{mllp: {{host: 127.0.0.1, port: {sink.port}}}}}
    retry: {{first: 1h, max: 1h}}
  out: {{map: person, send: {{file: {{folder: out}}}}}}
"""


def of_journal(found: Found, sent: dict[str, bytes]) -> dict[str, Any]:
    """A message as the engine's journal has it, and what each destination got."""
    ways = dict.fromkeys(found.filtered, ("filtered", 0, ""))
    ways |= {d.destination: (d.state, d.attempts, d.code) for d in found.deliveries}
    return {
        "state": found.state,
        "kind": found.kind,
        "code": found.code,
        "index": dict(found.index),
        "ways": ways,
        "sent": {name: sent.get(name) for name, way in ways.items() if way[0] != "filtered"},
    }


def of_play(played: Played) -> dict[str, Any]:
    envelope = played.envelope
    return {
        "state": envelope.state,
        "kind": envelope.kind,
        "code": envelope.code,
        "index": envelope.index,
        "ways": {name: (way.state, way.tries, way.code) for name, way in played.ways.items()},
        "sent": {name: way.body for name, way in played.ways.items() if way.state != "filtered"},
    }


async def test_every_message_comes_to_the_same_played_and_run(tmp_path: Path) -> None:
    sink = await Sink(answer_to).start()
    site = write_site(tmp_path, {"adt": channel(sink)})
    (site / "maps").mkdir()
    (site / "maps" / "person.yaml").write_text(MAP)
    run: list[tuple[str, dict[str, Any]]] = []
    known: set[str] = set()
    try:
        async with running(site) as engine:
            for body in MESSAGES:
                (answer,) = await send(port(engine), body)
                found = await arrived(engine, known)
                sent = {"lis": sink.got[-1]} if sink.got else {}
                if (file := site / "out" / found.id).exists():
                    sent["out"] = file.read_bytes()
                run.append((code_of(answer), of_journal(found, sent)))
    finally:
        await sink.stop()
    settings = load_settings(site, {})
    (loaded,) = load_site(settings, {}).channels
    stage = Stage(loaded, site)
    for number, (body, (code, ran)) in enumerate(zip(MESSAGES, run, strict=True)):
        before_it = tuple((Given(earlier), 0.0) for earlier in MESSAGES[:number] if earlier == body)
        case = Case(
            "t", (), Given(body), before=before_it, world=World(answers={"lis": (Answer(answer_to(body)),)})
        )
        played = await stage.play(case)
        assert (played.told.code, of_play(played)) == (code, ran), body


async def arrived(engine: Engine, known: set[str]) -> Found:
    """The message that the journal did not have, once all that is to be tried was."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                new = [found for found in engine.store.search(Query()).found if found.id not in known]
                if new and all(delivery.state != "waiting" for delivery in new[0].deliveries):
                    known.add(new[0].id)
                    return new[0]
            await asyncio.sleep(0.05)
