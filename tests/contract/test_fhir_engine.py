"""FHIR through a running engine: a client, the engine's FHIR server, and the example hospital's record behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from engine_parts import running, settled, write_site
from fhir_parts import CREATE, PATIENT, UPDATE, bundle, issues, valid

from channels.report import check_site
from config.settings import load_settings
from deploy.sandbox.emr import Emr
from router.engine import Engine
from router.proving.runner import run_tests
from router.search import Query

ROOT = Path(__file__).parents[2]
ONCE = {**CREATE, "ifNoneExist": "identifier=urn:oid:1.2.3|P0001"}


def channels(*names: str) -> dict[str, str]:
    """The manual's own examples, for callers from this machine."""
    manual = (ROOT / "endpoints" / "fhir_r4" / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"```yaml\n# channels/([a-z-]+)\.yaml[^\n]*\n(.*?)```", manual, re.DOTALL)
    return {
        name: text.replace(", callers: ward-app", "") for name, text in found if name in names or not names
    }


def site(folder: Path, emr: Emr, texts: dict[str, str]) -> Path:
    url = f"http://127.0.0.1:{emr.port}/fhir"
    return write_site(folder, texts, f"systems: {{emr: {{kind: fhir, url: '{url}', timeout: 2s}}}}\n")


@pytest.fixture
async def emr() -> AsyncIterator[Emr]:
    party = Emr()
    await party.open()
    yield party
    await party.close()


def client(engine: Engine) -> httpx2.AsyncClient:
    base = f"http://127.0.0.1:{engine.web.port}/fhir"
    return httpx2.AsyncClient(base_url=base, trust_env=False, timeout=20)


async def test_what_is_written_is_found_again(tmp_path: Path, emr: Emr) -> None:
    async with running(site(tmp_path, emr, channels())) as engine, client(engine) as asking:
        answer = await asking.post("", json=bundle("transaction", ONCE))
        assert (answer.status_code, valid(answer.json())["type"]) == (200, "transaction-response")
        again = await asking.post(
            "/Patient", json=PATIENT, headers={"if-none-exist": "identifier=urn:oid:1.2.3|P0001"}
        )
        assert (again.status_code, again.headers["location"]) == (
            200,
            f"{asking.base_url}Patient/1/_history/1",
        )
        new = await asking.put("/Patient/17", json={**PATIENT, "id": "17", "identifier": [{"value": "P2"}]})
        assert (new.status_code, new.headers["location"]) == (201, f"{asking.base_url}Patient/17/_history/1")
        found = await asking.get("/Patient", params={"identifier": "P0001"})
        assert (found.status_code, valid(found.json())["total"]) == (200, 1)
        assert (await asking.get("/Patient/17")).json()["identifier"] == [{"value": "P2"}]
        nobody = await asking.get("/Patient/99")
        assert (nobody.status_code, issues(nobody.json())) == (404, [("error", "invalid")])
        valid((await asking.get("/metadata")).json())
        await engine.journal.has_all()
        assert not engine.store.search(Query(state="dead"), 1).found  # that nobody is there is an answer
    assert emr.counts() == {"Patient": 2}


async def test_what_is_wrong_is_refused_by_the_engine_with_each_fault_and_its_place(
    tmp_path: Path, emr: Emr
) -> None:
    async with running(site(tmp_path, emr, channels("fhir-in"))) as engine, client(engine) as asking:
        answer = await asking.post("/Patient", json={**PATIENT, "gender": "M", "name": [{"family": ""}]})
        assert answer.status_code == 422
        assert {one["expression"][0] for one in valid(answer.json())["issue"]} == {
            "Patient.gender",
            "Patient.name[0].family",
        }
        broken = await asking.post(
            "", content=b'{"resourceType": ', headers={"content-type": "application/fhir+json"}
        )
        assert (broken.status_code, issues(broken.json())) == (400, [("error", "structure")])
    assert emr.received == []


