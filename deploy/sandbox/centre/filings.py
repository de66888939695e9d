"""备案: transfers (2501, 2501A), chronic diseases (2503), chosen places (2505), and their cancels."""

from __future__ import annotations

from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves

_CANCELS = {"2502": ("2501", "2501A"), "2504": ("2503",), "2506": ("2505",)}
_NEEDED = {
    "2501": ("diag_code", "reflin_medins_no", "mdtrtarea_admdvs", "refl_type", "refl_date"),
    "2501A": ("insutype", "diag_code", "reflin_medins_no", "mdtrtarea_admdvs", "refl_type", "refl_date"),
    "2503": ("insutype", "opsp_dise_code", "opsp_dise_name", "hosp_ide_date", "begndate"),
    "2505": ("biz_appy_type", "begndate", "fix_srt_no", "fixmedins_code", "fixmedins_name"),
}


@serves("2501", "2501A", "2503", "2505")
def file(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "refmedin" if call.infno.startswith("2501") else "data")
    person = desk.person(call, row)
    for name in _NEEDED[call.infno]:
        need(row, name)
    for old in desk.books.rows(call.infno):
        same = [str(old.get(name)) == str(row.get(name)) for name in ("psn_no", *_NEEDED[call.infno])]
        if old["state"] == "1" and all(same):
            raise No("存在有效的相同备案,不能重复备案")
    number = desk.number("B")
    kept = {
        **row,
        "psn_no": person.psn_no,
        "trt_dcla_detl_sn": number,
        "state": "1",
        "hospital": call.hospital.code,
    }
    desk.books.put(call.infno, number, kept)
    return {"result": {"trt_dcla_detl_sn": number}}


@serves("2502", "2504", "2506")
def cancel(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    number = need(row, "trt_dcla_detl_sn")
    for kind in _CANCELS[call.infno]:
        old = desk.books.kept.get(kind, {}).get(number)
        if old and old["state"] == "1" and old["psn_no"] == person.psn_no:
            desk.books.put(kind, number, {**old, "state": "0"})
            return None
    raise No("未查询到有效的备案信息")
