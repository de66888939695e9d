"""The example site of an insurance office's day, with a HIS's tables, a laboratory and the sandbox's centre."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from centre_parts import Hospital, agreed, bill, charged
from engine_parts import code_of, running, send
from statement_days import in_china
from typer.testing import CliRunner

from deploy.sandbox.centre import Centre
from router.clock import now_ms
from router.commands.insurance import app
from router.commands.messages import app as messages
from router.engine import Engine
from router.store import StoreError
from router.uploads import Uploads
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

SITE = Path(__file__).parents[2] / "deploy" / "insurance"
PATIENCE_S = 60.0


class Office:
    """The site's folder, the HIS's tables in it, and what runs."""

    def __init__(self, folder: Path, centre: Centre) -> None:
        self.folder, self.centre = folder, centre
        self.engine: Engine

    def put(self, table: str, **row: Any) -> None:
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with closing(sqlite3.connect(self.folder / "var" / "his.db")) as his, his:
            his.execute(f"insert into {table} ({names}) values ({marks})", row)

    def states(self, table: str) -> list[int]:
        with closing(sqlite3.connect(self.folder / "var" / "his.db")) as his:
            return [state for (state,) in his.execute(f"select state from {table} order by id")]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - the other side is a database and a centre's books
                await asyncio.sleep(0.05)

    async def command(self, *words: str, of: Any = app) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, of, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout

    async def rows(self, *words: str, done: int) -> list[dict[str, str]]:
        """The report, once so many rows have an end."""
        store = self.engine.store
        assert store is not None
        uploads = Uploads(self.engine.site.channels, store.search, lambda id: store.show(id, children=False))

        def ended() -> bool:
            try:
                found = uploads.rows(0, now_ms() + 1000)
            except StoreError:  # there is none yet
                return False
            return sum(row.state != "waiting" for row in found) >= done

        await self.until(ended)
        _, said = await self.command("uploads", "--csv", *words)
        return list(csv.DictReader(io.StringIO(said)))

    def kept(self, infno: str) -> int:
        return len(self.centre.books.rows(infno))


@asynccontextmanager
async def office(tmp_path: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    centre = in_china()
    await centre.start()
    folder = tmp_path / "site"
    shutil.copytree(SITE, folder, ignore=shutil.ignore_patterns("var"))
    made = Office(folder, centre)
    (folder / "var").mkdir()
    with closing(sqlite3.connect(folder / "var" / "his.db")) as his:
        his.executescript((SITE / "his.sql").read_text("utf-8"))
    env = {
        "CENTRE_URL": centre.url,
        "REPORTS_PORT": "0",
        "EVERY": "100ms",
        "WITHIN": "300ms",
    }
    for name, value in env.items():
        patch.setenv(name, value)
    patch.setattr("router.cli._site", folder)
    try:
        async with running(folder, http_port="0") as engine:
            made.engine = engine
            yield made
    finally:
        await centre.stop()


def fee(number: int, **changed: Any) -> dict[str, Any]:
    """A row of the HIS: what of the sample line its table has."""
    (line,) = sample(transaction("4201"))["feedetail"]
    names = (
        *(
            "mdtrt_sn",
            "ipt_otp_no",
            "med_type",
            "chrg_bchno",
            "psn_cert_type",
            "certno",
            "psn_name",
            "cnt",
            "pric",
        ),
        *("det_item_fee_sumamt", "med_list_codg", "medins_list_codg", "medins_list_name", "med_chrgitm_type"),
        *("prodname", "bilg_dept_codg", "bilg_dept_name", "bilg_dr_codg", "bilg_dr_name", "fee_ocur_time"),
    )
    row = {name: str(line[name]) for name in names}
    return {**row, "feedetl_sn": f"F{number}", **changed}


SALE = {
    "med_list_codg": "XTEST000000000000001",
    "fixmedins_hilist_id": "D001",
    "fixmedins_hilist_name": "测试药品",
    "fixmedins_bchno": "SALE-1",
    "prsc_dr_name": "测试医师",
    "phar_name": "测试药师",
    "phar_prac_cert_no": "TEST0001",
    "mdtrt_sn": "V0001",
    "manu_lotnum": "L2601",
    "manu_date": "2025-12-01",
    "rx_flag": "1",
    "rtal_docno": "R-1",
    "sel_retn_cnt": 2,
    "sel_retn_time": "2026-01-15 11:00:00",
    "sel_retn_opter_name": "测试药师",
    "trace_codes": "81000000000000000001,81000000000000000002",
}
ORU = (
    "MSH|^~\\&|LIS|A|JL|A|20260115084000||ORU^R01|{id}|P|2.4\rPID|1||P0001\rPV1|1|O|||||||||||||||||{visit}\r"
    "OBR|1|R1|{id}-1|A^甲||||||||||||||||||||LAB|F\rOBX|1|NM|A1^甲一||5\r"
    "OBR|2|R2|{id}-2|B^乙||||||||||||||||||||LAB|F\rOBX|1|ST|B1^乙一||阴性\r"
)


async def settled(centre: Centre) -> dict[str, Any]:
    """A settlement that a settlement list may speak of."""
    hospital = Hospital(centre)
    await hospital.sign_in()
    mdtrt_id = await charged(hospital)
    preview = await hospital.done("2206", bill(hospital.patient, mdtrt_id, "86.50"))
    made = await hospital.done(
        "2207", bill(hospital.patient, mdtrt_id, "86.50", **agreed(preview["setlinfo"]))
    )
    return dict(made["setlinfo"])


async def test_a_day_of_uploads_reaches_the_centre_from_tables_and_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, monkeypatch) as at:
        setl = await settled(at.centre)
        listed = sample(transaction("4101A"))["setlinfo"]
        names = {name: str(setl[name]) for name in ("psn_no", "mdtrt_id", "setl_id")}
        body = {"list": {**listed, **names}, "diagnoses": [{"code": "J18.900", "name": "肺炎", "main": True}]}
        at.put("ins_settlement_list", setl_id=names["setl_id"], body=json.dumps(body, default=str))
        visit = {
            "visit": {"number": "V1", "registered": "2026-01-15 08:00:00"},
            "notes": [{"complaint": "咳嗽"}],
        }
        at.put("ins_visit_record", mdtrt_sn="V1", body=json.dumps(visit))
        for number in (1, 2, 3):
            at.put("ins_self_pay_fee", **fee(number))
        at.put("ins_dispensing", **SALE)
        await at.until(lambda: at.kept("stock-4") == 1)  # returns go another way, and may not overtake it
        at.put("ins_dispensing", **{**SALE, "sel_retn_cnt": -1, "medins_prod_sel_no": "R-1"})
        done = {"data": {"fixmedins_mdtrt_id": "V1", "fixmedins_code": "H99999900001", "cplt_flag": "1"}}
        at.put("ins_upload", infno="4203", row_key="V1", body=json.dumps(done))
        (answer,) = await send(at.engine.doors.port("reports") or 0, ORU.format(id="C1", visit="V1").encode())
        assert code_of(answer) == "AA"
        rows = await at.rows(done=10)
        assert {(row["infno"], row["state"]) for row in rows} == {
            (infno, "accepted") for infno in ("", "3505", "3506", "4101A", "4201", "4301", "4502")
        } - {("", "accepted")} | {("4203", "accepted")}, rows
        assert [at.kept(infno) for infno in ("list", "4301", "4201", "4502", "4203")] == [1, 1, 3, 2, 1]
        (sold,) = at.centre.books.rows("stock-4")
        assert (sold["back"], len(sold["drugtracinfo"])) == (1, 2)
        assert {row["feedetl_sn"] for row in rows if row["infno"] == "4201"} == {"F1", "F2", "F3"}
        assert {row["report"] for row in rows if row["infno"] == "4502"} == {"C1-1", "C1-2"}
        for table in (
            "ins_settlement_list",
            "ins_visit_record",
            "ins_self_pay_fee",
            "ins_dispensing",
            "ins_upload",
        ):
            await at.until(lambda table=table: set(at.states(table)) == {1})
        assert (await at.command("uploads"))[0] == 0


async def test_what_is_refused_is_told_by_row_mended_and_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, monkeypatch) as at:
        at.put("ins_self_pay_fee", **fee(1))
        at.put("ins_self_pay_fee", **fee(2, med_chrgitm_type=""))  # the table wants it
        at.put("ins_visit_record", mdtrt_sn="V9", body=json.dumps({"visit": {"number": "V9"}}))
        at.centre.behave("4301", "refuse", text="就诊日期不能为空")
        expected = tmp_path / "expected.csv"
        expected.write_text("mdtrt_sn\nV9\nV10\n")
        rows = await at.rows(done=3)
        said = {row["feedetl_sn"] or row["mdtrt_sn"]: (row["state"], row["text"]) for row in rows}
        assert said["F1"] == ("accepted", "")
        assert said["F2"][0] == "refused"
        assert "医疗收费项目类别" in said["F2"][1]
        assert said["V9"][0] == "refused"
        assert "就诊日期不能为空" in said["V9"][1]
        code, missing = await at.command("uploads", "--infno", "4301", "--expected", str(expected), "--json")
        assert code == 1
        assert [(row["key"], row["state"]) for row in json.loads(missing)][-1] == (
            {"mdtrt_sn": "V10"},
            "missing",
        )

        (bad,) = [row for row in rows if row["feedetl_sn"] == "F2"]
        mended = tmp_path / "f2.json"
        mended.write_text(json.dumps(fee(2)))
        at.centre.well()
        monkeypatch.setenv("JINGLUO_HTTP_PORT", str(at.engine.web.port))
        (refused,) = [row for row in rows if row["mdtrt_sn"] == "V9"]
        for row, edit in ((bad, ("--edit", str(mended))), (refused, ())):
            code, told = await at.command("replay", row["message"], "--yes", *edit, of=messages)
            assert code == 0, told
        await at.until(lambda: at.kept("4201") == 2 and at.kept("4301") == 1)
        rows = await at.rows(done=3)
        assert {row["state"] for row in rows} == {"accepted"}
        assert {row["times"] for row in rows if row["feedetl_sn"] == "F2"} == {"2"}


def test_the_site_s_files_are_in_order_and_their_tests_hold(capfd: pytest.CaptureFixture[str]) -> None:
    from channels.report import check_site
    from config.settings import load_settings
    from router.commands.fmt import run_fmt
    from router.commands.prove import Wanted, run_command

    assert not check_site(SITE)
    assert run_command(load_settings(SITE), Wanted((), False, False, 0, None)) == 0, capfd.readouterr().out
    assert run_fmt(SITE, [], True) == 0, capfd.readouterr().out
