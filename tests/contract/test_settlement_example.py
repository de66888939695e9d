"""The example hospital's settlements through a whole engine: by REST and SOAP, over the sandbox's parties."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from engine_parts import running
from excel_parts import workbook

from config.errors import Refused
from deploy.sandbox.aggregator import Aggregator, Signing
from deploy.sandbox.billing import Billing
from deploy.sandbox.centre import Centre
from deploy.sandbox.einvoice.party import Platform
from deploy.sandbox.http import ask
from deploy.sandbox.signing import KeyPair, authorization
from endpoints.rest.media import MEDIA_TYPES
from router.engine import Engine
from router.settlement.operators import Decide

ROOT = Path(__file__).parents[2]
DOORS = ("settlements*.yaml", "calls-of-*.yaml", "nucleic-*.yaml", "notices-of-joint.yaml")
CODE = "130000000000000000"


@dataclass
class Town:
    centre: Centre
    billing: Billing
    aggregator: Aggregator
    platform: Platform
    key: KeyPair


@pytest.fixture
async def town(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    made = Town(Centre(), Billing(), Aggregator("M000001", Signing("sandbox")), Platform(), KeyPair.new())
    parties = (made.centre, made.billing, made.aggregator, made.platform)
    for name, party in zip(("CENTRE", "BILLING", "JOINT", "EINVOICE"), parties, strict=True):
        await party.start()
        monkeypatch.setenv(f"{name}_PORT", str(party.port))
    monkeypatch.setenv("KIOSK_KEY", made.key.shown)
    monkeypatch.setenv("BRANCH_KEY", made.key.shown)
    made.billing.books.bill("B1", 3650, "P0001")
    made.aggregator.codes[CODE] = "SUCCESS"
    yield made
    for party in parties:
        await party.stop()


def site(folder: Path) -> Path:
    """The example site, without the channels that have nothing to do with settlements."""
    (folder / "channels").mkdir()
    (folder / "jingluo.yaml").write_text("http: {port: 0}\nlog: {level: error}\n")
    for name in ("systems.yaml", "callers.yaml"):
        shutil.copy(ROOT / "config" / name, folder / name)
    for path in (one for doors in DOORS for one in (ROOT / "channels").glob(doors)):
        shutil.copy(path, folder / "channels" / path.name)
    shutil.copytree(ROOT / "channels" / "settlements", folder / "channels" / "settlements")
    return folder


async def rest(engine: Engine, town: Town, path: str, body: Any) -> dict[str, Any]:
    raw = json.dumps(body).encode()
    signed = authorization("kiosk", town.key, "POST", path, raw)
    headers = {"Content-Type": "application/json", "Authorization": signed}
    status, answer = await ask(engine.web.port, "POST", path, headers, raw, timeout_s=65)
    assert status in (200, 202), answer
    told: dict[str, Any] = json.loads(answer)
    return told


def charged(number: str) -> dict[str, Any]:
    patient = {"patient_no": "P0001", "name": "测试患者", "phone": "13800000000"}
    bills = [{"bill_no": "B1", "amount": "36.50"}]
    said = {"settle_no": number, "channel": "joint", "method": "code", "auth_code": CODE, "total": "36.50"}
    return {**said, "patient": patient, "bills": bills}


async def ended(engine: Engine, number: str) -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    async with asyncio.timeout(40):
        while (told := await desk.show(number, 5))["state"] in ("RUNNING", "WAITING"):
            await asyncio.to_thread(engine.settings.site.exists)  # others have their turn
    return told


async def balances(engine: Engine, *names: str) -> list[int]:
    desk = engine.makers.desk
    assert desk is not None
    return [await desk._book.balance(name) for name in names]


async def test_a_bill_is_paid_once_however_often_it_is_asked_for_and_given_back_once(
    tmp_path: Path, town: Town
) -> None:
    async with running(site(tmp_path)) as engine:
        told = await rest(engine, town, "/v1/settlements/outpatient", charged("S1"))
        assert (told["state"], told["result"]) == ("COMPLETED", "done"), told
        again = await rest(engine, town, "/v1/settlements/outpatient", charged("S1"))
        assert (again["number"], again["facts"]) == ("S1", told["facts"])
        assert (len(town.aggregator.trades), town.aggregator.balance()) == (1, 3650)
        assert len(town.billing.books.live("post")) == 1
        assert await balances(engine, "transit:S1", "clearing:joint", "income:his") == [0, 3650, -3650]

        asked = {"settle_no": "R1", "of": "S1", "asked_at": "2026-01-05T10:00:00"}
        waiting = await rest(engine, town, "/v1/settlements/outpatient-refund", asked)
        assert (waiting["state"], waiting["result"]) == ("WAITING", "pending"), waiting
        desk = engine.makers.desk
        assert desk is not None
        said = Decide(
            what="done", step="approve", who="100017", second="100018", role="cashier-lead",
            reason="as asked", reply={"reason": "wrong department"},
        )  # fmt: skip
        await desk.operators.decide("R1", said)
        told = await ended(engine, "R1")
        assert told["state"] == "COMPLETED", told
        assert (town.aggregator.balance(), town.billing.books.live("post")) == (0, [])
        accounts = ("transit:R1", "liability:R1", "clearing:joint", "income:his")
        assert await balances(engine, *accounts) == [0, 0, 0, 0]

        told = await rest(engine, town, "/v1/settlements/outpatient-refund", {**asked, "settle_no": "R2"})
        assert (told["state"], told["result"]) == ("REJECTED", "nothing"), told
        assert await balances(engine, "liability:R2", "income:his") == [0, 0]


async def test_a_stay_is_settled_by_its_deposits_and_the_newest_gets_the_rest_back(
    tmp_path: Path, town: Town
) -> None:
    town.billing.books.stay("I1", "P0001", 30000, 10000)
    async with running(site(tmp_path)) as engine:
        deposits = []
        for number, amount in (("D1", "300.00"), ("D2", "200.00")):
            code = f"13000000000000000{number[1]}"
            town.aggregator.codes[code] = "SUCCESS"
            paid = {"settle_no": number, "channel": "joint", "method": "code", "auth_code": code}
            told = await rest(
                engine, town, "/v1/settlements/deposit", {**paid, "amount": amount, "inpatient_no": "I1"}
            )
            assert told["state"] == "COMPLETED", told
            order = {"order": told["facts"]["order"], "amount": amount, "channel": "joint"}
            deposits.append({**order, "paid_at": f"2026-01-0{number[1]}"})
        stay = {"inpatient_no": "I1", "deposit": "500.00", "deposits": deposits, "bills": []}
        asked = {"settle_no": "L1", "channel": "joint", "method": "native", "total": "400.00", **stay}
        asked["patient"] = {"patient_no": "P0001", "name": "测试患者", "phone": "13800000000"}
        told = await rest(engine, town, "/v1/settlements/discharge", asked)
        told = await ended(engine, "L1")
        assert told["state"] == "COMPLETED", told
        assert told["facts"]["split"] == {"used": "400.00", "topup": "0.00", "surplus": "100.00"}
        newest = town.aggregator.trades[deposits[1]["order"]]
        assert (sum(newest.back.values()), town.aggregator.balance()) == (10000, 40000)
        accounts = ("deposit:I1", "liability:L1", "transit:L1", "clearing:joint", "income:his")
        assert await balances(engine, *accounts) == [0, 0, 0, 40000, -40000]


async def test_a_his_that_refuses_is_told_to_a_window_by_soap_as_nothing(tmp_path: Path, town: Town) -> None:
    town.billing.behave("post_settlement", "refuse")
    async with running(site(tmp_path)) as engine:
        xml = (
            "<Request><TradeCode>Settle</TradeCode><Kind>outpatient</Kind><SettleNo>S2</SettleNo>"
            "<PatientNo>P0001</PatientNo><Channel>joint</Channel><Method>code</Method>"
            f"<AuthCode>{CODE}</AuthCode><Total>36.50</Total>"
            "<Bills><Bill><BillNo>B1</BillNo><Amt>36.50</Amt></Bill></Bills></Request>"
        )
        body = (
            '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            '<Call xmlns="http://tempuri.org/"><tradeCode>Settle</tradeCode>'
            f"<xml>{escape(xml, quote=False)}</xml></Call>"
            "</soap:Body></soap:Envelope>"
        ).encode()
        path = "/soap/settlements"
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": '"http://tempuri.org/Call"',
            "Authorization": authorization("branch", town.key, "POST", path, body),
        }
        status, answer = await ask(engine.web.port, "POST", path, headers, body, timeout_s=65)
        told = unescape(answer.decode())
        assert (status, re.findall("<Result>(.*?)</Result>", told)) == (200, ["nothing"]), told
        assert re.findall("<ResultCode>(.*?)</ResultCode>", told) == ["9999"]
        assert town.aggregator.balance() == 0
        assert await balances(engine, "transit:S2", "clearing:joint", "income:his") == [0, 0, 0]


async def test_f65_f66_a_list_is_settled_person_by_person_once(tmp_path: Path, town: Town) -> None:
    columns = "list,row,patient_no,psn_no,insutype,insuplc_admdvs,cert_no,unit,amount,time"
    rows = []
    for number, who in enumerate((0, 1, 2, 1), start=1):  # the last stands in it for the second time
        one = town.centre.persons[who]
        known = (one.psn_no, one.insutype, one.insuplc_admdvs, one.certno)
        rows.append(",".join(("L1", str(number), f"P{who}", *known, "U01", "25.00", "2026-01-05 09:00:00")))
        town.billing.books.bill(f"L1-{number}", 2500, f"P{who}")
    path, csv = "/v1/batches/nucleic", "\n".join([columns, *rows]).encode()
    excel = (MEDIA_TYPES["xlsx"][0], workbook({"名单": as_cells([columns, *rows])}), f"{path}/xlsx")
    async with running(site(tmp_path)) as engine:
        # The whole list comes again, as after a crash, and as the file that the unit's office keeps.
        for kind, body, door in (("text/csv", csv, path), ("text/csv", csv, path), excel):
            signed = authorization("kiosk", town.key, "POST", door, body)
            headers = {"Content-Type": kind, "Authorization": signed}
            status, answer = await ask(engine.web.port, "POST", door, headers, body, timeout_s=65)
            assert status == 202, answer
        for who in range(3):
            number = f"L1-20260105-P{who}"
            told = await begun(engine, number)
            assert told["state"] == "COMPLETED", told
        lives = [one for one in town.centre.books.settlements.values() if one.state == "valid"]
        assert (len(lives), len(town.billing.books.live("post"))) == (3, 3)
        assert (await balances(engine, "income:his")) == [-7500]


async def test_f65_a_list_in_excel_is_settled_as_the_same_list_in_csv(tmp_path: Path, town: Town) -> None:
    rows = ["list,row,patient_no,psn_no,insutype,insuplc_admdvs,cert_no,unit,amount,time"]
    for who in range(2):
        one = town.centre.persons[who]
        known = (one.psn_no, one.insutype, one.insuplc_admdvs, one.certno)
        rows.append(",".join(("L2", str(who), f"P{who}", *known, "U01", "25.50", "2026-01-05 09:00:00")))
        town.billing.books.bill(f"L2-{who}", 2550, f"P{who}")
    body, path = workbook({"名单": as_cells(rows)}), "/v1/batches/nucleic/xlsx"
    async with running(site(tmp_path)) as engine:
        signed = authorization("kiosk", town.key, "POST", path, body)
        headers = {"Content-Type": MEDIA_TYPES["xlsx"][0], "Authorization": signed}
        status, answer = await ask(engine.web.port, "POST", path, headers, body, timeout_s=65)
        assert status == 202, answer
        for who in range(2):
            told = await begun(engine, f"L2-20260105-P{who}")
            assert told["state"] == "COMPLETED", told
        assert (await balances(engine, "income:his")) == [-5100]


def as_cells(lines: list[str]) -> list[list[Any]]:
    """A list as an office types it: the amount a number, the time a time, all else text."""
    header, *rows = (line.split(",") for line in lines)
    return [header, *([*row[:-2], float(row[-2]), datetime.fromisoformat(row[-1])] for row in rows)]


async def begun(engine: Engine, number: str) -> dict[str, Any]:
    """A settlement that may not be there yet, at its end."""
    async with asyncio.timeout(40):
        while not await known_to(engine, number):
            await asyncio.to_thread(engine.settings.site.exists)
    return await ended(engine, number)


async def known_to(engine: Engine, number: str) -> bool:
    desk = engine.makers.desk
    assert desk is not None
    try:
        await desk.show(number, 0)
    except Refused:
        return False
    return True
