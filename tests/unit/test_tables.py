"""Code tables: how they are written, asked, and tested beside their rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving_parts import play
from typer.testing import CliRunner

from channels.loader import check
from config.settings import ROOT, load_settings
from router import cli
from router.files import stamp
from transforms.library import Library, table_folders
from transforms.pipes import BadPipe, Unusable, bind
from transforms.syntax import words
from transforms.table_tests import questions_of, unasked
from transforms.tables import About, Asked, Table, read_table

SHIPPED = ROOT / "schemas" / "tables"
WARDS = """\
# title: wards
# source: the ward list of the HIS, 2026-01
# source: names by the nurses
# oid: 1.2.3
# doubt: 4W is being built
# test: 3W -> Medicine 3
code,name,lis,kind
3W,Medicine 3,M3,bed
3E,"Medicine, east",M3,
OP,Outpatients,OP,
"""
SAME = """\
table: ward
title: wards
source: [the ward list of the HIS, 2026-01, names by the nurses]
oid: 1.2.3
doubt: 4W is being built
rows:
  3W: {name: Medicine 3, lis: M3, kind: bed}
  3E: {name: "Medicine, east", lis: M3}
  OP: {name: Outpatients, lis: OP}
tests: [3W -> Medicine 3]
"""


def written(folder: Path, text: str, name: str = "ward.csv") -> Table:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    table, findings = read_table(path)
    assert findings == []
    return table


def asked(table: Table, value: str, arguments: str = "") -> str | None:
    """`value | table ward ARGUMENTS`."""
    stage = bind("table", [*words(table.name), *words(arguments)], lambda name: table)
    said: str | None = stage.call(value)
    return said


@pytest.fixture
def ward(tmp_path: Path) -> Table:
    return written(tmp_path, WARDS)


@pytest.mark.parametrize(
    ("value", "arguments", "said"),
    [
        ("3W", "", "Medicine 3"),
        ("3W", "to lis", "M3"),
        ("3W", "to name", "Medicine 3"),
        ("3W", "to code", "3W"),
        ("3E", "to kind", None),
        ("3E", "to kind default none", "none"),
        ("9X", "", None),
        ("9X", "unknown", "unknown"),
        ("Medicine, east", "from name", "3E"),
        ("M3", "from lis", "3W"),
        ("M3", "from lis to name", "Medicine 3"),
        ("OP", "from lis to kind", None),
        ("bed", "from=kind to=lis", "M3"),
    ],
)
def test_any_column_may_ask_and_any_may_answer(
    ward: Table, value: str, arguments: str, said: str | None
) -> None:
    assert asked(ward, value, arguments) == said


def test_a_code_that_must_be_there_refuses_the_message(tmp_path: Path, ward: Table) -> None:
    strict = written(tmp_path, f"# error: true\n{WARDS}")
    for table, value, arguments in (
        (ward, "9X", "error"),
        (strict, "9X", ""),
        (strict, "3E", "to kind"),
        (strict, "M9", "from lis"),
    ):
        with pytest.raises(Unusable, match="does not hold"):
            asked(table, value, arguments)
    assert asked(strict, "9X", "default none") == "none"


def test_the_answer_for_all_other_codes_is_one_of_the_column_that_answers(tmp_path: Path) -> None:
    table = written(tmp_path, f"# default: elsewhere\n{WARDS}")
    assert asked(table, "9X") == asked(table, "9X", "to name") == "elsewhere"
    assert asked(table, "9X", "to lis") is None
    assert asked(table, "elsewhere", "from name") is None


def test_a_misspelt_column_is_told_and_one_that_a_sites_table_leaves_out_says_nothing(ward: Table) -> None:
    for arguments in ("to nmae", "from nmae"):
        with pytest.raises(BadPipe, match="no column 'nmae'") as told:
            asked(ward, "3W", arguments)
        assert told.value.hint == "did you mean name?"
    assert asked(ward, "3W", "to display") is None


def test_a_table_says_the_same_as_csv_and_as_yaml(tmp_path: Path, ward: Table) -> None:
    same = written(tmp_path, SAME, "ward.yaml")
    assert same.columns == ward.columns
    assert same.answers == "name"
    sources = ("the ward list of the HIS, 2026-01", "names by the nurses")
    assert ward.about == About("wards", sources, "1.2.3", ("4W is being built",))
    assert same.about.doubts == ward.about.doubts
    assert ward.tests == (Asked("3W -> Medicine 3", 6),)
    assert same.tests == (Asked("3W -> Medicine 3", 10, 9),)


def test_a_row_of_text_alone_is_of_the_first_column_that_a_row_names(tmp_path: Path) -> None:
    table = written(
        tmp_path, "table: a\nsource: x\nrows: {A: b, C: {fhir: d, name: D}, E: {name: F}}\n", "a.yaml"
    )
    assert table.columns == {"fhir": {"A": "b", "C": "d"}, "name": {"C": "D", "E": "F"}}
    assert list(table.codes) == ["A", "C", "E"]


def test_tables_lie_in_a_folder_or_in_a_folder_of_it_and_the_sites_own_come_first(tmp_path: Path) -> None:
    own = tmp_path / "tables"
    written(own, WARDS, "lists/ward.csv")
    written(own, "# source: x\ncode,name\n1,here\n", "ws364/CV03.00.101.csv")
    library = Library([], [own, SHIPPED])
    for name, value, said in (
        ("ward", "3W", "Medicine 3"),
        ("CV03.00.101", "1", "here"),
        ("outcome", "1", "治愈"),
    ):
        table = library.table(name)
        assert table is not None
        assert asked(table, value) == said
    (tmp_path / "channels").mkdir()
    seen = {path.name for path in stamp(load_settings(tmp_path, {}))}
    assert {"ward.csv", "CV03.00.101.csv"} <= seen, "a change of it is a change of the site"


def questions(tmp_path: Path, *tests: str) -> dict[str, tuple[str | None, str | None] | None]:
    """What each test wanted otherwise."""
    lines = "".join(f"# test: {test}\n" for test in tests)
    found, findings = questions_of(written(tmp_path, lines + WARDS.replace("# test: 3W -> Medicine 3\n", "")))
    assert findings == []
    return {question.asked: question.otherwise() for question in found}


def test_a_test_is_what_is_asked_an_arrow_and_what_the_table_says(tmp_path: Path) -> None:
    held = questions(
        tmp_path,
        "3W -> Medicine 3",
        "3W to lis -> M3",
        '"Medicine, east" from name -> 3E',
        "9X -> nothing",
        "9X error -> refused",
        "9X default nothing -> 'nothing'",
        "a=b -> nothing",
        "OP->Outpatients",
    )
    assert len(held) == 8
    assert set(held.values()) == {None}


def test_what_is_otherwise_is_told(tmp_path: Path) -> None:
    assert questions(
        tmp_path, "3W -> Medicine", "OP -> nothing", "9X -> OP", "9X error -> OP", "3E -> refused"
    ) == {
        "3W": ("Medicine", "Medicine 3"),
        "OP": (None, "Outpatients"),
        "9X": ("OP", None),
        "9X error": ("OP", "refused"),
        "3E": ("refused", "Medicine, east"),
    }


@given(st.text("3W toflisname->\"' =nothing#", max_size=30) | st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_test_or_a_finding(text: str) -> None:
    table = Table("ward", {"name": {"3W": "x"}}, tests=(Asked(text, 3),))
    found, findings = questions_of(table)
    assert len(found) + len(findings) == 1
    for question in found:
        question.otherwise()
    assert all((finding.line, finding.column) == (3, 1) for finding in findings)


def site(folder: Path, *tests: str) -> Path:
    (folder / "channels").mkdir()
    lines = "".join(f"# test: {test}\n" for test in tests)
    written(folder / "tables", lines + WARDS.replace("# test: 3W -> Medicine 3\n", ""))
    written(
        folder / "tables", "table: sex\nsource: x\nrows: {M: m}\ntests: [M -> m, X -> nothing]\n", "sex.yaml"
    )
    return folder


def run(folder: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["--site", str(folder), "test", *words])
    return result.exit_code, result.output


def test_tests_of_all_tables_are_a_line_and_what_fails_has_its_place(tmp_path: Path) -> None:
    code, out = run(site(tmp_path, "3W -> Medicine 3", "3E to lis -> M4"))
    assert code == 1
    assert out.splitlines()[:3] == [
        "2 tables: 4 tests, 1 failed",
        "  tables/ward.csv:2: 3E to lis",
        "    the table: expected 'M4', got 'M3'",
    ]


def test_a_table_is_chosen_by_its_name_and_a_test_by_what_it_asks(tmp_path: Path) -> None:
    folder = site(tmp_path, "3W -> Medicine 3", "3E to lis -> M3", "3E -> Medicine, east")
    assert run(folder, "ward")[1].startswith("ward: 3 tests, ok\n")
    assert run(folder, "ward: 3E*")[1].startswith("ward: 2 tests, ok\n")


def test_coverage_names_what_no_test_asks(tmp_path: Path) -> None:
    folder = site(tmp_path, "3W -> Medicine 3", "M3 from lis -> 3W")
    written(folder / "tables", "# source: x\ncode,name\n1,a\n", "bare.csv")
    out = run(folder, "--coverage")[1]
    assert "  all tables: 67 % (4 of 6)\n" in out
    assert "    tables/ward.csv: no test asks for the column kind\n" in out
    assert "    tables/ward.csv: no test asks for a code that it does not hold\n" in out
    assert "without any test: bare\n" in out


def test_a_test_that_cannot_be_asked_is_a_finding_and_the_others_are_played(tmp_path: Path) -> None:
    folder = site(tmp_path, "3W to nmae -> Medicine 3", "3W -> Medicine 3")
    assert [(f.file, f.line, f.code, f.hint) for f in check(load_settings(folder, {}), {})] == [
        ("tables/ward.csv", 1, "JL-C119", "did you mean name?")
    ]
    report = play(folder)
    assert len(report.findings) == 1
    assert len(report.results) == 3
    assert not report.failed


def test_every_shipped_table_has_a_source_a_title_and_tests_of_all_that_it_says() -> None:
    library = Library([], [SHIPPED])
    assert len(library.table_names()) > 240
    for name in library.table_names():
        table = library.table(name)
        assert table is not None
        assert table.about.title, name
        asks, findings = questions_of(table)
        assert findings == []
        assert [(name, ask.asked, wrong) for ask in asks if (wrong := ask.otherwise())] == []
        assert unasked(table, asks) == [], name
    assert library.findings == []


def test_no_two_shipped_tables_have_one_name() -> None:
    names = [path.stem for folder in table_folders(SHIPPED) for path in folder.glob("*.csv")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("language", "name"), [("csv", "marital-status.csv"), ("yaml", "marital-status.yaml")]
)
def test_the_tables_of_the_manual_are_clean_and_their_tests_hold(
    tmp_path: Path, language: str, name: str
) -> None:
    manual = (ROOT / "transforms" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"```{language}\n(.*?)```", manual, re.DOTALL)
    (text,) = [block for block in blocks if block.startswith(("# title", "table:"))]
    asks, findings = questions_of(written(tmp_path, text, name))
    assert findings == []
    assert len(asks) >= 2
    assert [ask.asked for ask in asks if ask.otherwise()] == []


def test_the_list_of_shipped_tables_names_them_all() -> None:
    manual = (SHIPPED / "README.md").read_text(encoding="utf-8")
    chinese = [path.stem for path in SHIPPED.glob("*.csv") if not of_hl7(path)]
    assert [name for name in chinese if f"`{name}`" not in manual] == []
    assert f"{len(list((SHIPPED / 'ws364').iterdir()))} tables by their numbers" in manual


def of_hl7(path: Path) -> bool:
    return any(source.startswith(("HL7", "UCUM", "none")) for source in read_table(path)[0].about.sources[:1])
