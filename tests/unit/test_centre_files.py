"""Files, catalogues and statements at the insurance centre."""

from __future__ import annotations

import io
import zipfile
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from centre_parts import Hospital, Tree, bill, charged, key, signed_in

from deploy.sandbox.centre import Settings
from deploy.sandbox.centre.catalogue import FILES, Catalogues, version
from deploy.sandbox.centre.settings import HOSPITAL
from schemas.nhsa.catalogue import columns


def _zip(text: str, name: str = "stmt.txt") -> list[int]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return list(made.getvalue())


async def _uploaded(hospital: Hospital, data: list[int]) -> str:
    tree = {"fsUploadIn": {"in": data, "filename": "stmt.zip", "fixmedins_code": HOSPITAL}}
    return str((await hospital.done("9101", tree))["file_qury_no"])


async def _fetched(hospital: Hospital, number: str, owner: str, filename: str = "f.zip") -> list[list[str]]:
    """The rows of a file, cell by cell."""
    body = hospital.written("9102", _wanted(number, owner, filename))
    status, data = await hospital.raw(body, "/9102")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = archive.namelist()
        text = archive.read(name).decode()
    return [line.split("\t") for line in text.splitlines()]


def _wanted(number: str, owner: str, filename: str = "f.zip") -> Tree:
    return {"fsDownloadIn": {"file_qury_no": number, "filename": filename, "fixmedins_code": owner}}


@pytest.mark.parametrize("kind", FILES)
async def test_a_catalogue_is_fetched_whole_and_then_what_is_newer(kind: str) -> None:
    async with signed_in() as hospital:
        first = await hospital.done(kind, {"data": {"ver": "0"}})
        rows = await _fetched(hospital, first["file_qury_no"], "plc", first["filename"])
        assert len(rows) == first["data_cnt"] == 50
        names = [column.name for column in columns(kind)]
        assert {len(row) for row in rows} == {len(names)}
        at = {name: names.index(name) for name in ("rid", "ver", "vali_flag")}
        assert len({row[at["rid"]] for row in rows}) == 50
        assert {row[at["ver"]] for row in rows} == {version(1)}
        assert (await hospital.done(kind, {"data": {"ver": version(1)}}))["data_cnt"] == 0
        newest = hospital.centre.catalogues.publish(kind)
        second = await hospital.done(kind, {"data": {"ver": version(1)}})
        rows = await _fetched(hospital, second["file_qury_no"], "plc", second["filename"])
        assert len(rows) == second["data_cnt"]
        assert {row[at["ver"]] for row in rows} == {newest}
        assert [row[at["vali_flag"]] for row in rows].count("0") == 1


def test_the_same_version_is_always_the_same_rows_and_a_row_stands_once() -> None:
    one, other = Catalogues({"1301": 3000}), Catalogues({"1301": 3000})
    for catalogues in (one, other):
        for _ in range(20):
            catalogues.publish("1301")
    rows = list(one.lines("1301", 0))
    assert rows == list(other.lines("1301", 0))
    assert len(rows) == one.count("1301", 0) == 3040
    assert [len(list(one.lines("1301", n))) for n in (1, 20, 21)] == [
        one.count("1301", n) for n in (1, 20, 21)
    ]


