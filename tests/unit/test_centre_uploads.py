"""What the insurance centre does with what is uploaded: keeps it by its key, shows it, refuses what is not there."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
from centre_parts import Hospital, Tree, bill, charged, key, signed_in

from deploy.sandbox.centre.settings import HOSPITAL, PHARMACY
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample


def _sample(name: str, **fields: Any) -> Tree:
    """The sample, with these in its first node."""
    tree: Tree = msgspec.to_builtins(sample(transaction(name)))
    first = next(iter(tree.values()))
    (first[0] if isinstance(first, list) else first).update(fields)
    return tree


async def test_departments_are_added_changed_listed_and_ended() -> None:
    async with signed_in() as hospital:
        await hospital.done("3401", _sample("3401", hosp_dept_codg="D1", hosp_dept_name="内科"))
        assert "已存在" in await hospital.refused("3401", _sample("3401", hosp_dept_codg="D1"))
        await hospital.done("3402", _sample("3402", hosp_dept_codg="D1", hosp_dept_name="大内科"))
        (row,) = (await hospital.done("5101", {}))["feedetail"]
        assert row["hosp_dept_name"] == "大内科"
        assert "未查询到科室" in await hospital.refused("3402", _sample("3402", hosp_dept_codg="D2"))
        await hospital.done("3403", _sample("3403", hosp_dept_codg="D1"))
        assert (await hospital.done("5101", {}))["feedetail"] == []


async def test_a_mapping_is_kept_shown_and_taken_back() -> None:
    async with signed_in() as hospital:
        row = {"fixmedins_hilist_id": "L1", "fixmedins_hilist_name": "院内药", "list_type": "101"}
        await hospital.done("3301", _sample("3301", **row, med_list_codg="XTEST000000000000001"))
        page = {"data": {"updt_time": "2026-01-01", "page_num": 1, "page_size": 10}}
        (shown,) = (await hospital.done("1317", page))["data"]
        assert (shown["medins_list_codg"], shown["med_list_codg"]) == ("L1", "XTEST000000000000001")
        gone = {"data": [{"fixmedins_code": HOSPITAL, "fixmedins_hilist_id": "L1"}]}
        await hospital.done("3302", gone)
        assert "未查询到" in await hospital.refused("3302", gone)


async def test_no_more_goods_go_back_than_were_sold() -> None:
    async with signed_in() as hospital:
        same = {"fixmedins_bchno": "B1", "fixmedins_hilist_id": "L1"}
        await hospital.done("3505", _sample("3505", **same, sel_retn_cnt="3", drug_trac_codg="T1"))
        shown = await hospital.done("3513", _sample("3513", fixmedins_bchno="B1", medins_list_codg="L1"))
        assert shown["drugTracCodg"] == "T1"
        await hospital.done("3506", _sample("3506", **same, sel_retn_cnt="2"))
        assert "可退的销售" in await hospital.refused("3506", _sample("3506", **same, sel_retn_cnt="2"))
        await hospital.done("3507", _sample("3507", fixmedins_bchno="B1", inv_data_type="4"))
        assert "未查询到" in await hospital.refused(
            "3507", _sample("3507", fixmedins_bchno="B1", inv_data_type="4")
        )


async def _settled(hospital: Hospital) -> Tree:
    mdtrt_id = await charged(hospital)
    made: Tree = (await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"]
    return made


async def test_a_settlement_list_is_overwritten_until_it_is_submitted() -> None:
    async with signed_in() as hospital:
        setl = await _settled(hospital)
        ids = {"setl_id": setl["setl_id"], "mdtrt_id": setl["mdtrt_id"]}
        assert "未查询到结算" in await hospital.refused("4101A", _sample("4101A", setl_id="J9"))
        first = await hospital.done("4101A", _sample("4101A", **ids))
        assert await hospital.done("4101A", _sample("4101A", **ids, bill_no="9")) == first
        asked = {"data": {"psn_no": hospital.patient.psn_no, "setl_id": setl["setl_id"]}}
        assert (await hospital.done("4103", asked))["setlinfo"]["bill_no"] == "9"
        found = (await hospital.done("4104", asked))["data"]
        assert "缺少诊断信息" in {row["qltctrl_chkrslt"] for row in found}
        await hospital.done("4102", {"data": {**asked["data"], "stas_type": "1"}})
        assert "已提交" in await hospital.refused("4101A", _sample("4101A", **ids))
        counts = await hospital.done("4105", {"data": {"fixmedins_code": HOSPITAL}})
        assert counts["data"] == {"setl_cnt": 1, "upld_cnt": 1}


async def test_an_upload_of_the_same_key_overwrites_and_what_is_missing_is_named_in_chinese() -> None:
    async with signed_in() as hospital:
        for name in ("一", "二"):
            await hospital.done("4401", _sample("4401", mdtrt_sn="M1", psn_name=name))
        (kept,) = hospital.centre.books.rows("4401")
        assert kept["input"]["baseinfo"]["psn_name"] == "二"
        assert "人员姓名[psn_name]不能为空" in await hospital.refused("4401", _sample("4401", psn_name=""))


async def test_lines_of_who_pays_alone_are_shown_and_removed_until_all_are_there() -> None:
    async with signed_in() as hospital:
        rows = [{"fixmedins_mdtrt_id": "V1", "bkkp_sn": sn, "cnt": 1} for sn in ("1", "2")]
        await hospital.done("4201A", {"fsiOwnpayPatnFeeListDDTO": rows})
        shown = await hospital.done("4207", {"fixmedins_mdtrt_id": "V1", "page_num": 1, "page_size": 10})
        assert [row["bkkpSn"] for row in shown["data"]] == ["1", "2"]
        await hospital.done("4204", {"feedetail": {"fixmedins_mdtrt_id": "V1", "bkkp_sn": "1"}})
        assert len((await hospital.done("4207", {"fixmedins_mdtrt_id": "V1"}))["data"]) == 1
        await hospital.done("4203", {"data": {"fixmedins_mdtrt_id": "V1", "cplt_flag": "1"}})
        assert "不能修改" in await hospital.refused("4201A", {"fsiOwnpayPatnFeeListDDTO": rows})


async def test_a_report_that_one_hospital_uploads_is_found_by_the_patient() -> None:
    async with signed_in() as hospital:
        psn_no = hospital.patient.psn_no
        await hospital.done("4502", _sample("4502", psn_no=psn_no, rpotc_no="R1"))
        (found,) = (await hospital.done("5401", {"bilgiteminfo": {"psn_no": psn_no}}))["bilgiteminfo"]
        assert found["rpotc_no"] == "R1"
        asked = {"rptdetailinfo": {"psn_no": psn_no, "rpotc_no": "R1", "fixmedins_code": HOSPITAL}}
        told = await hospital.done("5402", asked)
        assert len(told["inspectionreportinformation"]) == 1


async def test_the_audit_finds_what_breaks_a_rule_and_refuses_nothing() -> None:
    async with signed_in() as hospital:
        tree = _sample("3101")
        encounter = tree["data"]["patient_dtos"][0]["fsi_encounter_dtos"][0]
        order: Tree = msgspec.to_builtins(sample(transaction("3101"), whole=True))["data"]["patient_dtos"][0]
        order = order["fsi_encounter_dtos"][0]["fsi_order_dtos"][0]
        encounter["fsi_order_dtos"] = [
            {**order, "hilist_code": code, "sumamt": total}
            for code, total in (
                ("XTEST000000000000004", "1.00"),
                ("A", "20000.00"),
                ("A", "1.00"),
                ("B", "1.00"),
            )
        ]
        found = (await hospital.done("3101", tree))["result"]
        assert [row["rule_name"] for row in found] == ["限制用药", "大额费用", "重复开单"]


async def test_a_month_is_applied_for_once_and_with_the_sum_of_the_books() -> None:
    async with signed_in() as hospital:
        await _settled(hospital)
        day = f"{hospital.centre.now():%Y-%m-%d}"
        row = {"clr_type": "11", "setlym": day[:7], "begndate": day, "enddate": day, "medfee_sumamt": "86.50"}
        assert "不一致" in await hospital.refused("3203", _sample("3203", **row | {"medfee_sumamt": "1.00"}))
        number = (await hospital.done("3203", _sample("3203", **row)))["clr_appy_evt_id"]
        assert "已申请" in await hospital.refused("3203", _sample("3203", **row))
        await hospital.done("3204", {"data": {"clr_appy_evt_id": number}})
        assert "未查询到" in await hospital.refused("3204", {"data": {"clr_appy_evt_id": number}})


async def test_the_share_of_another_place_is_shown_row_by_row_and_confirmed() -> None:
    async with signed_in(person=5) as hospital:
        setl = await _settled(hospital)
        now = hospital.centre.now()
        month = {"trt_year": f"{now:%Y}", "trt_month": f"{now:%m}"}
        shown = await hospital.done("3260", {**month, "startrow": "1"})
        assert (shown["setl_sn"], shown["medfee_sumamt"]) == (setl["setl_id"], D("86.50"))
        assert "没有更多" in await hospital.refused("3260", {**month, "startrow": "2"})
        await hospital.done("3261", {"data": {**month, "totalrow": "1"}, "detail": [shown]})
        confirmed = hospital.msgid
        assert "已确认" in await hospital.refused("3261", {"data": {**month, "totalrow": "1"}})
        await hospital.done("3262", {**month, "otransid": confirmed})


async def test_a_prescription_is_filled_once_and_then_cannot_be_undone() -> None:
    async with signed_in() as hospital:
        patient = hospital.patient
        number = (await hospital.done("7101", _sample("7101", hosp_rxno="RX1")))["data"]["hi_rxno"]
        assert "处方号重复" in await hospital.refused("7101", _sample("7101", hosp_rxno="RX1"))
        shop = Hospital(hospital.centre, patient, PHARMACY)
        await shop.sign_in()
        who = {"mdtrt_cert_type": "02", "mdtrt_cert_no": patient.certno}
        (shown,) = (await shop.done("7202", _sample("7202", **who)))["data"]
        assert shown["auth_rxno"] == number
        token = (await shop.done("7201", _sample("7201", epc_qrcd=number)))["data"]["epc_token"]
        told = await shop.done("7203", _sample("7203", epc_token=token))
        assert told["rxdrugdetail"][0]["med_list_codg"] == "XTEST000000000000001"
        await shop.done("7204", _sample("7204", hi_rxno=number))
        await shop.done("7206", _sample("7206", hi_rxno=number))
        assert "已核销" in await shop.refused("7206", _sample("7206", hi_rxno=number))
        assert "不能撤销" in await hospital.refused("7104", _sample("7104", hi_rxno=number))
        other = (await hospital.done("7101", _sample("7101", hosp_rxno="RX2")))["data"]["hi_rxno"]
        await hospital.done("7104", _sample("7104", hi_rxno=other))
        assert "未查询到" in await shop.refused("7203", _sample("7203", auth_rxno=other))


async def test_a_sign_in_ends_with_its_day_and_with_the_sign_out() -> None:
    async with signed_in() as hospital:
        out = {"signOut": {"sign_no": hospital.sign_no, "opter_no": "0001"}}
        hospital.centre.let_pass(days=1)
        assert "重新签到" in await hospital.refused("5303", key(hospital, ""))
        await hospital.sign_in()
        out["signOut"]["sign_no"] = hospital.sign_no
        await hospital.done("9002", out)
        assert "重新签到" in await hospital.refused("5101", {})
