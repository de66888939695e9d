"""The shipped maps of daily uploads make what the transactions' tables ask for."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.registry import formats
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.profile import profile
from transforms.library import Library
from transforms.mapping import compile_map

ROOT = Path(__file__).parents[2]
LIBRARY = Library([ROOT / "transforms" / "maps"], [ROOT / "schemas" / "tables"])
# What the tests of the maps leave out of their rows, since they are about something else.
LEFT_OUT = {
    "settlement-list-to-4101a": {
        *("prfs", "coner_name", "patn_rlts", "coner_addr", "coner_tel", "dscg_caty", "bill_code", "bill_no"),
        *("biz_sn", "medins_fill_dept", "medins_fill_psn", "resp_nurs_code", "hi_paymtd", "ipt_med_type"),
    },
}


def made(name: str) -> Any:
    """What a map makes of the message of its first test."""
    text = yaml.safe_load((ROOT / "transforms" / "maps" / f"{name}.yaml").read_text("utf-8"))
    given = text["tests"][0]["given"]
    problems: list[Any] = []
    mapped = compile_map(
        {key: text[key] for key in ("from", "to", "let", "make") if key in text}, LIBRARY, problems
    )
    assert mapped is not None, problems
    body = given.encode() if isinstance(given, str) else json.dumps(given).encode()
    return json.loads(mapped.run(formats.get(text["from"]).decode(body)), parse_float=Decimal)


@pytest.mark.parametrize(
    ("name", "number", "item"),
    [
        ("oru-to-4501", "4501", True),
        ("oru-to-4502", "4502", True),
        ("fees-to-4201", "4201", False),
        ("dispensing-to-3505", "3505", False),
        ("dispensing-to-3506", "3506", False),
        ("visit-record-to-4301", "4301", False),
        ("settlement-list-to-4101a", "4101A", False),
    ],
)
def test_a_map_of_a_daily_upload_makes_an_input_without_faults(name: str, number: str, item: bool) -> None:
    tree = made(name)
    if name == "fees-to-4201":
        tree["feedetail"] = tree["feedetail"][:1]  # the second is short on purpose
    faults = checker(transaction(number), profile("national")).request(tree["uploads"][0] if item else tree)
    told = [f"{fault.path} {fault.text}" for fault in faults]
    left_out = LEFT_OUT.get(name, set())
    assert [fault for fault in told if fault.partition(" ")[0].rpartition("/")[2] not in left_out] == []
    assert len(told) == len(left_out)
