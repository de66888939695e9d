"""进销存: stock, purchases and sales by batch (3501..3507), and what is asked of them (3508..3513)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import Call, Desk, No, Output, amount, need, serves
from deploy.sandbox.centre.tables import demand
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample

# inv_data_type: 1 盘存, 2 库存变更, 3 采购, 4 销售
_KINDS = {"3501": "1", "3502": "2", "3503": "3", "3504": "3", "3505": "4", "3506": "4"}
_NODES = {"3501": "invinfo", "3502": "invinfo", "3503": "purcinfo", "3504": "purcinfo"}
_COUNTS = {"3": "purc_retn_cnt", "4": "sel_retn_cnt"}
_ASKED = {"3508": "1", "3509": "2", "3510": "3", "3511": "4", "3512": "3", "3513": "4"}
_SPELLED = {"medins_list_codg": "fixmedins_hilist_id", "medins_list_name": "fixmedins_hilist_name"}


@serves("3501", "3502", "3503", "3505")
def keep(desk: Desk, call: Call) -> Output:
    """A second upload of a batch overwrites the first; sales are each their own."""
    demand(desk, call)
    row = desk.node(call, _NODES.get(call.infno, "selinfo"))
    kind = _KINDS[call.infno]
    if kind in _COUNTS and amount(row, _COUNTS[kind]) <= 0:
        raise No("采购或销售数量必须大于零")
    of = f"/{need(row, 'rtal_docno')}" if kind == "4" else ""
    desk.books.put(
        f"stock-{kind}", _key(call, row) + of, {**row, "hospital": call.hospital.code, "back": Decimal(0)}
    )
    return None


@serves("3504", "3506")
def give_back(desk: Desk, call: Call) -> Output:
    """No more than there was, of the same item and batch."""
    demand(desk, call)
    row = desk.node(call, _NODES.get(call.infno, "selinfo"))
    kind = _KINDS[call.infno]
    back = abs(amount(row, _COUNTS[kind]))
    mine = desk.books.kept.get(f"stock-{kind}", {})
    for key, kept in mine.items():
        if key.startswith(_key(call, row)) and kept["back"] + back <= amount(kept, _COUNTS[kind]):
            mine[key] = {**kept, "back": kept["back"] + back}
            return None
    raise No("未查询到可退的采购信息" if kind == "3" else "未查询到可退的销售信息")


@serves("3507")
def forget(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    kind = need(row, "inv_data_type")
    mine = desk.books.kept.get(f"stock-{kind}", {})
    gone = [key for key, kept in mine.items() if _of_batch(call, kept, need(row, "fixmedins_bchno"))]
    if not gone:
        raise No("未查询到商品信息")
    for key in gone:
        del mine[key]
    return None


@serves("3508", "3509", "3510", "3511", "3512", "3513")
def ask(desk: Desk, call: Call) -> Output:
    """The last that was uploaded and fits, in camelCase, as the tables have it."""
    row = desk.node(call)
    traced = call.infno in ("3512", "3513")
    found: Row | None = None
    for kept in desk.books.rows(f"stock-{_ASKED[call.infno]}"):
        batch = str(row.get("fixmedins_bchno") or kept["fixmedins_bchno"])
        item = row.get("medins_list_codg") in (None, "", kept["fixmedins_hilist_id"])
        code = row.get("drug_trac_codg") in (None, "", kept.get("drug_trac_codg"))
        if _of_batch(call, kept, batch) and item and code and (kept.get("drug_trac_codg") or not traced):
            found = kept
    if found is None:
        raise No("未查询到数据")
    return _told(call.infno, found)


def _told(infno: str, kept: Row) -> dict[str, Any]:
    (node,) = transaction(infno).output
    told: dict[str, Any] = sample(transaction(infno), side="out")
    for field in node.fields:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field.name)
        value = kept.get(snake, kept.get(_SPELLED.get(snake, "")))
        if value is not None:
            told[field.name] = value
    return told | {"fixmedinsCode": kept["hospital"], "valiFlag": "1"}


def _key(call: Call, row: Row) -> str:
    return f"{call.hospital.code}/{need(row, 'fixmedins_bchno')}/{need(row, 'fixmedins_hilist_id')}"


def _of_batch(call: Call, kept: Row, batch: str) -> bool:
    return bool(kept["hospital"] == call.hospital.code and kept["fixmedins_bchno"] == batch)
