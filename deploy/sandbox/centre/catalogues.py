"""目录下载: the catalogue files, and the paged queries (1304, 1312, 1316..1319) over the price list."""

from __future__ import annotations

from collections.abc import Sequence
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
_TIMES = ("updt_time", "begndate", "enddate", "query_date", "page_num", "page_size", "ver")


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
    found = _rows(desk, call, row)
    begin = (number - 1) * size
    page = [found[at] for at in range(begin, min(begin + size, len(found)))]
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


def _rows(desk: Desk, call: Call, row: Row) -> Sequence[dict[str, Any]]:
    """What is asked for. A catalogue of many computed rows is not made but looked into, where nothing is filtered."""
    if str(row["updt_time"])[:10] > _UPDATED[:10]:
        return []
    if call.infno == "1317":  # what the institution has mapped with 3301
        mine = [kept for kept in desk.books.rows("3301") if kept["fixmedins_code"] == call.hospital.code]
        return [one for one in (_mapped(call, kept) for kept in mine) if _asked_for(row, one)]
    prices = _prices(call.infno)
    many = desk.settings.catalogue_rows.get(call.infno, len(prices))
    rows = _Computed(call, prices[:many], many)
    return rows if not _filters(row) else [one for one in rows if _asked_for(row, one)]


class _Computed(Sequence[dict[str, Any]]):
    """Rows of the price list, and behind them as many more as it takes."""

    def __init__(self, call: Call, prices: list[Price], count: int) -> None:
        self._call, self._prices, self._count = call, prices, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < self._count:
            raise IndexError(at)
        known = self._prices[at] if at < len(self._prices) else None
        price = known or Price(f"X{self._call.infno}{at:014d}", f"示例项目{at}", "01")
        return _told(self._call, at + 1, price)


def _prices(infno: str) -> list[Price]:
    if infno == "1304":
        return [Price(f"MTEST{n:015d}", f"示例民族药{n}", "01", list_type="104") for n in range(1, 26)]
    return [price for price in PRICES.values() if infno != "1318" or price.limit_fen]


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


def _filters(row: Row) -> dict[str, Any]:
    """The words of the question, without its times and pages."""
    return {name: value for name, value in row.items() if name not in _TIMES and value not in (None, "")}


def _asked_for(row: Row, one: dict[str, Any]) -> bool:
    """Every word of the question that the row has a field for is its."""
    return all(str(value) == str(one[name]) for name, value in _filters(row).items() if name in one)
