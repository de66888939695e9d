"""A settlement whose insurance leg is the gateway and the sandbox's centre: settled there once, whatever is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engine_parts import running, write_site
from settlement_parts import CALLS, MAP, Town

from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.books import Settlement
from router.engine import Engine

PIPELINE = Path(__file__).parents[1] / "settlement" / "pipelines" / "outpatient-insured.yaml"
SYSTEMS = """\
systems:
  insurance:
    kind: nhsa
    url: {url}
    fixmedins_code: H99999900001
    fixmedins_name: 示例医院
    mdtrtarea_admvs: "999900"
    recer_sys_code: MBS
    opter: "100017"
    opter_name: 示例操作员
    sign_in: {{}}
    query_lag: 1s
    timeout: 30s
"""
INSURANCE = """\
channel: calls-of-insurance
from: {calls: insurance}
format: json
index: {settlement: $@header.settlement, step: $@header.step}
to:
  centre: {send: {system: insurance}, index: {msgid: $.msgid, setl_id: $.output.setlinfo.setl_id}}
reply: centre
timeout: 40s
"""
ITEMS = (
    ("XTEST000000000000001", "25.00", "2"),
    ("XTEST000000000000002", "30.00", "1"),
    ("XTEST000000000000003", "6.50", "1"),
)


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    made = Centre()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


def site_of(folder: Path, centre: Centre, town: Town) -> Path:
    channels = {f"calls-of-{name}": CALLS.format(system=name, port=town.port) for name in ("his", "payment")}
    site = write_site(folder, channels | {"calls-of-insurance": INSURANCE}, SYSTEMS.format(url=centre.url))
    (site / "maps").mkdir()
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir()
    (site / "channels" / "settlements" / PIPELINE.name).write_text(PIPELINE.read_text())
    return site


def request(centre: Centre) -> dict[str, Any]:
    patient = centre.persons[0]
    doctor = {"department": "D01", "department_name": "内科", "doctor": "D0001", "doctor_name": "示例"}
    items = [
        {
            "number": f"F{n}",
            "national": code,
            "own": "L1",
            "price": price,
            "count": count,
            "prescription": "RX1",
        }
        | {"amount": str(Decimal(price) * Decimal(count)), "time": "2026-01-05 09:20:00", **doctor}
        for n, (code, price, count) in enumerate(ITEMS)
    ]
    diagnosis = {
        "main": "1",
        "code": "J00.X00",
        "name": "急性鼻咽炎",
        "time": "2026-01-05 09:10:00",
        **doctor,
    }
    visit = {"begntime": "2026-01-05 09:00:00", "number": "O1", "caty": "A03", "med_type": "11", **doctor}
    return {
        "settle_no": "S1",
        "channel": "wechat",
        "total": "86.50",
        "account": "1",
        "patient": {
            "psn_no": patient.psn_no,
            "insutype": patient.insutype,
            "insuplc_admdvs": patient.insuplc_admdvs,
            "mdtrt_cert_type": "02",
            "mdtrt_cert_no": patient.certno,
        },
        "visit": {**visit, "diagnoses": [diagnosis]},
        "bills": [{"bill_no": "B1", "amount": "86.50", "items": items}],
    }


async def ended(engine: Engine, centre: Centre) -> dict[str, Any]:
    desk = engine.makers.desk
    assert desk is not None
    told = await desk.begin("outpatient-insured", request(centre), "kiosk", 40)
    for _ in range(20):
        if told["state"] not in ("RUNNING", "WAITING"):
            break
        told = await desk.show("S1", 5)
    return told


def live(centre: Centre) -> list[Settlement]:
    """Settlements that hold."""
    rows = centre.books.settlements.values()
    return [one for one in rows if one.state == "valid" and one.refd_setl_flag == "0"]


async def balances(engine: Engine) -> dict[str, int]:
    desk = engine.makers.desk
    assert desk is not None
    names = ("transit:S1", "clearing:wechat", "receivable:fund", "receivable:account", "income:his")
    return {name: await desk._book.balance(name) for name in names}


@pytest.mark.parametrize("lost", ["", "2201", "2204", "2207"])
async def test_it_is_settled_at_the_centre_once_and_the_ledger_agrees(
    tmp_path: Path, centre: Centre, town: Town, lost: str
) -> None:
    if lost:
        centre.behave(lost, "cut", times=1)
    async with running(site_of(tmp_path, centre, town)) as engine:
        told = await ended(engine, centre)
        assert told["state"] == "COMPLETED", told
        booked = live(centre)
        assert len(booked) == 1
        has = await balances(engine)
        assert (has["transit:S1"], has["income:his"]) == (0, -8650)
        settled = told["facts"]["settled"]
        assert settled["setl_id"] == booked[0].setl_id
        assert has["receivable:fund"] == int(Decimal(str(settled["fund_pay_sumamt"])) * 100)


@pytest.mark.parametrize("lost", ["", "2208"])
async def test_a_his_that_refuses_leaves_nothing_at_the_centre(
    tmp_path: Path, centre: Centre, town: Town, lost: str
) -> None:
    town.refuses = {"post_settlement"}
    if lost:
        centre.behave(lost, "cut", times=1)
    async with running(site_of(tmp_path, centre, town)) as engine:
        told = await ended(engine, centre)
        assert told["state"] == "COMPENSATED", told
        assert live(centre) == []
        assert set((await balances(engine)).values()) == {0}
    assert town.live() == {}


async def test_f57_a_sign_in_that_ends_in_the_middle_is_renewed_and_nothing_is_settled_twice(
    tmp_path: Path, centre: Centre, town: Town
) -> None:
    centre.behave("2207", "expired", times=1)
    async with running(site_of(tmp_path, centre, town)) as engine:
        told = await ended(engine, centre)
        assert told["state"] == "COMPLETED", told
        assert [one.setl_id for one in live(centre)] == [told["facts"]["settled"]["setl_id"]]
        assert len({one.msgid for one in live(centre)}) == 1
        assert (await balances(engine))["transit:S1"] == 0
