"""`jingluo test`, as an integrator and a build server call it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from proving_parts import GIVEN, MAP, site
from typer.testing import CliRunner

from router.cli import app

GOOD = f"  - name: good\n{GIVEN}    expect: {{lis: sent}}\n"
BAD = "  - name: bad\n    given: *adt\n    expect: {lis: {$PID-3.1: P0002}, emr: retrying}\n"
UNPLAYABLE = "  - name: none\n    given: *adt\n    expect: {lsi: sent}\n"


def run(folder: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["--site", str(folder), "test", *words])
    return result.exit_code, result.output


def test_all_that_hold_are_a_line_and_exit_code_0(tmp_path: Path) -> None:
    code, out = run(site(tmp_path, GOOD))
    assert code == 0
    assert out.startswith("adt: 1 test, ok\n1 test, 0 failed, ")


def test_what_fails_is_shown_with_its_place_and_exit_code_1(tmp_path: Path) -> None:
    folder = site(tmp_path, GOOD + BAD)
    line = (folder / "channels" / "adt.yaml").read_text().splitlines().index("  - name: bad") + 1
    code, out = run(folder)
    assert code == 1
    assert out.splitlines()[:4] == [
        "adt: 2 tests, 1 failed",
        f"  channels/adt.yaml:{line}: bad",
        "    emr: expected 'retrying', got 'sent'",
        "    lis: $PID-3.1: expected 'P0002', got 'P0001'",
    ]


def test_mistakes_are_findings_and_exit_code_2_while_the_other_tests_are_played(tmp_path: Path) -> None:
    code, out = run(site(tmp_path, GOOD + UNPLAYABLE))
    assert code == 2
    assert "JL-C081: no destination is called 'lsi'; did you mean 'lis'?" in out
    assert "adt: 2 tests, 1 failed" in out


def test_a_name_that_nothing_has_is_exit_code_2(tmp_path: Path) -> None:
    folder = site(tmp_path, GOOD)
    assert run(folder, "adt: g*d")[0] == 0
    code, out = run(folder, "adt: god")
    assert (code, "no test was played" in out) == (2, True)


def test_a_build_server_reads_a_junit_file(tmp_path: Path) -> None:
    folder = site(
        tmp_path, GOOD + BAD, of_map=f"{MAP}tests:\n  - name: map\n{GIVEN}    expect: {{$.sex: male}}\n"
    )
    assert run(folder, "--junit", str(tmp_path / "out.xml"))[0] == 1
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert {suite.get("name"): suite.get("failures") for suite in root} == {"person": "0", "adt": "1"}
    bad = root.find("testsuite/testcase[@name='bad']")
    assert bad is not None
    failure = bad.find("failure")
    assert failure is not None
    assert failure.text == (
        "bad: emr: expected 'retrying', got 'sent'\nbad: lis: $PID-3.1: expected 'P0002', got 'P0001'"
    )


@pytest.mark.parametrize("path", ["no-such-folder/out.xml", "channels"])
def test_a_junit_file_that_cannot_be_written_is_said_and_is_exit_code_2(tmp_path: Path, path: str) -> None:
    code, out = run(site(tmp_path, GOOD), "--junit", str(tmp_path / path))
    assert (code, "cannot be written" in out) == (2, True)


def test_coverage_is_a_percentage_a_channel_and_a_map_with_what_is_missing(tmp_path: Path) -> None:
    folder = site(tmp_path, GOOD, of_map=MAP + "  died: $PID-29 | date\n")
    line = len((folder / "maps" / "person.yaml").read_text().splitlines())
    code, out = run(folder, "--coverage")
    assert code == 0
    assert "  adt: 60 % (3 of 5)\n" in out
    assert "no test has a message that is not for lis\n" in out
    assert f"  maps/person.yaml: 80 % (4 of 5)\n    nothing came of lines {line}\n" in out
    assert "without any test: person\n" in out
    assert run(folder, "--at-least", "80")[0] == 0
    code, out = run(folder, "--at-least", "81")
    assert (code, "80.0 % of all map lines are reached, wanted 81 %" in out) == (1, True)
