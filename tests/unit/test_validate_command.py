"""`jingluo validate`: what people see, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli import app

pytest.importorskip("hl7apy")

GOOD = (
    "MSH|^~\\&|HIS|WARD|LIS|LAB|20260105080000||ADT^A01^ADT_A01|1|P|2.5\r"
    "EVN||20260105080000\rPID|1||P1||Ceshi^Jia\rPV1|1|I\r"
)


def run(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--site", str(folder), "validate", *words])
    return done.exit_code, done.output


def test_faults_are_shown_by_file_place_and_code(tmp_path: Path) -> None:
    good, bad, several = (tmp_path / name for name in ("good.hl7", "bad.hl7", "batch.hl7"))
    wrong = GOOD.replace("PV1|1|I\r", "")
    good.write_text(GOOD)
    bad.write_text(wrong)
    several.write_text(f"FHS|^~\\&\r{GOOD}{wrong}FTS|2\r")
    assert run(tmp_path, str(good), "--as", "hl7v2/2.5") == (0, "valid 合格\n")
    code, said = run(tmp_path, str(good), str(bad), str(several), "--as", "hl7v2")
    assert code == 1
    assert said.splitlines() == [
        f"{bad}: PV1: JL-V001: is missing after PID",
        f"{several}#2: PV1: JL-V001: is missing after PID",
        "2 faults",
    ]


def test_a_schema_is_named_or_given_and_faults_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text('{"required": ["id"]}')
    order = tmp_path / "a.json"
    order.write_text("{}")
    for name in ("order.json", str(tmp_path / "schemas" / "order.json")):
        code, said = run(tmp_path, str(order), "--as", name, "--json")
        assert code == 1
        assert json.loads(said) == [
            {"file": str(order), "path": "/id", "text": "is missing", "code": "JL-V001"}
        ]


def test_what_cannot_be_read_and_what_nothing_is_validated_by(tmp_path: Path) -> None:
    file = tmp_path / "a.hl7"
    file.write_text("no message")
    assert run(tmp_path, str(file), "--as", "hl7v2/2.5") == (
        1,
        f"{file}: line 1: JL-M002: an HL7 v2 message begins with MSH\n1 faults\n",
    )
    code, said = run(tmp_path, str(file), "--as", "hl7v2/9")
    assert (code, "JL-C070" in said) == (2, True)
