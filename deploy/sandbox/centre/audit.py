"""明细审核 (3101 before, 3102 during): a finding where a rule is broken. It refuses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import Call, Desk, Output, amount, serves
from deploy.sandbox.centre.prices import price_of
from deploy.sandbox.centre.tables import demand

_LARGE = Decimal(10000)


@serves("3101", "3102")
def analyse(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    results: list[dict[str, Any]] = []
    for patient in _rows(desk.node(call), "patient_dtos"):
        for encounter in _rows(patient, "fsi_encounter_dtos"):
            for rule, order, text in _findings(encounter):
                results.append(_told(len(results) + 1, rule, patient, encounter, order, text))
    return {"result": results}


def _findings(encounter: Row) -> Iterator[tuple[str, Row, str]]:
    seen: set[str] = set()
    for order in _rows(encounter, "fsi_order_dtos"):
        code = str(order.get("hilist_code") or "")
        if price_of(code).restricted:
            yield "限制用药", order, f"项目[{code}]有医保限定支付范围,请核对适应症"
        if code in seen:
            yield "重复开单", order, f"项目[{code}]在本次就诊中重复"
        seen.add(code)
        if amount(order, "sumamt") > _LARGE:
            yield "大额费用", order, "单项金额大于10000元"


def _told(number: int, rule: str, patient: Row, encounter: Row, order: Row, text: str) -> dict[str, Any]:
    total = amount(order, "sumamt")
    who = {"patn_id": str(patient.get("patn_id") or ""), "mdtrt_id": str(encounter.get("mdtrt_id") or "")}
    detail = {"jrd_id": f"JRD{number}", **who, "rx_id": str(order.get("rx_id") or ""), "vola_item_type": "1"}
    return {
        "jr_id": f"JR{number}",
        "rule_id": f"R{rule}",
        **who,
        "rule_name": rule,
        "vola_cont": text,
        "vola_amt": total,
        "vola_amt_stas": "1",
        "sev_deg": "2",
        "vola_evid": "",
        "vola_bhvr_type": "1",
        "task_id": "",
        "judge_result_detail_dtos": [{**detail, "vola_amt": total}],
    }


def _rows(tree: Row, name: str) -> list[Row]:
    found = tree.get(name) or []
    return found if isinstance(found, list) else [found]
