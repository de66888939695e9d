"""Findings as SARIF 2.1.0: what the standard asks of a log, a rule and a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from channels.sarif import as_sarif
from config.codes import codes
from config.errors import Finding
from router import cli

FINDINGS = [
    Finding("channels/第一.yaml", 4, 9, "JL-C017", "no format is called 'hl7v3'", "did you mean 'hl7v2'?"),
    Finding("/etc/site/jingluo.yaml", 1, 1, "JL-C069", "open", "", "warning"),
]


def test_a_result_has_its_rule_level_text_and_region() -> None:
    log = json.loads(as_sarif(FINDINGS))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert [rules[result["ruleIndex"]]["id"] for result in results] == ["JL-C017", "JL-C069"]
    assert [result["level"] for result in results] == ["error", "warning"]
    assert results[0]["message"] == {"text": "no format is called 'hl7v3'; did you mean 'hl7v2'?"}
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 4, "startColumn": 9}
    assert place["artifactLocation"] == {"uri": "channels/%E7%AC%AC%E4%B8%80.yaml", "uriBaseId": "%SITE%"}
    absolute = results[1]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert absolute == {"uri": "file:///etc/site/jingluo.yaml"}


def test_every_code_is_a_rule_with_help() -> None:
    rules = json.loads(as_sarif([]))["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [code for code in codes() if code.startswith("JL-C")]
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "a.yaml").write_text("channel: a\nfrom: {mllp: {}}\nformat: hl7v2\nto: {}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("form", "begins"), [("text", "channels/a.yaml:"), ("json", "["), ("sarif", "{"), ("xml", "")]
)
def test_the_command_prints_the_form_that_is_asked_for(site: Path, form: str, begins: str) -> None:
    done = CliRunner().invoke(cli.app, ["--site", str(site), "check", "--format", form])
    assert done.exit_code == (1 if begins else 2)
    assert done.stdout.startswith(begins)
