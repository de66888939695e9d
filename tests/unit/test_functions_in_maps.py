"""What the manual says of pipe functions in a map: two values by `let`, objects that a function makes, lists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from config import registry
from config.errors import BadMessage, Problem
from config.text import parse
from schemas.message import Message
from transforms.library import Library
from transforms.mapping import compile_map

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "schemas" / "tables"
README = (ROOT / "transforms" / "README.md").read_text("utf-8")
ORU = (
    "MSH|^~\\&|HIS|A|LIS|A|20260105080000||ORU^R01|1|P|2.5|||||||UNICODE UTF-8\r"
    "PID|1||P0001^^^HIS||欧阳^小明||20200301|F|||样板街12号^^上海市^上海市^^^^^虚构区\r"
    f"PV1|1|I{'|' * 42}20260101093000|20260105080000\r"
    "OBX|1|NM|GLU||6.1|mmol/L|3.9-6.1\rOBX|2|NM|K||5.9|mmol/L|3.5-5.5\rOBX|3|ST|HBV||-|×10＾9/Ｌ|阴性\r"
).encode()
BILL = {
    "name": [{"use": "old", "text": "李四"}, {"use": "official", "text": "欧阳小明"}],
    "codes": ["A", "B"],
    "fees": ["12.50", "0.5"],
    "paid": "1767576600",
    "total": "13",
}


def made(make: str, source: str, tree: Any, to: str = "json") -> bytes:
    spec = {"map": "x", "from": source, "to": to, "make": parse(make).data}
    problems: list[Problem] = []
    found = compile_map(spec, Library([], [TABLES]), problems)
    assert found is not None, problems
    return found.run(tree, Message(b"", id="1"))


def of_hl7(make: str) -> Any:
    return json.loads(made(make, "hl7v2", registry.formats.get("hl7v2").decode(ORU)))


def of_json(make: str) -> Any:
    return json.loads(made(make, "json", BILL))


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (
            "{let: {both: [$PID-7, $PV1-44]}, make: {age: $both | age, text: $both | age_text}}",
            {"age": 5, "text": "5岁10个月"},
        ),
        (
            "{let: {stay: [$PV1-44, $PV1-45]}, make: {d: $stay | date_difference, h: $stay | date_difference hours}}",
            {"d": 3, "h": 94},
        ),
        ("{let: {both: [$PID-7, $PV1-99]}, make: {age: $both | age, name: $PID-5.1}}", {"name": "欧阳"}),
        ("{n: {each: $PID-5, make: {text: $ | full_name}}}", {"n": [{"text": "欧阳小明"}]}),
        ("{a: {each: $PID-11, make: {text: $ | full_address}}}", {"a": [{"text": "上海市虚构区样板街12号"}]}),
        ("{let: {n: [$PID-5.1, $PID-5.2]}, make: {name: $n | full_name}}", {"name": "欧阳小明"}),
        (
            "{let: {key: {join: {of: [$PID-3.4, $PID-3.1], with: '|'}}}, make: {id: $key | uuid patient | urn}}",
            {"id": "urn:uuid:f7b7a33a-5650-5d61-9b5e-0f5e4600eec5"},
        ),
        (
            "{flags: {each: $OBX, make: {let: {both: [$-5, $-7]}, make: {c: $-3, f: $both | range_flag}}}}",
            {"flags": [{"c": "GLU", "f": "N"}, {"c": "K", "f": "H"}, {"c": "HBV"}]},
        ),
        (
            "{units: {each: $OBX, make: $-6.1 | halfwidth | table ucum}}",
            {"units": ["mmol/L", "mmol/L", "10*9/L"]},
        ),
        ("{high: '$OBX[]-7 | range_high | largest'}", {"high": 6.1}),
        ("{day: $PV1-44 | date_format yyyy年M月d日}", {"day": "2026年1月1日"}),
    ],
)
def test_of_an_hl7_message(make: str, wanted: Any) -> None:
    assert of_hl7(make) == wanted


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        ("{name: '$.name[] | where use official | first | member text | family'}", {"name": "欧阳"}),
        (
            "{lines: '$.[codes, fees] | zip code,fee'}",
            {"lines": [{"code": "A", "fee": "12.50"}, {"code": "B", "fee": "0.5"}]},
        ),
        (
            "{total: '$.fees[] | sum | yuan_round', words: '$.fees[] | sum | yuan_words'}",
            {"total": "13.00", "words": "人民币壹拾叁元整"},
        ),
        (
            "{at: $.paid | from_epoch, by: $.total | divide 3 places=2}",
            {"at": "2026-01-05T09:30:00+08:00", "by": 4.33},
        ),
        (
            "{one: '$.codes[] | sort descending | first', all: '$.codes[] | join with=/'}",
            {"one": "B", "all": "A/B"},
        ),
    ],
)
def test_of_json(make: str, wanted: Any) -> None:
    assert of_json(make) == wanted


def test_a_name_becomes_a_field_of_hl7() -> None:
    make = "{MSH: {9: {1: ADT}}, PID: {5: '$.name[1].text | xpn'}}"
    assert "PID|||||欧阳^小明^^^^^L" in made(make, "json", BILL, "hl7v2").decode()


def test_an_address_becomes_a_field_of_hl7() -> None:
    bill = {"home": "上海市虚构区样板街12号"}
    out = made("{MSH: {9: {1: ADT}}, PID: {11: $.home | xad}}", "json", bill, "hl7v2").decode()
    assert "PID|||||||||||样板街12号^^上海市^上海市^^^^^虚构区" in out


def test_a_name_becomes_a_part_of_fhir() -> None:
    make = "{resourceType: Patient, name: ['$.name[1].text | human_name use=official']}"
    (name,) = json.loads(made(make, "json", BILL, "fhir"))["name"]
    assert name == {"use": "official", "text": "欧阳小明", "family": "欧阳", "given": ["小明"]}


def test_what_cannot_be_used_names_the_path_and_never_the_value() -> None:
    with pytest.raises(BadMessage) as caught:
        made("{n: '$.name[0].text | integer'}", "json", BILL)
    assert caught.value.code == "JL-M051"
    assert ".name[0].text" in caught.value.path
    assert "李四" not in str(caught.value)


def test_the_recipe_in_the_manual_is_true() -> None:
    """With the number of a citizen who cannot be: the area 999999 does not exist."""
    block = next(
        b for b in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if b.startswith("let:\n  both:")
    )
    body = (
        "MSH|^~\\&|HIS|A|LIS|A|20260105080000||ORU^R01|1|P|2.5|||||||UNICODE UTF-8\r"
        f"PID|1||P1||欧阳小明||20010115||||上海市虚构区样板街12号||15400000000{'|' * 6}999999200101150003\r"
    )
    body += f"PV1|1|I{'|' * 42}20260101093000|20260105080000\rOBX|1|NM|K||5.9|mmol/L|3.5-5.5\rFT1|1{'|' * 10}1409.50\r"
    spec = {"map": "x", "from": "hl7v2", "to": "json", **parse(block).data}
    problems: list[Problem] = []
    found = compile_map(spec, Library([], [TABLES]), problems)
    assert found is not None, problems
    assert json.loads(
        found.run(registry.formats.get("hl7v2").decode(body.encode()), Message(b"", id="1"))
    ) == {
        "name": [{"use": "official", "text": "欧阳小明", "family": "欧阳", "given": ["小明"]}],
        "address": [
            {
                "text": "上海市虚构区样板街12号",
                "state": "上海市",
                "city": "上海市",
                "district": "虚构区",
                "line": ["样板街12号"],
            }
        ],
        "phone": "+8615400000000",
        "born": "2001-01-15",
        "sex": "female",
        "age": "24岁",
        "days": 4,
        "flag": "H",
        "words": "人民币壹仟肆佰零玖元伍角",
    }
