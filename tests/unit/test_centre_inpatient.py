"""Stays, pharmacies, filings and queries at the insurance centre."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from centre_parts import (
    Hospital,
    Tree,
    admission,
    agreed,
    charged,
    departure,
    key,
    line,
    purchase,
    signed_in,
    stay,
)

from deploy.sandbox.centre import Settings
from deploy.sandbox.centre.settings import HOSPITAL, PHARMACY


def _lines(hospital: Hospital, mdtrt_id: str, *rows: tuple[str, str, str, str]) -> Tree:
    """(sn, code, pric, cnt)"""
    return {"feedetail": [line(hospital.patient, mdtrt_id, *row, med_type="21") for row in rows]}


async def _admitted(hospital: Hospital) -> str:
    made = await hospital.done("2401", admission(hospital.patient))
    return str(made["result"]["mdtrt_id"])


async def test_a_stay_is_settled_after_discharge_and_undone_backwards() -> None:
    async with signed_in() as hospital:
        patient, books = hospital.patient, hospital.centre.books
        mdtrt_id = await _admitted(hospital)
        assert "不能重复办理入院" in await hospital.refused("2401", admission(patient))
        fees = _lines(hospital, mdtrt_id, ("F1", "STEST000000000000005", "3000.00", "1"))
        await hospital.done("2301", fees)
        seen = (await hospital.done("2303", stay(patient, mdtrt_id, "3000.00")))["setlinfo"]
        # 85 % of what the deductible of 800 leaves.
        assert (seen["act_pay_dedc"], seen["hifp_pay"]) == (D("800.00"), D("1870.00"))
        told = stay(patient, mdtrt_id, "3000.00", **agreed(seen))
        assert "未办理出院" in await hospital.refused("2304", told)
        await hospital.done("2402", departure(patient, mdtrt_id))
        more = _lines(hospital, mdtrt_id, ("F2", "STEST000000000000006", "10.00", "1"))
        assert "已办理出院" in await hospital.refused("2301", more)
        setl = (await hospital.done("2304", told))["setlinfo"]
        assert setl["clr_type"] == "21"
        assert "请先撤销结算" in await hospital.refused("2405", key(hospital, mdtrt_id))
        await hospital.done("2305", key(hospital, mdtrt_id, setl_id=setl["setl_id"]))
        gone = {"data": [{"feedetl_sn": "0000", "mdtrt_id": mdtrt_id, "psn_no": patient.psn_no}]}
        assert "请先撤销出院" in await hospital.refused("2302", gone)
        await hospital.done("2405", key(hospital, mdtrt_id))
        assert "存在费用明细" in await hospital.refused("2404", key(hospital, mdtrt_id))
        await hospital.done("2302", gone)
        await hospital.done("2404", key(hospital, mdtrt_id))
        assert books.visits[mdtrt_id].state == "void"
        assert not books.fees


async def test_a_province_may_settle_first_and_discharge_then() -> None:
    async with signed_in(Settings(discharge_first=False)) as hospital:
        patient = hospital.patient
        mdtrt_id = await _admitted(hospital)
        await hospital.done("2301", _lines(hospital, mdtrt_id, ("F1", "STEST000000000000006", "10.00", "1")))
        assert "未结算" in await hospital.refused("2402", departure(patient, mdtrt_id))
        setl = (await hospital.done("2304", stay(patient, mdtrt_id, "10.00")))["setlinfo"]
        await hospital.done("2402", departure(patient, mdtrt_id))
        cancel = key(hospital, mdtrt_id, setl_id=setl["setl_id"])
        assert "请先撤销出院" in await hospital.refused("2305", cancel)
        await hospital.done("2405", key(hospital, mdtrt_id))
        await hospital.done("2305", cancel)


async def test_returns_name_their_line_and_return_no_more_than_there_was() -> None:
    async with signed_in() as hospital:
        patient = hospital.patient
        mdtrt_id = await _admitted(hospital)
        code = "XTEST000000000000002"
        await hospital.done("2301", _lines(hospital, mdtrt_id, ("F1", code, "12.34", "3")))

        def back(sn: str, cnt: str, init: str = "F1", item: str = code) -> Tree:
            return {"feedetail": [line(patient, mdtrt_id, sn, item, "12.34", cnt, init_feedetl_sn=init)]}

        assert "原费用流水号不存在" in await hospital.refused("2301", back("R1", "-1", "F9"))
        assert "大于原费用数量" in await hospital.refused("2301", back("R1", "-4"))
        assert "项目或单价不一致" in await hospital.refused(
            "2301", back("R1", "-1", item="XTEST000000000000001")
        )
        (told,) = (await hospital.done("2301", back("R1", "-2")))["result"]
        assert told["det_item_fee_sumamt"] == D("-24.68")
        assert told["preselfpay_amt"] + told["inscp_scp_amt"] == D("-24.68")
        assert "大于原费用数量" in await hospital.refused("2301", back("R2", "-2"))
        one = {"data": [{"feedetl_sn": "F1", "mdtrt_id": mdtrt_id, "psn_no": patient.psn_no}]}
        assert "存在退费明细" in await hospital.refused("2302", one)
        seen = (await hospital.done("2303", stay(patient, mdtrt_id, "12.34")))["setlinfo"]
        assert seen["medfee_sumamt"] == D("12.34")


async def test_a_stay_settled_in_the_middle_is_undone_last_settlement_first() -> None:
    async with signed_in() as hospital:
        patient = hospital.patient
        mdtrt_id = await _admitted(hospital)
        made = []
        for number in "12":
            fees = _lines(hospital, mdtrt_id, (f"F{number}", "STEST000000000000005", "1000.00", "1"))
            await hospital.done("2301", fees)
            tree = stay(patient, mdtrt_id, "1000.00")
            tree["data"]["mid_setl_flag"] = "1"
            made.append((await hospital.done("2304", tree))["setlinfo"])
        assert [setl["act_pay_dedc"] for setl in made] == [D("800.00"), 0]
        first, last = (key(hospital, mdtrt_id, setl_id=setl["setl_id"]) for setl in made)
        assert "后续结算" in await hospital.refused("2305", first)
        await hospital.done("2305", last)
        await hospital.done("2305", first)


async def test_a_lost_admission_is_found_by_5303_and_undone_by_2601() -> None:
    async with signed_in() as hospital:
        patient, centre = hospital.patient, hospital.centre
        centre.behave("2401", "cut", times=1)
        lost = await hospital.unanswered("2401", admission(patient))
        asked = {"data": {"psn_no": patient.psn_no, "begntime": "2026-01-01", "endtime": "2026-01-31"}}
        (found,) = (await hospital.done("5303", asked))["data"]
        assert found["ipt_otp_no"] == "I1"
        await hospital.done("2601", {"data": {"psn_no": patient.psn_no, "omsgid": lost, "oinfno": "2401"}})
        assert (await hospital.done("5303", asked))["data"] == []
        await hospital.done("2401", admission(patient))


async def test_a_pharmacy_sells_in_one_call_on_the_account() -> None:
    async with signed_in(code=PHARMACY) as shop:
        patient, books = shop.patient, shop.centre.books
        lines = [
            line(patient, "", "F1", "ZTEST000000000000001", "20.00"),
            line(patient, "", "F2", "X", "5.00"),
        ]
        seen = await shop.done("2101", purchase(patient, "25.00", lines))
        assert not books.visits
        made = await shop.done("2102", purchase(patient, "25.00", lines))
        setl = made["setlinfo"]
        assert setl["acct_pay"] == seen["setlinfo"]["acct_pay"] == D("25.00")
        assert setl["hifp_pay"] == 0
        assert [row["chrgitm_lv"] for row in made["detlcutinfo"]] == ["01", "03"]
        cancel = key(shop, setl["mdtrt_id"], setl_id=setl["setl_id"])
        shop.centre.behave("2103", "cut", times=1)
        lost = await shop.unanswered("2103", cancel)
        assert books.accounts[patient.psn_no].balance_fen == 200_000
        await shop.done("2601", {"data": {"psn_no": patient.psn_no, "omsgid": lost, "oinfno": "2103"}})
        assert books.accounts[patient.psn_no].balance_fen == 197_500
        told = (await shop.done("2103", cancel))["setlinfo"]
        assert (told["psn_pay"], told["cash_payamt"]) == (D("25.00"), 0)
        lost = shop.msgid
        shop.centre.behave("2102", "cut", times=1)
        lost = await shop.unanswered("2102", purchase(patient, "25.00", lines))
        await shop.done("2601", {"data": {"psn_no": patient.psn_no, "omsgid": lost, "oinfno": "2102"}})
        assert {visit.state for visit in books.visits.values()} == {"void"}
    async with signed_in(code=HOSPITAL) as hospital:
        assert "非定点零售药店" in await hospital.refused("2102", purchase(patient, "25.00", lines))


async def test_a_chronic_disease_is_paid_at_the_pharmacy_too() -> None:
    async with signed_in(code=PHARMACY, person=1) as shop:
        lines = [line(shop.patient, "", "F1", "ZTEST000000000000001", "150.00")]
        made = await shop.done("2102", purchase(shop.patient, "150.00", lines, dise_codg="M03900"))
        assert made["setlinfo"]["hifp_pay"] == D("75.00")  # 75 % for the retired, beyond 50


@pytest.mark.parametrize(("upload", "cancel"), [("2501", "2502"), ("2503", "2504"), ("2505", "2506")])
async def test_a_filing_is_kept_found_and_cancelled(upload: str, cancel: str) -> None:
    async with signed_in() as hospital:
        psn_no = hospital.patient.psn_no
        row = {
            "psn_no": psn_no,
            "insutype": "310",
            "diag_code": "J00",
            "reflin_medins_no": "H99999900002",
            "reflin_medins_name": "示例二院",
            "mdtrtarea_admdvs": "999801",
            "refl_type": "1",
            "refl_date": "2026-01-05",
            "refl_rea": "示例",
            "opsp_dise_code": "M01000",
            "opsp_dise_name": "示例",
            "hosp_ide_date": "2026-01-05",
            "begndate": "2026-01-05",
            "biz_appy_type": "03",
            "fix_srt_no": "1",
            "fixmedins_code": HOSPITAL,
            "fixmedins_name": "示例医院",
        }
        tree = {"refmedin" if upload == "2501" else "data": row}
        number = (await hospital.done(upload, tree))["result"]["trt_dcla_detl_sn"]
        assert "重复备案" in await hospital.refused(upload, tree)
        query = {"2501": "5304", "2503": "5301", "2505": "5302"}[upload]
        asked = {"data": {"psn_no": psn_no, "begntime": "2026-01-01", "endtime": "2026-01-31"}}
        (rows,) = (await hospital.done(query, asked)).values()
        assert len(rows) == 1
        gone = {"data": {"psn_no": psn_no, "trt_dcla_detl_sn": number, "memo": ""}}
        await hospital.done(cancel, gone)
        assert "未查询到" in await hospital.refused(cancel, gone)
        (rows,) = (await hospital.done(query, asked)).values()
        assert rows == []


async def test_queries_show_a_visit_its_lines_and_the_year() -> None:
    async with signed_in() as hospital:
        patient, centre = hospital.patient, hospital.centre
        mdtrt_id = await charged(hospital)
        span = {"psn_no": patient.psn_no, "begntime": "2026-01-05", "endtime": "2026-01-05", "med_type": "11"}
        (visit,) = (await hospital.done("5201", {"data": span}))["mdtrtinfo"]
        assert visit["mdtrt_id"] == mdtrt_id
        (told,) = (await hospital.done("5202", key(hospital, mdtrt_id)))["diseinfo"]
        assert told["diag_code"] == "J00.X00"
        lines = await hospital.done("5204", key(hospital, mdtrt_id))
        assert [row["feedetl_sn"] for row in lines] == ["F1", "F2", "F3"]
        assert sum(row["inscp_scp_amt"] for row in lines) == D("77.00")
        centre.behave("5201", "lag", times=1)
        await charged(hospital, "O2")
        assert len((await hospital.done("5201", {"data": span}))["mdtrtinfo"]) == 1
        assert len((await hospital.done("5201", {"data": span}))["mdtrtinfo"]) == 2
        elsewhere = {**span, "endtime": "2026-01-04"}
        assert "结束时间" in await hospital.refused("5201", {"data": elsewhere})
