"""The shipped tables beside the facts of ../shared/codesets: every code, every word, or a doubt that says why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT
from config.text import read
from transforms.library import table_folders
from transforms.tables import Table, read_table

FACTS = ROOT.parent / "shared" / "codesets"
TABLES = ROOT / "schemas" / "tables"
pytestmark = pytest.mark.skipif(not FACTS.is_dir(), reason="the shared facts are not beside the repository")

# A file of codes and its table, where they are not called the same, and where its rows are.
ROWS = {
    "cda-documents": (
        "cda-document",
        "documents",
        "code",
        {"title": "name", "templateId": "template", "part": "part"},
    ),
    "cda-sections": ("cda-section", "sections", "loinc", {"name": "name"}),
    "hip-services": (
        "hip-service",
        "services",
        "code",
        {"name": "name", "root": "root", "action": "action", "group": "group"},
    ),
    "oids": ("oid", "identifiers", "root", {"name": "name"}),
}
WORDS = ("name", "fhir", "hl7v2", "letters", "roman")
NO_TABLES = {
    "id-card": "how a number is made: `citizen_id` and its sisters",
    "hip-messages": "paths of messages: maps",
}
ALSO_FHIR = {"gender", "marital-status"}  # their codes are asked in HL7's letters too
# Of WS 364-2011: health supervision and finance, and three tables that were keyed wrongly.
LEFT_OUT = ("CV08.10.001", "CV08.10.002", "CV08.10.003", "CV08.30.001", "CV08.30.002", "CV08.30.003", "CV09.")
KEYED_WRONGLY = ("CV03.00.203", "CV04.30.002", "CV05.10.018")


@cache
def facts(name: str) -> Any:
    return read(FACTS / f"{name}.yaml").data


@cache
def shipped(name: str) -> Table:
    path = TABLES / f"{name}.csv"
    table, findings = read_table(path if path.exists() else TABLES / "ws364" / f"{name}.csv")
    assert not findings
    return table


def differences(table: Table, code: str, words: Mapping[str, str]) -> list[str]:
    """What the table says otherwise, and does not say so."""
    if code not in table.codes:
        said = f"{code} is left out: the source has {words.get('name')}"
        return [] if said in table.about.doubts else [f"{table.name}: no {code}"]
    found = []
    for column, text in words.items():
        got = table.column(column).get(code, "")
        if got != text and f"{code} is mended: the source has {text}" not in table.about.doubts:
            found.append(f"{table.name}: {code} {column}: {got!r}, the facts have {text!r}")
    return found


def rows_of(name: str) -> tuple[Table, Iterable[tuple[str, dict[str, str]]]]:
    data = facts(name)
    called, under, key, columns = ROWS.get(name, (name, "codes", "code", {word: word for word in WORDS}))
    if name == "data-elements":
        return shipped("data-element"), [
            (code, {"name": text}) for code, text in data["data_elements"].items()
        ]
    rows = [*data[under], *data.get("one_digit", [])]
    words = {column: word for word, column in columns.items()}
    return shipped(called), [
        (row[key], {column: row[word] for column, word in words.items() if row.get(word)}) for row in rows
    ]


NAMES = sorted(path.stem for path in FACTS.glob("*.yaml") if path.stem not in (*NO_TABLES, "ws364-2011-all"))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_what_the_facts_say(name: str) -> None:
    table, rows = rows_of(name)
    named = [(code, words) for code, words in rows if words]  # an OID that has no name is in no table
    assert [line for code, words in named for line in differences(table, code, words)] == []
    assert table.about.sources
    oid = facts(name).get("oid", "")
    assert table.about.oid == oid


def test_a_table_of_one_system_has_no_codes_of_its_own() -> None:
    for name in NAMES:
        table, rows = rows_of(name)
        if name not in (*ALSO_FHIR, "ethnic-group", "oids"):
            known = {code for code, _ in rows}
            assert {
                code for code in table.codes if code not in known and code.lstrip("0") not in known
            } == set()


def test_an_oid_of_a_code_system_has_the_name_that_is_met_most_often() -> None:
    table = shipped("oid")
    seen: dict[str, dict[str, int]] = {}
    for row in facts("oids")["code_systems"]:
        seen.setdefault(row["oid"], {})[row["name"]] = row["seen"]
    kinds = table.column("kind")
    assert {code for code in table.codes if kinds[code] == "code system"} == set(seen)
    assert [
        oid for oid, names in seen.items() if names[table.column("name")[oid]] < max(names.values())
    ] == []


@pytest.fixture(scope="module")
def ws364() -> dict[str, Any]:
    tables: dict[str, Any] = facts("ws364-2011-all")["tables"]
    return tables


def test_the_tables_of_ws_364_say_what_the_facts_say(ws364: dict[str, Any]) -> None:
    found = []
    for path in sorted((TABLES / "ws364").iterdir()):
        table, data = shipped(path.stem), ws364[path.stem]
        for code, text in data["codes"].items():
            found += differences(table, code, {"name": text})
        found += [
            f"{path.stem}: {code} is not in the facts" for code in table.codes if code not in data["codes"]
        ]
        title = f"{table.about.title}表" if data["name"].endswith("表") else table.about.title
        if (
            title != data["name"]
            and f"the title is mended: the source has {data['name']}" not in table.about.doubts
        ):
            found.append(f"{path.stem}: {table.about.title}, the facts have {data['name']}")
    assert found == []


def test_what_of_ws_364_is_no_table_of_its_number_is_left_out_or_has_a_name(ws364: dict[str, Any]) -> None:
    sources = [
        source for folder in table_folders(TABLES) for path in folder.glob("*.csv") for source in said(path)
    ]
    for number in ws364:
        told = any(number in source for source in sources)
        assert told is not (number.startswith(LEFT_OUT) or number in KEYED_WRONGLY), number


def said(path: Path) -> tuple[str, ...]:
    return read_table(path)[0].about.sources