async def test_a_record_that_lies_or_is_busy_is_told_again_and_has_it_once(tmp_path: Path, emr: Emr) -> None:
    texts = channels("fhir-in")
    texts["fhir-in"] = texts["fhir-in"].replace(
        "{system: emr}", "{system: emr}, retry: {first: 50ms, max: 50ms}"
    )
    emr.behaviour.be("lie*1")
    emr.behaviour.be("refuse:503*1")
    emr.behaviour.be("refuse:409*1")
    async with running(site(tmp_path, emr, texts)) as engine, client(engine) as asking:
        answer = await asking.post("", json=bundle("transaction", ONCE))
        assert answer.status_code == 200, answer.text
    assert (len(emr.received), emr.counts()) == (2, {"Patient": 1})


async def test_who_could_not_wait_hears_later(tmp_path: Path, emr: Emr) -> None:
    texts = channels("fhir-in")
    texts["fhir-in"] = texts["fhir-in"].replace("reply: emr", "reply: emr\ntimeout: 200ms")
    emr.behaviour.be("slow:1*1")
    async with running(site(tmp_path, emr, texts)) as engine, client(engine) as asking:
        first = await asking.post("/Patient", json=PATIENT)
        assert (first.status_code, issues(first.json())) == (202, [("information", "informational")])
        place = first.headers["content-location"]
        later = await asking.get(f"{place}?wait=10s")
        assert (later.status_code, later.json()["id"]) == (201, "1")
        assert later.headers["location"] == f"{asking.base_url}Patient/1/_history/1"


async def test_one_key_is_done_once(tmp_path: Path, emr: Emr) -> None:
    async with running(site(tmp_path, emr, channels("fhir-in"))) as engine, client(engine) as asking:
        key = {"idempotency-key": "k1"}
        first = await asking.post("/Patient", json=PATIENT, headers=key)
        again = await asking.post("/Patient", json=PATIENT, headers=key)
        other = await asking.post("/Patient", json={**PATIENT, "active": True}, headers=key)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert (other.status_code, issues(other.json())) == (422, [("error", "invalid")])
    assert emr.counts() == {"Patient": 1}


async def test_a_batch_is_answered_entry_by_entry_and_what_failed_is_a_dead_letter(
    tmp_path: Path, emr: Emr
) -> None:
    texts = channels("fhir-in")
    texts["fhir-in"] = texts["fhir-in"].replace("validate: fhir/r4\n", "")
    wrong = bundle("batch", ONCE, resource={**PATIENT, "gender": "M"})["entry"]
    mixed = bundle("batch", ONCE, UPDATE)
    mixed["entry"] += wrong
    async with running(site(tmp_path, emr, texts)) as engine, client(engine) as asking:
        answer = await asking.post("", json=mixed)
        statuses = [entry["response"]["status"] for entry in valid(answer.json())["entry"]]
        assert (answer.status_code, statuses) == (200, ["201", "201", "422"])
        await engine.journal.has_all()
        (dead,) = engine.store.search(Query(state="dead"), 2).found
        (tried,) = engine.store.show(dead.id).tries
        assert tried.reason.startswith("1 of 3 entries failed: entry[2] 422")


WRITES = """\
tests:
  - name: a transaction is answered by the record
    given: &patient
      resourceType: Bundle
      type: transaction
      entry: [{request: {method: POST, url: Patient}, resource: {resourceType: Patient, gender: male}}]
    expect: {reply: {code: 200, $.type: transaction-response}, emr: {"$.entry[0].resource.gender": male}}
  - name: what the record's rules forbid is told to who sent it
    given: *patient
    while:
      emr: {answer: 422, body: {resourceType: OperationOutcome, issue: [{severity: error, code: duplicate}]}}
    expect: {emr: {state: dead, code: JL-E713}, reply: {code: 422, "$.issue[0].code": duplicate}}
  - name: a record that is away leaves it pending
    given: *patient
    while: {emr: unreachable}
    expect: {emr: retrying, reply: {code: 202, state: pending}}
  - name: a yes that is none is tried again
    given: *patient
    while: {emr: [{answer: 200, body: {resourceType: Bundle, type: transaction-response}}, 200]}
    expect: {emr: {state: sent, tries: 2}}
  - name: what is no R4 is refused
    given: {resourceType: Patient, gender: M}
    expect: {reply: {code: 422, "$.issue[0].expression[0]": Patient.gender}, emr: nothing}
"""
ASKS = """\
tests:
  - name: who asks hears the record
    given: &asked {resourceType: Bundle, type: batch, entry: [{request: {method: GET, url: Patient/17}}]}
    envelope: {headers: {fhir.interaction: read}}
    while: {emr: {body: {resourceType: Patient, id: "17"}}}
    expect: {reply: {code: 200, $.id: "17"}}
  - name: that there is nobody is an answer
    given: *asked
    envelope: {headers: {fhir.interaction: read}}
    while:
      emr: {answer: 404, body: {resourceType: OperationOutcome, issue: [{severity: error, code: not-found}]}}
    expect: {emr: sent, reply: {code: 404, "$.issue[0].code": not-found}}
"""


