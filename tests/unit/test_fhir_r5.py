"""FHIR R5 beside R4: each has its own types and elements, and a map leads from one to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import Problem
from schemas.choice import choose
from schemas.fhir import Fhir, FhirText, validate
from transforms.library import Library
from transforms.mapping import compile_map

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
R5 = Fhir(FhirText(version="R5"))
# R5 made `class` a list of concepts and called `period` `actualPeriod`.
OLD: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "in-progress",
    "class": {"code": "IMP"},
    "period": {"start": "2026-01-05T08:00:00+08:00"},
}
NEW: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "in-progress",
    "class": [{"coding": [{"code": "IMP"}]}],
    "actualPeriod": {"start": "2026-01-05T08:00:00+08:00"},
}
MAP = {
    "from": "fhir",
    "to": {"fhir": {"version": "R5"}},
    "make": {
        "resourceType": "Encounter",
        "status": "$.status",
        "class": [{"coding": [{"code": "$.class.code"}]}],
        "actualPeriod": {"start": "$.period.start"},
    },
}


def test_each_version_knows_its_own_elements() -> None:
    assert (validate(OLD), R5.validate(NEW)) == ([], [])
    assert [fault.path for fault in validate(NEW)] != []
    assert {fault.path for fault in R5.validate(OLD)} >= {"", "/class"}


def test_each_version_knows_its_own_resources() -> None:
    transport = {"resourceType": "Transport", "intent": "order"} | {
        key: {"display": "3W"} for key in ("currentLocation", "requestedLocation")
    }
    assert R5.validate(transport) == []
    assert [fault.path for fault in validate(transport)] == ["/resourceType"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OLD}]}
    assert {fault.path for fault in R5.validate(bundle)} >= {"/entry/0/resource/class"}


def test_a_map_leads_from_one_to_the_other() -> None:
    problems: list[Problem] = []
    mapped = compile_map(MAP, Library([], []), problems)
    assert mapped is not None, problems
    assert mapped.tree(OLD) == NEW
    assert mapped.target.validate(R5.decode(mapped.run(OLD))) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spec", "code"), [({"fhir": {"version": "R3"}}, "JL-C014"), ({"fhir": {"v": 1}}, "JL-C010")]
)
def test_a_version_that_there_is_not_is_refused(spec: Any, code: str) -> None:
    problems: list[Problem] = []
    assert choose(spec, problems, ("format",)) is None
    assert [(problem.code, problem.at[0]) for problem in problems] == [(code, "format")]


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the repository")
def test_official_examples_of_what_hospitals_exchange_have_no_faults() -> None:
    """Some types for time's sake; of all 299 examples none has a fault."""
    kinds = ("Patient", "Encounter", "Observation", "DiagnosticReport", "ServiceRequest", "Task")
    files = [file for kind in kinds for file in sorted((CORPUS / "fhir" / "r5" / kind).glob("*.json"))]
    faults = {file.stem: found for file in files if (found := R5.validate(R5.decode(file.read_bytes())))}
    assert len(files) >= 20
    assert faults == {}