def test_a_large_catalogue_is_written_without_holding_it(tmp_path: Path) -> None:
    catalogues = Catalogues({"1309": 40_000})
    catalogues.write("1309", 0, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("1309.txt") as text:
        assert sum(1 for _ in text) == 40_000


async def test_a_file_is_its_owners_and_expires() -> None:
    async with signed_in() as hospital:
        number = await _uploaded(hospital, _zip("1\n"))
        assert await _fetched(hospital, number, HOSPITAL) == [["1"]]
        assert "未查询到文件" in await hospital.refused("9102", _wanted(number, "plc"))
        assert "未查询到文件" in await hospital.refused("9102", _wanted("W1", HOSPITAL))
        hospital.centre.let_pass(days=2)
        await hospital.sign_in()
        assert "已过期" in await hospital.refused("9102", _wanted(number, HOSPITAL))


@pytest.mark.parametrize("data", [["x"], [300], [], [True], "504b"])
async def test_what_is_no_list_of_bytes_is_refused(data: Any) -> None:
    async with signed_in() as hospital:
        tree = {"fsUploadIn": {"in": data, "filename": "x.zip", "fixmedins_code": HOSPITAL}}
        assert await hospital.refused("9101", tree)
        assert not hospital.centre.books.files


@pytest.mark.parametrize("data", [[80, 75, 3, 4], _zip("a\tb\n"), _zip("a\n" * 3)[:-9]])
async def test_a_statement_that_is_no_list_is_refused_when_it_is_compared(data: list[int]) -> None:
    async with signed_in() as hospital:
        number = await _uploaded(hospital, data)
        text = await hospital.refused("3202", _total(hospital, "0", "0", "0", 1, file_qury_no=number))
        assert "文件" in text


async def test_bytes_may_be_signed_as_java_writes_them() -> None:
    async with signed_in() as hospital:
        data = [value - 256 if value > 127 else value for value in _zip("甲\n")]
        assert await _fetched(hospital, await _uploaded(hospital, data), HOSPITAL) == [["甲"]]


async def test_pages_hold_every_row_once_and_filters_apply() -> None:
    async with signed_in() as hospital:
        seen: list[Any] = []
        for number in (1, 2, 3):
            tree = {"data": {"updt_time": "2026-01-01", "page_num": number, "page_size": 10}}
            page = await hospital.done("1304", tree)
            seen += page["data"]
            assert (page["recordCounts"], page["pages"], page["lastPage"]) == (25, 3, number == 3)
        assert len({row["med_list_codg"] for row in seen}) == 25
        one = {
            "updt_time": "2026-01-01",
            "page_num": 1,
            "page_size": 10,
            "hilist_code": "XTEST000000000000002",
        }
        (row,) = (await hospital.done("1312", {"data": one}))["data"]
        assert (row["chrgitm_lv"], row["hilist_name"]) == ("02", "示例头孢克肟片")
        (row,) = (await hospital.done("1319", {"data": one}))["data"]
        assert row["selfpay_prop"] == D("0.1")


async def test_a_paged_catalogue_may_be_large_and_has_nothing_newer() -> None:
    async with signed_in(Settings(catalogue_rows={"1312": 100_000})) as hospital:
        tree = {"data": {"updt_time": "2026-01-01", "page_num": 1000, "page_size": 100}}
        page = await hospital.done("1312", tree)
        assert (page["recordCounts"], page["lastPage"], len(page["data"])) == (100_000, True, 100)
        tree["data"]["updt_time"] = "2026-01-02"
        assert (await hospital.done("1312", tree))["recordCounts"] == 0


async def test_a_dictionary_is_a_code_list() -> None:
    async with signed_in() as hospital:
        asked = {"type": "insutype", "parentValue": "", "admdvs": "", "date": "2026-01-01", "valiFlag": "1"}
        told = await hospital.done("1901", {"data": asked})
        assert {"310", "390"} <= {row["value"] for row in told["list"]}
        assert (await hospital.done("1901", {"data": {**asked, "type": "nothing"}}))["list"] == []


def _today(hospital: Hospital) -> str:
    return f"{hospital.centre.now():%Y-%m-%d}"


def _total(hospital: Hospital, medfee: str, fund: str, account: str, count: int, **fields: str) -> Tree:
    day = _today(hospital)
    return {
        "data": {
            "insutype": "310",
            "clr_type": "11",
            "setl_optins": "999900",
            "stmt_begndate": day,
            "stmt_enddate": day,
            "medfee_sumamt": medfee,
            "fund_pay_sumamt": fund,
            "acct_pay": account,
            "cash_payamt": "0",
            "fixmedins_setl_cnt": count,
            **fields,
        }
    }


async def _two_and_a_cancel(hospital: Hospital) -> list[Tree]:
    """Two settlements of 86.50 with 18.90 and 53.90 of the fund, the second of which is cancelled."""
    made = []
    for number in ("O1", "O2"):
        mdtrt_id = await charged(hospital, number)
        made.append((await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"])
    cancel = key(hospital, made[1]["mdtrt_id"], setl_id=made[1]["setl_id"])
    made.append((await hospital.done("2208", cancel))["setlinfo"])
    return made


async def test_totals_are_compared_with_and_without_the_flag_of_cancels() -> None:
    async with signed_in() as hospital:
        await _two_and_a_cancel(hospital)

        async def rslt(*told: Any, **fields: str) -> str:
            answer = await hospital.done("3201", _total(hospital, *told, **fields))
            return str(answer["stmtinfo"]["stmt_rslt"])

        assert await rslt("86.50", "18.90", "67.60", 1) == "0"
        assert await rslt("86.50", "18.90", "67.61", 1) == "3"
        assert await rslt("0", "0", "0", 0) == "1"
        assert await rslt("173.00", "72.80", "100.20", 2) == "2"
        assert await rslt("173.00", "72.80", "100.20", 2, refd_setl_flag="0") == "0"
        assert await rslt("86.50", "53.90", "32.60", 1, refd_setl_flag="1") == "0"
        assert await rslt("0", "0", "0", 0, clr_type="21") == "0"


async def test_the_list_of_the_hospital_is_compared_row_by_row() -> None:
    async with signed_in() as hospital:
        made = await _two_and_a_cancel(hospital)
        patient = hospital.patient.psn_no

        def row(setl: Tree, flag: str, account: str = "") -> str:
            cells = [
                setl["setl_id"],
                setl["mdtrt_id"],
                patient,
                setl["medfee_sumamt"],
                setl["fund_pay_sumamt"],
            ]
            return "\t".join([*map(str, cells), account or str(setl["acct_pay"]), flag]) + "\n"

        text = row(made[0], "0", "1.00") + row(made[2], "1") + row({**made[0], "setl_id": "999900J9"}, "0")
        number = await _uploaded(hospital, _zip(text))
        tree = _total(hospital, "0", "0", "0", 3, file_qury_no=number)
        told = (await hospital.done("3202", tree))["fileinfo"]
        rows = await _fetched(hospital, told["file_qury_no"], HOSPITAL, told["filename"])
        found = {(cells[2], cells[4]) for cells in rows}
        assert found == {(made[0]["setl_id"], "3"), ("999900J9", "2"), (made[1]["setl_id"], "1")}
        (more,) = [cells for cells in rows if cells[4] == "1"]
        assert more[3] == made[1]["medins_setl_id"]
        assert "行数不一致" in await hospital.refused(
            "3202", _total(hospital, "0", "0", "0", 2, file_qury_no=number)
        )
        job = {"clr_begin_ymd": _today(hospital), "clr_end_ymd": _today(hospital), "file_qury_no": number}
        task = (await hospital.done("3211", {"data": job}))["task_key"]
        (state,) = (await hospital.done("3212", {"data": {"task_key": task}}))["data"]
        assert len(await _fetched(hospital, state["file_qury_no1"], HOSPITAL)) == 3


async def test_equal_rows_are_listed_where_the_province_does() -> None:
    async with signed_in(Settings(statement_lists_equal=True)) as hospital:
        made = (await _two_and_a_cancel(hospital))[0]
        cells = [made["setl_id"], made["mdtrt_id"], hospital.patient.psn_no, "86.50", "18.90", "67.60", "0"]
        number = await _uploaded(hospital, _zip("\t".join(cells) + "\n"))
        told = (await hospital.done("3202", _total(hospital, "0", "0", "0", 1, file_qury_no=number)))[
            "fileinfo"
        ]
        rows = await _fetched(hospital, told["file_qury_no"], HOSPITAL)
        assert sorted(cells[4] for cells in rows) == ["0", "1", "1"]
