"""`jingluo docs`, as an integrator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router import cli
from router.commands.docs import app


@pytest.fixture(autouse=True)
def no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_site", None)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_without_a_topic_the_topics_are_listed() -> None:
    code, out = run()
    assert code == 0
    for topic in ("functions", "endpoints", "formats", "errors", "tables"):
        assert f"jingluo docs {topic}" in out


def test_functions_are_shown_by_group_with_their_examples() -> None:
    code, out = run("functions")
    assert code == 0
    assert out.index("\nText\n") < out.index("\nDates and times\n") < out.index("\nNames of people\n")
    assert '"20260105" | cut end=4 → "2026"' in out


def test_one_function_is_shown_with_its_arguments() -> None:
    code, out = run("functions", "date_difference")
    assert code == 0
    assert "date_difference [in=days]" in out
    assert "in: years | months | weeks | days | hours | minutes | seconds; without it days" in out
    assert "pad_bytes" not in out


def test_names_that_begin_so_are_shown_together() -> None:
    assert run("functions", "citizen")[1].count("citizen_") > 5
    assert run("functions", "cut")[1].count("cut_bytes") == 0, "one that is called just so is shown alone"


def test_a_word_finds_the_functions_that_speak_of_it() -> None:
    out = run("functions", "32100")[1]
    assert "\n  uscc\n" in out
    assert run("functions", "HumanName")[1].count("human_name") > 0


def test_an_unknown_function_gets_the_nearest_name() -> None:
    code, out = run("functions", "uper")
    assert code == 1
    assert "did you mean upper?" in out


def test_tools_get_json() -> None:
    found = json.loads(run("functions", "pad", "--json")[1])
    assert [one["name"] for one in found] == ["pad"]
    assert found[0]["arguments"][0] == {"name": "width", "kind": "a whole number", "default": None}
    assert {"value": '"42"', "pipe": "pad 8", "result": '"00000042"'} in found[0]["examples"]


def test_every_kind_of_endpoint_is_shown_with_its_options() -> None:
    code, out = run("endpoints")
    assert code == 0
    assert "\nmllp, source\n" in out
    assert "\nmllp, destination\n" in out
    assert "max_size: a size; without it 100MB" in out
    assert "idle: a duration; without it 10m" in out
    assert "tls.names: a list" in out
    shown = json.loads(run("endpoints", "http", "--json")[1])
    assert [(one["kind"], one["side"]) for one in shown] == [("http", "source"), ("http", "destination")]
    options = {one["name"]: (one["type"], one["default"]) for one in shown[0]["options"]}
    assert (options["path"], options["callers"]) == (("text", None), ("a list", ""))


def test_the_file_of_callers_is_shown_with_its_keys() -> None:
    code, out = run("callers")
    assert code == 0
    assert "callers.NAME.keys[].hmac-sm3: text" in out
    assert "window: a duration; without it 5m" in out
    (shown,) = json.loads(run("callers", "--json")[1])
    assert {"callers.NAME.token.issuer", "callers.NAME.rate"} <= {one["name"] for one in shown["options"]}


def test_every_format_is_shown_with_its_options() -> None:
    code, out = run("formats")
    assert code == 0
    for name in ("hl7v2", "json", "fhir", "xml", "delimited", "fixed", "form"):
        assert f"\n{name}, format\n" in out
    shown = json.loads(run("formats", "delimited", "--json")[1])
    options = {one["name"]: (one["type"], one["default"]) for one in shown[0]["options"]}
    assert options["separator"] == ("text", ",")
    assert options["message"] == ("file | row", "file")
    assert options["columns"] == ("a list", "")
    assert "did you mean delimited?" in run("formats", "delimted")[1]


def test_an_unknown_kind_gets_the_nearest_name() -> None:
    code, out = run("endpoints", "mlpp")
    assert code == 1
    assert "did you mean mllp?" in out


def test_a_code_says_what_it_means_and_what_to_do() -> None:
    code, out = run("errors", "C010")
    assert code == 0
    assert "JL-C010  an unknown key" in out
    assert "do: take the name in the hint" in out
    assert run("errors", "JL-C010")[1] == run("errors", "c010")[1] == out


def test_codes_are_shown_by_family_and_as_json() -> None:
    out = run("errors")[1]
    assert out.index("Configuration") < out.index("JL-C001") < out.index("Messages") < out.index("JL-M001")
    (found,) = json.loads(run("errors", "JL-M003", "--json")[1])
    assert found["family"] == "Messages"
    assert "MSH|^~\\&|" in found["do"]
    assert run("errors", "JL-X999")[0] == 1


def test_code_tables_are_listed_with_size_columns_and_source() -> None:
    code, out = run("tables")
    assert code == 0
    lines = out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("blood-rh "))
    assert lines[at].split()[1:] == ["4", "name;", "Rh血型代码", "/", "Rh(D)"]
    assert "WS 364-2011, CV04.50.020" in lines[at + 1]
    assert lines[-1].endswith(" tables")


def test_one_code_table_is_shown_with_its_rows_doubts_and_tests() -> None:
    code, out = run("tables", "patient-type")
    assert code == 0
    assert out.startswith("patient-type: 患者类型代码 / patient class in V3 messages and CDA\n  source: ")
    assert "  oid: 2.16.156.10011.2.3.1.271\n" in out
    assert "  doubt: messages carry it as 1 and as 01\n" in out
    assert "\n  code  name  fhir  hl7v2\n  1     门诊  AMB   O\n" in out
    assert "\n  9     其他\n" in out
    assert "  test: 3 -> 住院\n" in out
    assert out.endswith("7 codes, 7 tests\n")


def test_a_word_finds_the_code_tables_that_say_it() -> None:
    assert "\nCV02.10.002 " in "\n" + run("tables", "剖宫产")[1]
    assert run("tables", "hip-s")[1].startswith("hip-service: ")
    code, out = run("tables", "gendre")
    assert (code, "did you mean gender?" in out) == (1, True)


def test_tools_get_code_tables_as_json() -> None:
    (found,) = json.loads(run("tables", "gender", "--json")[1])
    assert found["columns"] == ["fhir", "hl7v2", "gb", "name"]
    assert found["rows"]["gb"]["F"] == "2"
    several = json.loads(run("tables", "blood", "--json")[1])
    assert [one["name"] for one in several] == ["blood-abo", "blood-rh"]
    assert "rows" not in several[0]


def test_the_code_tables_of_a_site_are_shown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_site", tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "gender.csv").write_text("# error: true\ncode,lis\nM,1\n", encoding="utf-8")
    said = run("tables", "gender")[1]
    assert "  a code that it does not hold: the message is refused\n  tables/gender.csv\n" in said
