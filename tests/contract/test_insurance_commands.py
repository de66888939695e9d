"""`jingluo insurance statement` at the sandbox's centre, as a person in the insurance office runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gateway_parts import Gateway, options_for
from statement_days import in_china, outpatient
from typer.testing import CliRunner

from config.settings import load_settings
from deploy.sandbox.centre import Centre
from endpoints.insurance.statement_books import CHINA
from router.clock import now_ms
from router.commands.insurance import app
from router.store.insurance_records import open_insurance


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    made = in_china()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def folder(tmp_path: Path, centre: Centre, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("router.cli._site", tmp_path)
    said = options_for(centre.url).model_dump(
        include={"url", "fixmedins_code", "fixmedins_name", "mdtrtarea_admvs", "recer_sys_code"}
    )
    (tmp_path / "systems.yaml").write_text(json.dumps({"systems": {"insurance": {"kind": "nhsa", **said}}}))
    (tmp_path / "channels").mkdir()
    return tmp_path


@pytest.fixture
async def hospital(folder: Path, centre: Centre) -> AsyncIterator[Gateway]:
    """The engine of that site: its records are the command's."""
    kept = open_insurance(load_settings(folder), now_ms)
    made = Gateway(centre, kept)
    yield made
    await made.stop()
    kept.close()


def days() -> list[str]:
    today = datetime.now(CHINA).date()
    return ["--from", f"{today - timedelta(days=1)}", "--to", f"{today}"]


async def run(*words: str) -> tuple[int, str]:
    """Exit code and what it prints. In a thread: the centre answers meanwhile."""
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


async def test_an_equal_day_ends_with_0_and_an_unequal_one_with_1_and_what_to_do(
    folder: Path, hospital: Gateway
) -> None:
    await outpatient(hospital)
    code, said = await run("statement", *days())
    assert (code, "equal 对账平" in said, "86.50" in said) == (0, True, True)
    hospital.centre.behave("2207", "cut", times=1)
    lost = await outpatient(hospital, "O2")
    code, said = await run("statement", *days())
    assert code == 1
    assert "NOT EQUAL 对账不平" in said
    assert lost["msgid"] in said.replace("\n", "")
    assert "2601" in said
    code, said = await run("statement", "list")
    assert (code, "NOT EQUAL" in said) == (0, True)


async def test_the_same_as_json_as_a_table_and_as_a_page(folder: Path, hospital: Gateway) -> None:
    hospital.centre.behave("2207", "cut", times=1)
    await outpatient(hospital)
    await outpatient(hospital, "O2")
    report = folder / "report.html"
    code, said = await run("statement", *days(), "--json", "--report", str(report))
    made = json.loads(said)
    assert (code, made["equal"], made["groups"][0]["medfee_sumamt"]) == (1, False, "86.50")
    page = report.read_text("utf-8")
    assert "2601" in page
    assert "<script" not in page
    assert report.stat().st_mode & 0o777 == 0o600
    first = made["begin"]
    code, said = await run("statement", "show", first, made["end"], "--csv")
    lines = said.strip().splitlines()
    assert (code, len(lines), lines[0].startswith("kind,insutype")) == (1, 2, True)
    assert (await run("statement", "show", "2026-01-01"))[0] == 2
    assert (await run("statement", "show", "../x"))[0] == 2


async def test_the_his_s_list_is_a_file(folder: Path, hospital: Gateway) -> None:
    made: Any = (await outpatient(hospital))["output"]["setlinfo"]
    names = ("setl_id", "medfee_sumamt", "fund_pay_sumamt", "acct_pay", "setl_time")
    his = folder / "his.csv"
    his.write_text(",".join(names) + "\n" + ",".join(str(made[name]) for name in names) + "\n")
    assert (await run("statement", *days(), "--his", str(his)))[0] == 0
    his.write_text("setl_id\n")
    code, said = await run("statement", *days(), "--his", str(his), "--json")
    assert (code, [one["kind"] for one in json.loads(said)["differences"]]) == (
        1,
        ["centre more", "HIS lacks"],
    )


async def test_a_site_without_a_centre_says_so(folder: Path) -> None:
    (folder / "systems.yaml").write_text("systems: {}\n")
    code, _ = await run("statement")
    assert code == 2


async def test_a_month_is_planned_applied_for_and_taken_back(folder: Path, hospital: Gateway) -> None:
    await outpatient(hospital)
    month = f"{datetime.now(CHINA):%Y-%m}"
    code, said = await run("clearing", "--month", month, "--plan")
    assert (code, "medfee_sumamt 86.50" in said) == (0, True)
    code, said = await run("clearing", "--month", month, "--yes", "--json")
    (one,) = json.loads(said)["applications"]
    assert (code, one["outcome"], one["medfee_sumamt"]) == (0, "OK", "86.50")
    assert (await run("clearing", "--month", month, "--yes"))[0] == 1  # it was applied for
    assert (await run("clearing", "--withdraw", one["clr_appy_evt_id"]))[0] == 0
    assert hospital.centre.books.rows("3203") == []


async def test_rows_of_other_places_are_shown_side_by_side(folder: Path, centre: Centre) -> None:
    kept = open_insurance(load_settings(folder), now_ms)
    away = Gateway(centre, kept, centre.persons[5])
    await outpatient(away)
    month = f"{datetime.now(CHINA):%Y-%m}"
    code, said = await run("cross-region", "--month", month, "--confirm")
    assert (code, "equal 一致, 1 rows" in said, "3261 OK" in said) == (0, True, True)
    await away.stop()
    kept.close()
