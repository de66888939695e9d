"""`jingluo docs`, as an integrator types it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from router.commands.docs import app


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_without_a_topic_the_topics_are_listed() -> None:
    code, out = run()
    assert code == 0
    for topic in ("functions", "endpoints", "formats", "errors"):
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
