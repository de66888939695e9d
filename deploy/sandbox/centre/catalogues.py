"""目录下载: the catalogue files, and the paged queries (1304, 1312, 1316..1319) over the price list."""

from __future__ import annotations

from functools import partial
from typing import Any

from deploy.sandbox.centre import files
from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.catalogue import FILES, version_number
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves, yuan
from deploy.sandbox.centre.prices import PRICES, Price
from schemas.nhsa.catalogue import code_list, code_lists, transaction
from schemas.nhsa.sample import sample

_LARGEST_PAGE = 1000
_UPDATED = "2026-01-01 00:00:00"


@serves(*FILES)
def file_of_rows(desk: Desk, call: Call) -> Output:
    """All rows newer than `ver`. Nothing newer is an answer without a file, or in some provinces a refusal."""
    after = version_number(need(desk.node(call), "ver"))
    found = desk.catalogues.count(call.infno, after)
    if not found:
        if desk.settings.nothing_newer_is_refused:
            raise No("当前版本已是最新版本,无需下载")
        return {"file_qury_no": "", "filename": "", "dld_end_time": "", "data_cnt": 0}
    newest = desk.catalogues.newest[call.infno]
    made = partial(desk.catalogues.write, call.infno, after)
    name = f"{call.infno}_{newest:04d}.zip"
    kept = files.keep(desk, call, name, files.PUBLIC, made, key=f"{call.infno}-{after}-{newest}")
    return {
        "file_qury_no": kept.number,
        "filename": name,
        "dld_end_time": f"{kept.until:%Y-%m-%d}",
        "data_cnt": found,
    }


@serves("1304", "1312", "1316", "1317", "1318", "1319")
def page_of_rows(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    need(row, "updt_time")
    number, size = int(need(row, "page_num")), int(need(row, "page_size"))
    if number < 1 or not 1 <= size <= _LARGEST_PAGE:
        raise No(f"分页参数错误,每页最多{_LARGEST_PAGE}条")
    found = [one for one in _rows(desk, call) if _asked_for(row, one)]
    begin = (number - 1) * size
    page = found[begin : begin + size]
    return {
        "recordCounts": len(found),
        "pages": -(-len(found) // size),
        "pageNum": number,
        "pageSize": size,
        "firstPage": number == 1,
        "lastPage": begin + size >= len(found),
        "size": len(page),
        "startRow": begin + 1 if page else 0,
        "endRow": begin + len(page),
        "data": page,
    }


@serves("1901")
def dictionary(desk: Desk, call: Call) -> Output:
    """A code list by its name; of a list that there is not nothing."""
    kind = need(desk.node(call), "type")
    if kind not in {known.name for known in code_lists()}:
        return {"list": []}
    told = []
    for order, (value, label) in enumerate(code_list(kind).values.items(), 1):
        row = {"type": kind, "label": label, "value": value, "parent_value": "", "sort": order}
        told.append({**row, "vali_flag": "1", "create_user": "", "create_date": "", "version": "V1"})
    return {"list": told}


def _rows(desk: Desk, call: Call) -> list[dict[str, Any]]:
    if call.infno == "1317":  # what the institution has mapped with 3301
        mine = [row for row in desk.books.rows("3301") if row["fixmedins_code"] == call.hospital.code]
        return [_mapped(call, row) for row in mine]
    kinds = {"1304": ("104",), "1319": None, "1318": None}.get(call.infno)
    prices = [price for price in PRICES.values() if kinds is None or price.list_type in kinds]
    if call.infno == "1304":
        prices = [Price(f"MTEST{n:015d}", f"示例民族药{n}", "01", list_type="104") for n in range(1, 26)]
    if call.infno == "1318":
        prices = [price for price in prices if price.limit_fen]
    return [_told(call, number, price) for number, price in enumerate(prices, 1)]


def _told(call: Call, number: int, price: Price) -> dict[str, Any]:
    """A row of the table's fields, with what the price list knows."""
    known = {
        "hilist_code": price.code,
        "hilist_name": price.name,
        "med_list_codg": price.code,
        "drug_genname": price.name,
        "drug_prodname": price.name,
        "insu_admdvs": call.hospital.admvs,
        "begndate": "2026-01-01",
        "med_chrgitm_type": price.kind,
        "chrgitm_lv": price.level,
        "lmt_used_flag": "1" if price.restricted else "0",
        "list_type": price.list_type,
        "hilist_pric_uplmt_amt": yuan(price.limit_fen),
        "selfpay_prop": yuan(price.prop_bp) / 100,
        "vali_flag": "1",
        "rid": f"{call.infno}{number:012d}",
        "updt_time": _UPDATED,
    }
    return _row(call.infno, known)


def _mapped(call: Call, row: Row) -> dict[str, Any]:
    known = {
        **{
            name: row[name] for name in ("list_type", "med_list_codg", "begndate", "enddate") if row.get(name)
        },
        "fixmedins_code": call.hospital.code,
        "medins_list_codg": row["fixmedins_hilist_id"],
        "medins_list_name": row.get("fixmedins_hilist_name") or "",
        "insu_admdvs": call.hospital.admvs,
        "vali_flag": "1",
        "rid": f"1317{row['serial']:012d}",
        "updt_time": _UPDATED,
    }
    return _row(call.infno, known)


def _row(infno: str, known: dict[str, Any]) -> dict[str, Any]:
    """What the table requires and nobody knows is of its sample."""
    node = next(node for node in transaction(infno).output if node.name == "data")
    (shape,) = sample(transaction(infno), side="out")["data"]
    names = {field.name for field in node.fields}
    filled: dict[str, Any] = shape | {name: value for name, value in known.items() if name in names}
    return filled


def _asked_for(row: Row, one: dict[str, Any]) -> bool:
    """Every word of the question that the row has a field for, but the times, is its."""
    skipped = ("updt_time", "begndate", "enddate", "query_date", "page_num", "page_size", "ver")
    asked = {name: value for name, value in row.items() if name in one and name not in skipped}
    return all(value in (None, "") or str(value) == str(one[name]) for name, value in asked.items())
