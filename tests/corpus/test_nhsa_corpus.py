"""The insurance tables of schemas/nhsa beside the facts of ../shared/nhsa, field by field."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.settings import ROOT
from schemas.nhsa.catalogue import code_list, columns, envelope, names, transaction, transactions
from schemas.nhsa.model import Field, Node

FACTS = ROOT.parent / "shared" / "nhsa"
pytestmark = pytest.mark.skipif(not FACTS.is_dir(), reason="the shared facts are not beside the repository")

TYPES = {
    "字符型": "text",
    "数值型": "number",
    "日期型": "date",
    "日期时间型": "datetime",
    "布尔型": "flag",
    "字节数组": "bytes",
    "node": "node",
    "": "",
}
# 4101, 4101A and 4103 have codes of their own, as a note of the list says; two lists are named in notes alone.
CODES = {
    ("4101", "diag_type"): "diag_type_4101",
    ("4101A", "diag_type"): "diag_type_4101",
    ("4103", "diag_type"): "diag_type_4101",
    "ordStas": "ordStas",
    "businessType": "businessType",
}
FILES = sorted(path.stem for path in (FACTS / "fields").glob("*.yaml")) if FACTS.is_dir() else []


@cache
def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def name_of(file: str) -> str:
    return file.replace("mp_", "MP-")


def node_name(side: str, name: str) -> str:
    """`input.data` and `data` are one; the root is `input`, `output` or nothing."""
    return "" if name == side else name.removeprefix(f"{side}.")


def kind(fact: dict[str, Any]) -> tuple[str, int, int]:
    name = TYPES[fact["type"]]
    sized = fact["length"] if name in ("text", "number") else ""
    length, _, decimals = sized.partition(",")
    return name, int(length or 0), int(decimals or 0) if name == "number" else 0


def same(one: Field, fact: dict[str, Any], of: str) -> None:
    where = (of, one.name)
    assert one.name == fact["name"], where
    assert one.name_zh == fact["name_zh"], where
    assert (one.type, one.length, one.decimals) == kind(fact), where
    assert one.required == (fact["required"] == "Y"), where
    codes = CODES.get((of, one.name)) or fact.get("dict") or CODES.get(one.name, "")
    assert one.codes == codes, where
    assert one.status == fact.get("status", ""), where
    assert one.aliases == tuple(fact.get("alt_names", ())), where
    assert fact.get("note", "") in one.note, where
    assert one.guessed == (fact.get("type_from") == "guess" and bool(fact["type"])), where


@pytest.mark.parametrize("file", FILES)
def test_every_node_and_field_of_a_transaction_is_as_the_facts_have_it(file: str) -> None:
    facts, ours = read(FACTS / "fields" / f"{file}.yaml"), transaction(name_of(file))
    assert ours.name_zh == facts["name_zh"]
    assert {key: text.split(" (")[0] for key, text in facts["sources"].items()} == {
        key: text.split(" (")[0] for key, text in ours.sources.items()
    }
    for side, nodes in (("input", ours.input), ("output", ours.output)):
        told = facts[side]["nodes"]
        assert [(node.name, node.many) for node in nodes] == [
            (node_name(side, fact["name"]), fact["list"]) for fact in told
        ]
        for node, fact in zip(nodes, told, strict=True):
            assert len(node.fields) == len(fact["fields"]), node.name
            for one, row in zip(node.fields, fact["fields"], strict=True):
                same(one, row, facts["code"] if not file.startswith("mp_") else file)


def test_all_transactions_are_there_and_nothing_else() -> None:
    listed = read(FACTS / "transactions.yaml")
    baseline = [fact["code"] for fact in listed["transactions"]]
    later = [fact["code"] for fact in listed["later_transactions"]]
    mobile = [f"MP-{fact['code']}" for fact in listed["mobile_payment"]]
    vouchers = [name for name in names() if name.startswith("EC-")]
    assert list(names()) == baseline + later + mobile + vouchers
    assert [one.name for one in transactions() if not one.version] == baseline
    assert len(baseline) == 115
    assert {name_of(file) for file in FILES} == set(names()) - set(vouchers)


def test_what_the_list_says_of_a_transaction_is_kept() -> None:
    sure = {"two sources agree": "sure", "one source": "one source", "partial": "partial"}
    for fact in read(FACTS / "transactions.yaml")["transactions"]:
        one = transaction(fact["code"])
        assert (one.name_zh, one.name_en) == (fact["name_zh"], fact["name_en"])
        assert one.group == f"{fact['group1']}/{fact['group2']}"
        assert one.nature == fact["nature"]
        assert one.inbound == (fact["direction"] == "centre->hospital")
        assert one.institution == fact["institution"]
        assert one.daily == (fact["call_mode"] != "实时")
        assert one.path.removeprefix("/fsi/api/") == fact.get("fsi_path", "")
        assert one.sure == sure[fact["confidence"]]
        assert one.open or fact["confidence"] != "partial"
        assert one.needs == tuple(fact.get("needs", ()))
        assert one.undoing.reverse == (fact["code"] if fact["reverse_2601"] else "")
        if one.name not in ("3503", "3505"):  # what the facts name there is a return of goods, not an undoing
            assert one.undoing.undo == (fact["reversed_by"] or ""), one.name


def test_mobile_payment_is_another_centre_with_the_same_numbers() -> None:
    for fact in read(FACTS / "transactions.yaml")["mobile_payment"]:
        one = transaction(f"MP-{fact['code']}")
        assert (one.code, one.centre, one.nature) == (fact["code"], "payment", fact["nature"])
        assert one.path == (fact["path"] or "")
        assert one.undoing.undo == (f"MP-{fact['reversed_by']}" if fact["reversed_by"] else "")


def test_every_code_of_every_list_is_there_with_its_name() -> None:
    facts = read(FACTS / "dictionaries.yaml")
    for name, fact in facts["lists"].items():
        ours = code_list(name)
        assert ours.name_zh == fact["name_zh"]
        assert dict(ours.values) == {row["code"]: row["name_zh"] for row in fact["values"]}
        assert [code for code, _, _ in ours.local] == [row["code"] for row in fact.get("local_values", ())]
    for name, name_zh in facts["not_found"].items():
        ours = code_list(name)
        assert (ours.name_zh, ours.sure, ours.closed) == (name_zh, "not found", False)


def test_every_column_of_every_file_is_there_in_its_place() -> None:
    for file in FILES:
        facts = read(FACTS / "fields" / f"{file}.yaml")
        for key, name in (("file", file), ("file_upload", "3202-upload"), ("file_result", "3202-result")):
            if key in facts:
                assert [(one.position, one.name, one.name_zh) for one in columns(name)] == [
                    (fact["pos"], fact["name"], fact["name_zh"]) for fact in facts[key]["columns"]
                ]


def test_the_envelope_has_its_fields() -> None:
    facts = read(FACTS / "envelope.yaml")
    for node, side in zip(envelope(), ("request", "response"), strict=True):
        assert_envelope(node, facts[side], facts[f"{side}_later"])


def assert_envelope(node: Node, facts: list[dict[str, Any]], later: list[dict[str, Any]]) -> None:
    assert [one.name for one in node.fields] == [fact["name"] for fact in [*facts, *later]]
    for one, fact in zip(node.fields, facts, strict=False):
        kinds = kind(fact)
        assert (one.type, one.length) == (kinds[0], kinds[1])
        assert one.required == (fact["required"] == "Y")
        assert one.name_zh == fact["name_zh"]
    assert all(one.status == "later" for one in node.fields[len(facts) :])
