"""Insurance transactions from a caller to the centre and back: by REST and by SOAP, over real HTTP."""

from __future__ import annotations

import asyncio
import re
import sys
from decimal import Decimal
from pathlib import Path

import requests
import zeep
from centre_parts import bill, diagnoses, line, registration
from insurance_doors import opened, token
from missing import missing

from config.settings import ROOT
from schemas.json import Json

NOTHING_OWN = {
    "fulamt_ownpay_amt": "0",
    "overlmt_selfpay": "0",
    "preselfpay_amt": "0",
    "inscp_scp_amt": "1.00",
}


async def test_an_outpatient_is_settled_by_rest_and_found_by_each_of_the_numbers(
    tmp_path: Path, journal_url: str
) -> None:
    async with opened(tmp_path, database=journal_url) as doors:
        told = await doors.asked(
            "1101", {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": doors.patient.certno}}, who="kiosk"
        )
        assert told["output"]["baseinfo"]["psn_no"] == doors.patient.psn_no
        mdtrt_id, settle = await doors.charged()
        response = await doors.post("2207", doors.enveloped(settle), key="PAY-1")
        answer = Json().decode(response.content)
        assert (response.status_code, answer["outcome"]) == (200, "OK")
        made = doors.centre.books.settlements[answer["output"]["setlinfo"]["setl_id"]]
        assert (made.msgid, made.mdtrt_id) == (answer["msgid"], mdtrt_id)
        assert answer["output"]["setlinfo"]["medfee_sumamt"] == Decimal("86.50")
        mine = response.headers["jingluo-id"]
        assert await doors.found(msgid=answer["msgid"]) == [mine]
        assert await doors.found(setl_id=made.setl_id) == [mine]
        of_visit = await doors.found(mdtrt_id=mdtrt_id)
        assert (of_visit[0], len(of_visit)) == (mine, 5), (
            "2201 by its answer, then 2203A, 2204, 2206 and 2207"
        )
        assert set(await doors.found(patient=doors.patient.psn_no)) > set(of_visit)
        assert len(await doors.found(chrg_bchno="B1")) == 3
        assert len(await doors.found(infno="2207", outcome="OK")) == 1
        assert list(doors.engine.store.verify("")) == []


async def test_the_same_key_is_one_settlement_and_another_body_under_it_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        _, settle = await doors.charged()
        first, again = [await doors.post("2207", doors.enveloped(settle), key="PAY-1") for _ in range(2)]
        assert first.content == again.content
        assert again.headers["idempotent-replayed"] == "true"
        other = await doors.post(
            "2207", doors.enveloped({"data": {**settle["data"], "invono": "2"}}), key="PAY-1"
        )
        assert (other.status_code, other.json()["code"]) == (422, "JL-M080")
        assert len(doors.centre.books.settlements) == 1


async def test_a_fault_is_told_in_chinese_before_anything_leaves(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        response = await doors.post("2201", {"data": {"psn_no": doors.patient.psn_no}})
        assert (response.status_code, response.json()["state"]) == (400, "refused")
        texts = {error["path"]: error["text"] for error in response.json()["errors"]}
        assert "险种类型" in texts["/data/insutype"]
        assert "参保地医保区划" in texts["/insuplc_admdvs"]
        assert doors.patient.psn_no not in response.text
        assert doors.centre.books.msgids == {}
        assert response.json()["id"]


async def test_what_the_centre_refuses_is_an_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        answer = await doors.asked("2207", bill(doors.patient, "999900G0000000000009", "1.00", **NOTHING_OWN))
        assert (answer["outcome"], answer["output"]) == ("REJECTED", None)
        assert "就诊" in answer["err_msg"]
        assert await doors.found(outcome="REJECTED", msgid=answer["msgid"])


async def test_a_settlement_whose_answer_is_lost_is_unknown_and_done_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        _, settle = await doors.charged()
        doors.centre.behave("2207", "cut", times=1)
        response = await doors.post("2207", doors.enveloped(settle), key="PAY-1")
        answer = Json().decode(response.content)
        assert (response.status_code, answer["outcome"]) == (200, "UNKNOWN")
        again = await doors.post("2207", doors.enveloped(settle), key="PAY-1")
        assert Json().decode(again.content)["msgid"] == answer["msgid"]
        (made,) = doors.centre.books.settlements.values()
        assert made.msgid == answer["msgid"]
        assert await doors.found(outcome="UNKNOWN", msgid=made.msgid)


async def test_who_cannot_wait_hears_later(tmp_path: Path) -> None:
    async with opened(tmp_path, wait="1s") as doors:
        doors.centre.behave("1101", "delayed", times=1, seconds=2)
        certificate = {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": doors.patient.certno}}
        pending = await doors.post("1101", certificate, who="kiosk")
        assert (pending.status_code, pending.json()["state"]) == (202, "pending")
        where = pending.headers["location"]
        assert where == f"/v1/insurance/1101/results/{pending.json()['id']}"
        later = await doors.client.get(f"{where}?wait=30s", headers={"authorization": token("kiosk")})
        assert (later.status_code, later.json()["outcome"]) == (200, "OK")
        stranger = await doors.client.get(where, headers={"authorization": token("his")})
        assert stranger.status_code == 404


async def test_a_centre_that_is_away_gets_it_when_it_is_back(tmp_path: Path) -> None:
    async with opened(tmp_path, away=True, wait="1s") as doors:
        certificate = {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": doors.patient.certno}}
        pending = await doors.post("1101", certificate)
        assert pending.status_code == 202
        await doors.centre.start()
        where = pending.headers["location"]
        later = await doors.client.get(f"{where}?wait=60s", headers={"authorization": token("his")})
        assert (later.status_code, later.json()["outcome"]) == (200, "OK")


async def test_a_caller_may_what_its_scopes_say(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        certificate = {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": doors.patient.certno}}
        for who, code, status in (("kiosk", "2207", 403), ("kiosk", "1101", 200), ("nobody", "1101", 401)):
            assert (await doors.post(code, certificate, who)).status_code == status
        answer = await doors.call("2207", doors.request("2207", certificate), "kiosk")
        assert (answer.findtext("ResultCode"), doors.centre.books.settlements) == ("9999", {})
        assert (answer.findtext("ResultContent") or "").startswith("JL-E213")


# A year 0000 and an amount that is no sum: what no schema can say. All else the document says.
CHOICES = '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", 400, 401, 403, 404, 409, 422]\n'


async def test_a_client_that_knows_only_the_document_finds_nothing(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        missing("schemathesis is not installed")
    (tmp_path / "schemathesis.toml").write_text(CHOICES)
    async with opened(tmp_path) as doors:
        asked = await asyncio.create_subprocess_exec(
            str(command), "run", f"{doors.client.base_url}/openapi.json", "--header", f"Authorization: {token('his')}",
            "--include-path-regex", "^/v1/insurance/(1101|2207)$", "--checks", "all", "--max-examples", "8",
            "--seed", "1", "--no-shrink", "--no-color", "--phases", "fuzzing", "--generation-database", "none",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await asked.communicate())[0].decode()
        assert asked.returncode == 0, said
        assert "Tested: 2" in said, said


# By SOAP


async def test_a_visit_begun_by_rest_is_settled_by_soap_and_cancelled(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        mdtrt_id, settle = await doors.charged()
        answer = await doors.call("2207", doors.request("2207", settle, "T-PAY"))
        assert (answer.findtext("ResultCode"), answer.findtext("outcome")) == ("0000", "OK")
        setl_id = answer.findtext("output/setlinfo/setl_id") or ""
        made = doors.centre.books.settlements[setl_id]
        assert answer.findtext("output/setlinfo/medfee_sumamt") == "86.50"
        assert answer.findtext("output/setlinfo/psn_name") == "测试患者"
        assert await doors.found(setl_id=setl_id, mdtrt_id=mdtrt_id, infno="2207", msgid=made.msgid)
        again = await doors.call("2207", doors.request("2207", settle, "T-PAY"))
        assert again.findtext("output/setlinfo/setl_id") == setl_id
        assert len(doors.centre.books.settlements) == 1
        cancel = {"data": {"setl_id": setl_id, "mdtrt_id": mdtrt_id, "psn_no": doors.patient.psn_no}}
        answer = await doors.call("2208", doors.request("2208", cancel))
        assert answer.findtext("outcome") == "OK"
        assert doors.centre.books.settlements[setl_id].state == "cancelled"


async def test_lists_of_fees_come_as_repeated_elements_and_zeep_calls_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        patient = doors.patient
        mdtrt_id = str((await doors.done("2201", registration(patient, "O7")))["data"]["mdtrt_id"])
        await doors.done("2203A", diagnoses(patient, mdtrt_id))
        for count in (1, 2):
            fees = [
                line(patient, mdtrt_id, f"F{count}{n}", "XTEST000000000000001", "25.00", "2")
                for n in range(count)
            ]
            xml = doors.request("2204", {"feedetail": fees})
            url = f"{doors.client.base_url}/soap/insurance?wsdl"
            answer = await asyncio.to_thread(by_zeep, str(url), "2204", xml)
            assert answer.count("<result>") == count, answer
        assert len(doors.centre.books.fees) == 3


def by_zeep(url: str, code: str, xml: str) -> str:
    session = requests.Session()
    session.trust_env = False
    session.headers["authorization"] = token("his")
    client = zeep.Client(url, transport=zeep.Transport(session=session))
    return str(client.service.Call(tradeCode=code, xml=xml))


async def test_by_soap_what_is_unknown_or_at_fault_has_a_code_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        answer = await doors.call("2201", doors.request("2201", {"data": {"psn_no": "1"}}))
        assert answer.findtext("ResultCode") == "9999"
        assert "险种类型" in (answer.findtext("ResultContent") or "")
        assert doors.centre.books.msgids == {}
        _, settle = await doors.charged()
        doors.centre.behave("2207", "cut", times=1)
        answer = await doors.call("2207", doors.request("2207", settle, "T-PAY"))
        assert (answer.findtext("ResultCode"), answer.findtext("outcome")) == ("0004", "UNKNOWN")
        assert answer.findtext("msgid") in doors.centre.books.msgids


async def test_what_became_of_a_lost_settlement_is_asked_and_undone_at_either_door(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        _, settle = await doors.charged()
        doors.centre.behave("2207", "cut", times=1)
        lost = (await doors.asked("2207", settle))["msgid"]
        probed = await doors.post("probe", {"msgid": lost})
        async with asyncio.timeout(60):
            while probed.json()["verdict"] == "CANNOT_SAY":
                await asyncio.sleep(0.2)  # queries may lag, and nobody tells when they do not any more
                probed = await doors.post("probe", {"msgid": lost})
        assert probed.json()["verdict"] == "DONE", probed.text
        answer = await doors.call("probe", f"<Request><msgid>{lost}</msgid></Request>")
        assert (answer.findtext("ResultCode"), answer.findtext("verdict")) == ("0000", "DONE")
        undone = await doors.call(
            "reverse", f"<Request><HISTradeNo>R1</HISTradeNo><msgid>{lost}</msgid></Request>"
        )
        assert (undone.findtext("ResultCode"), undone.findtext("outcome")) == ("0000", "OK")
        states = {one.msgid: one.state for one in doors.centre.books.settlements.values()}
        assert states[lost] in ("reversed", "cancelled")
        assert (await doors.post("reverse", {"msgid": lost}, who="kiosk")).status_code == 403


async def test_the_manuals_python_is_true(tmp_path: Path) -> None:
    manual = (ROOT / "endpoints" / "insurance" / "callers.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    async with opened(tmp_path) as doors:
        known = {
            "TOKEN": token("his").removeprefix("Bearer "),
            "BASE": str(doors.client.base_url).rstrip("/"),
        }
        await asyncio.to_thread(
            exec, code.replace("requests.Session()", "requests.Session(); session.trust_env = False"), known
        )
        assert (known["psn_no"], known["place"]) == (doors.patient.psn_no, doors.patient.insuplc_admdvs)