async def test_the_manuals_channels_are_clean_and_can_be_tested(tmp_path: Path, emr: Emr) -> None:
    texts = channels()
    folder = site(tmp_path, emr, {"fhir-in": texts["fhir-in"] + WRITES, "fhir-ask": texts["fhir-ask"] + ASKS})
    assert check_site(folder, {}) == ()
    report = await asyncio.to_thread(run_tests, load_settings(folder, {}), {})
    assert (report.failed, len(report.results)) == ([], 7)


async def test_a_large_bundle_is_looked_at_and_brought_over(tmp_path: Path, emr: Emr) -> None:
    picture = {"resourceType": "Binary", "contentType": "image/png", "data": "AAAA" * 600_000}
    image = {"resource": picture, "request": {"method": "POST", "url": "Binary"}}
    large = {"resourceType": "Bundle", "type": "transaction", "entry": [image]}
    async with running(site(tmp_path, emr, channels("fhir-in"))) as engine, client(engine) as asking:
        answer = await asking.post("", json=large)
        assert (answer.status_code, emr.counts()) == (200, {"Binary": 1}), answer.text
        wrong = await asking.post("/Patient", json=large)
        assert (wrong.status_code, issues(wrong.json())) == (400, [("error", "invalid")])
        over = await asking.post(
            "", content=b" " * 10_000_001, headers={"content-type": "application/fhir+json"}
        )
        assert (over.status_code, issues(over.json())) == (413, [("error", "too-long")])


async def test_one_engine_hands_over_to_another_one(tmp_path: Path) -> None:
    """Which takes it, and does it later: 202 is a yes."""
    second = {"in": "channel: in\nfrom: {fhir: {accepts: {Bundle: transaction}}}\nformat: fhir\n"
              "to:\n  out: {send: {file: {folder: out}}}\n"}  # fmt: skip
    async with running(write_site(tmp_path / "two", second)) as other:
        url = f"http://127.0.0.1:{other.web.port}/fhir"
        first = write_site(
            tmp_path / "one", channels("fhir-in"), f"systems: {{emr: {{kind: fhir, url: '{url}'}}}}\n"
        )
        async with running(first) as engine, client(engine) as asking:
            answer = await asking.post("", json=bundle("transaction", ONCE))
            assert (answer.status_code, issues(answer.json())) == (202, [("information", "informational")])
        await settled(other)
    assert len(list((tmp_path / "two" / "out").iterdir())) == 1


async def test_a_channel_that_changes_turns_nobody_away(tmp_path: Path) -> None:
    """Nor does the other one at the same base."""
    text = "channel: {}\nfrom: {{fhir: {{accepts: {{Patient: {}}}, requests: {}}}}}\nformat: fhir\nto: {}\n"
    to = "{out: {send: {file: {folder: out}}}}"
    made = {"one": text.format("one", "create", 50, to), "two": text.format("two", "update", 50, to)}
    folder = write_site(tmp_path, made)
    async with running(folder) as engine, client(engine) as asking:
        statuses: list[int] = []
        going = True

        async def send(method: str, path: str) -> None:
            while going:
                statuses.append((await asking.request(method, path, json={**PATIENT, "id": "1"})).status_code)

        senders = [asyncio.create_task(send(*way)) for way in (("POST", "/Patient"), ("PUT", "/Patient/1"))]
        for requests in (60, 70, 80):
            (folder / "channels" / "one.yaml").write_text(text.format("one", "create", requests, to))
            plan = await engine.reload.apply()
            assert plan.applied, plan.findings
            seen = len(statuses)
            async with asyncio.timeout(30):
                while len(statuses) < seen + 10:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        going = False
        await asyncio.gather(*senders)
    assert set(statuses) == {202}
