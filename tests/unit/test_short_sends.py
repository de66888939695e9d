"""`send: system.operation`: a system and what is asked of it in one word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from channels import report
from channels.loader import Site, load_site
from channels.model import Branch
from channels.schema import schema_of
from config.canonical import canonical
from config.settings import load_settings

CHANNEL = """\
channel: patients
from: {fhir: {accepts: {Patient: create}}}
format: fhir
to:
  emr: {send: SEND}
"""
SYSTEMS = 'systems:\n  emr.ward-2: {kind: fhir, url: "http://emr.example/fhir"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "systems.yaml").write_text(SYSTEMS)
    return tmp_path


def load(folder: Path, send: str) -> Site:
    (folder / "channels" / "patients.yaml").write_text(CHANNEL.replace("SEND", send))
    return load_site(load_settings(folder, {}), {})


def branch(folder: Path, send: str) -> Branch:
    site = load(folder, send)
    assert site.findings == ()
    return site.channels[0].branches[0]


def test_it_is_short_for_the_system_with_the_option_that_its_kind_calls_an_operation(folder: Path) -> None:
    short = branch(folder, "emr.ward-2.create")
    long = branch(folder, "{system: emr.ward-2, interaction: create}")
    assert (short.kind, short.options) == (long.kind, long.options)
    assert short.options.interaction == "create"


def test_it_says_it_in_place_of_what_the_systems_entry_says(folder: Path) -> None:
    (folder / "systems.yaml").write_text(SYSTEMS.replace("fhir, ", "fhir, interaction: update, "))
    assert branch(folder, "emr.ward-2.create").options.interaction == "create"
    assert branch(folder, "{system: emr.ward-2}").options.interaction == "update"


def test_a_change_of_the_system_changes_the_channels_digest(folder: Path) -> None:
    before = load(folder, "emr.ward-2.create").channels[0].digest
    (folder / "systems.yaml").write_text(SYSTEMS.replace("emr.example", "emr2.example"))
    assert load(folder, "emr.ward-2.create").channels[0].digest != before


@pytest.mark.parametrize(
    ("send", "code", "said"),
    [
        ("emr.ward-2.creat", "JL-C014", "did you mean 'create'?"),
        ("emr.ward-3.create", "JL-C018", "did you mean 'emr.ward-2'?"),
        ("emr", "JL-C012", "names no operation; `emr.operation`, or `{system: emr}`"),
        (".create", "JL-C012", "names no operation"),
        ("[emr]", "JL-C012", "send must be a mapping"),
    ],
)
def test_a_slip_is_shown_where_it_stands_with_what_was_meant(
    folder: Path, send: str, code: str, said: str
) -> None:
    site = load(folder, send)
    found = next(finding for finding in site.findings if finding.code == code)
    assert (found.file, found.line, found.column) == ("channels/patients.yaml", 5, 15)
    assert said in report.as_text([found])
    assert site.channels == ()


def test_a_kind_without_operations_says_so(folder: Path) -> None:
    (folder / "systems.yaml").write_text(
        "systems:\n  emr.ward-2: {kind: mllp, host: emr.example, port: 2575}\n"
    )
    found = [finding.message for finding in load(folder, "emr.ward-2.create").findings]
    assert "the kind 'mllp' has no operations: 'create' cannot be asked of it" in found


@pytest.mark.parametrize(
    ("send", "good"), [("insurance.2207", True), ("insurance", False), ("insurance.", False)]
)
def test_an_editor_knows_it(send: str, good: bool) -> None:
    data: dict[str, Any] = {"channel": "a", "from": {"channel": {}}, "format": "json"}
    data["to"] = {"one": {"send": send}}
    assert jsonschema_rs.Draft202012Validator(schema_of("channel")).is_valid(data) is good


def test_the_canonical_form_leaves_it_as_it_is() -> None:
    text = "to:\n  insurance: {send: insurance.2207}\n"
    assert canonical(text, {}) == text
