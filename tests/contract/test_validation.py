"""Validation in a running engine: what a sender hears, what is delivered, what the journal and the figures know."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site

from router.search import Query

pytest.importorskip("hl7apy")
pytest.importorskip("fhir.resources")


def valid(control_id: str) -> bytes:
    return adt(control_id).replace(b"ADT^A01|", b"ADT^A01^ADT_A01|").replace(b"^^^HIS|", b"^^^HIS^PI|")


def wrong(control_id: str) -> bytes:
    return valid(control_id).replace(b"|F\r", b"|F~SECRET\r").replace(b"19800101", b"SECRET")


async def test_what_has_faults_is_refused_with_the_first_of_them(
    tmp_path: Path, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(tmp_path, channel(sink, "validate: hl7v2/2.5\n"))
    async with running(site) as engine:
        answers = await send(port(engine), wrong("BAD"), valid("GOOD"))
        assert [code_of(answer) for answer in answers] == ["AE", "AA"]
        said = answers[0].decode()
        assert field(answers[0], "MSA", 3).startswith("JL-V005 PID-7.1: time is not a time stamp")
        assert field(answers[0], "ERR", 2) == "PID^1^7^1^1"
        assert "PID-8[2]" in said
        assert "SECRET" not in said
        await sink.wait_for(1)
        await settled(engine, "refused")
        (refused,) = engine.store.search(Query(state="refused", code="JL-V005"), 10).found
        assert refused.reason.startswith("PID-7.1: ")
        assert b"SECRET" in engine.store.show(refused.id).body
        assert 'jingluo_refused_total{channel="adt"} 1.0' in engine.metrics.render().decode()
    assert sink.ids() == ["GOOD"]
    assert "SECRET" not in "".join(capsys.readouterr())


async def test_what_has_faults_may_only_be_noted(tmp_path: Path, sink: Sink) -> None:
    more = "when: {$MSH-9.2: A01}\nvalidate: {as: hl7v2/2.5, then: note, except: [PID-8]}\n"
    async with running(write_site(tmp_path, channel(sink, more))) as engine:
        filtered = wrong("OTHER").replace(b"ADT^A01^ADT_A01", b"ADT^A99")
        answers = await send(port(engine), wrong("BAD"), valid("GOOD"), filtered)
        assert [code_of(answer) for answer in answers] == ["AA"] * 3
        await sink.wait_for(2)
        await settled(engine)
        (noted,) = engine.store.search(Query(code="JL-V005"), 10).found
        assert (noted.state, noted.code) == ("accepted", "JL-V005")
        assert noted.reason.startswith("PID-7.1: ")
        assert "PID-8" not in noted.reason
        figures = engine.metrics.render().decode()
        assert 'jingluo_noted_total{channel="adt"} 1.0' in figures
        assert 'jingluo_refused_total{channel="adt"} 0.0' in figures
    assert sink.ids() == ["BAD", "GOOD"]


async def test_json_over_http_is_refused_with_its_pointer(tmp_path: Path) -> None:
    text = (
        "channel: order\nfrom: {http: {path: /v1/orders}}\nformat: json\nvalidate: order.json\n"
        f"to:\n  box: {{send: {{file: {{folder: {tmp_path}/out}}}}}}\n"
    )
    site = write_site(tmp_path, {"order": text})
    (site / "schemas").mkdir()
    schema = {"required": ["id"], "properties": {"id": {"type": "string", "maxLength": 5}}}
    (site / "schemas" / "order.json").write_text(json.dumps(schema))
    async with running(site) as engine, httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{engine.web.port}/v1/orders"
        refused = await client.post(url, json={"id": "SECRET"})
        assert refused.status_code == 400
        assert (refused.json()["code"], refused.json()["path"]) == ("JL-V007", "/id")
        assert "SECRET" not in refused.text
        large = await client.post(url, json={"id": "SECRET", "x": "x" * 2_000_000})
        assert (large.status_code, large.json()["code"]) == (400, "JL-V007")
        assert (await client.post(url, json={"id": "1"})).status_code == 202


async def test_what_a_map_made_is_validated_before_it_is_sent(tmp_path: Path, sink: Sink) -> None:
    (tmp_path / "maps").mkdir()
    made = "map: {0}\nfrom: hl7v2\nto: fhir\nmake: {{resourceType: Patient, gender: $PID-8{1}}}\n"
    (tmp_path / "maps" / "raw.yaml").write_text(made.format("raw", ""))
    text = (
        f"{channel(sink)['adt']}"
        f"  noted: {{map: raw, validate: {{as: fhir/r4, then: note}}, send: {{file: {{folder: {tmp_path}/out}}}}}}\n"
        f"  refused: {{map: raw, validate: fhir/r4, send: {{file: {{folder: {tmp_path}/never}}}}}}\n"
    )
    async with running(write_site(tmp_path, {"adt": text})) as engine:
        assert [code_of(answer) for answer in await send(port(engine), valid("M1"))] == ["AA"]
        await settled(engine)
        (found,) = engine.store.search(Query(), 10).found
        ends = {d.destination: (d.state, d.code, d.reason.partition(":")[0]) for d in found.deliveries}
        assert ends["refused"] == ("dead", "JL-V006", "/gender")
        assert (ends["noted"][0], ends["noted"][2]) == ("sent", "/gender")
        assert ends["lis"][0] == "sent"
        figures = engine.metrics.render().decode()
        assert 'jingluo_delivery_noted_total{channel="adt",destination="noted"} 1.0' in figures
    assert not list(Path(tmp_path / "never").glob("*"))
