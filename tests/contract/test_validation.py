"""Validation in a running engine: what a sender hears, what is delivered, what the journal and the figures know."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from engine_parts import (
    END,
    START,
    Sink,
    adt,
    channel,
    code_of,
    field,
    port,
    running,
    send,
    settled,
    write_site,
)

from router.search import Query

pytest.importorskip("hl7apy")
pytest.importorskip("fhir.resources")

NOTING = "when: {$MSH-9.2: A01}\nvalidate: {as: hl7v2/2.5, then: note, except: [PID-8]}\n"


def valid(control_id: str) -> bytes:
    return adt(control_id).replace(b"ADT^A01|", b"ADT^A01^ADT_A01|").replace(b"^^^HIS|", b"^^^HIS^PI|")


def wrong(control_id: str) -> bytes:
    return valid(control_id).replace(b"|F\r", b"|F~SECRET\r").replace(b"19800101", b"SECRET")


async def pipelined(to: int, *messages: bytes) -> list[bytes]:
    """The answers to messages that do not wait for one another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", to)
    writer.write(b"".join(START + message + END for message in messages))
    answers = [(await asyncio.wait_for(reader.readuntil(END), 20))[1:-2] for _ in messages]
    writer.close()
    return answers


async def test_what_has_faults_is_refused_with_the_first_of_them_or_noted(
    tmp_path: Path, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing = channel(sink, "validate: hl7v2/2.5\n", name="refusing")
    site = write_site(tmp_path, refusing | channel(sink, NOTING, name="noting"))
    async with running(site) as engine:
        answers = await send(port(engine, "refusing"), wrong("R-BAD"), valid("R-GOOD"))
        assert [code_of(answer) for answer in answers] == ["AE", "AA"]
        assert field(answers[0], "MSA", 3).startswith("JL-V005 PID-7.1: time is not a time stamp")
        assert field(answers[0], "ERR", 2) == "PID^1^7^1^1"
        assert b"PID-8[2]" in answers[0]
        assert b"SECRET" not in answers[0]

        filtered = wrong("N-OTHER").replace(b"ADT^A01^ADT_A01", b"ADT^A99")
        answers = await send(port(engine, "noting"), wrong("N-BAD"), valid("N-GOOD"), filtered)
        assert [code_of(answer) for answer in answers] == ["AA"] * 3

        long = valid("R-LONG") + b"AL1|1||PEN\r" * 20_000  # read in a thread
        answers = await pipelined(
            port(engine, "refusing"), long, valid("R-AFTER"), long + b"QQQ|1\r", wrong("R-W")
        )
        assert [code_of(answer) for answer in answers] == ["AA", "AA", "AE", "AE"]
        assert [field(answer, "MSA", 2) for answer in answers] == ["R-LONG", "R-AFTER", "R-LONG", "R-W"]

        await sink.wait_for(5)
        await settled(engine, "refused", 3)
        await settled(engine)
        taken = engine.store.search(Query(channel="refusing"), 10).found[::-1]
        order = [field(engine.store.show(found.id).body, "MSH", 10) for found in taken]
        assert order == ["R-BAD", "R-GOOD", "R-LONG", "R-AFTER", "R-LONG", "R-W"]
        found = engine.store.search(Query(code="JL-V005"), 10).found
        _, noted, refused = found
        assert (refused.state, noted.state) == ("refused", "accepted")
        assert (refused.code, noted.code) == ("JL-V005", "JL-V005")
        assert refused.reason.startswith("PID-7.1: ")
        assert b"SECRET" in engine.store.show(refused.id).body
        assert noted.reason.startswith("PID-7.1: ")
        assert "PID-8" not in noted.reason
        figures = engine.metrics.render().decode()
        for name, value in (("refused", 3), ("noted", 0)):
            assert f'jingluo_{name}_total{{channel="refusing"}} {value}.0' in figures
            assert f'jingluo_{name}_total{{channel="noting"}} {int(not value)}.0' in figures
    assert sorted(sink.ids()) == ["N-BAD", "N-GOOD", "R-AFTER", "R-GOOD", "R-LONG"]
    assert "SECRET" not in "".join(capsys.readouterr())


async def test_json_is_refused_by_pointer_and_what_a_map_made_before_it_is_sent(
    tmp_path: Path, sink: Sink
) -> None:
    order = (
        "channel: order\nfrom: {http: {path: /v1/orders}}\nformat: json\nvalidate: order.json\n"
        f"to:\n  box: {{send: {{file: {{folder: {tmp_path}/out}}}}}}\n"
    )
    mapped = (
        f"{channel(sink)['adt']}"
        f"  noted: {{map: raw, validate: {{as: fhir/r4, then: note}}, send: {{file: {{folder: {tmp_path}/out}}}}}}\n"
        f"  refused: {{map: raw, validate: fhir/r4, send: {{file: {{folder: {tmp_path}/never}}}}}}\n"
    )
    site = write_site(tmp_path, {"order": order, "adt": mapped})
    (site / "schemas").mkdir()
    schema = {"required": ["id"], "properties": {"id": {"type": "string", "maxLength": 5}}}
    (site / "schemas" / "order.json").write_text(json.dumps(schema))
    (site / "maps").mkdir()
    (site / "maps" / "raw.yaml").write_text(
        "map: raw\nfrom: hl7v2\nto: fhir\nmake: {resourceType: Patient, gender: $PID-8}\n"
    )
    async with running(site) as engine, httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{engine.web.port}/v1/orders"
        refused = await client.post(url, json={"id": "SECRET"})
        assert refused.status_code == 400
        assert (refused.json()["code"], refused.json()["path"]) == ("JL-V007", "/id")
        assert "SECRET" not in refused.text
        large = await client.post(url, json={"id": "SECRET", "x": "x" * 2_000_000})
        assert (large.status_code, large.json()["code"]) == (400, "JL-V007")
        assert (await client.post(url, json={"id": "1"})).status_code == 202

        assert [code_of(answer) for answer in await send(port(engine), valid("M1"))] == ["AA"]
        await sink.wait_for(1)
        await settled(engine, "dead")
        await settled(engine)
        (found,) = engine.store.search(Query(channel="adt"), 10).found
        ends = {d.destination: (d.state, d.code, d.reason.partition(":")[0]) for d in found.deliveries}
        assert ends["refused"] == ("dead", "JL-V006", "/gender")
        assert (ends["noted"][0], ends["noted"][2]) == ("sent", "/gender")
        assert ends["lis"][0] == "sent"
        figures = engine.metrics.render().decode()
        assert 'jingluo_delivery_noted_total{channel="adt",destination="noted"} 1.0' in figures
