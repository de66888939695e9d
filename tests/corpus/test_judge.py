"""The shipped maps beside what two other converters make of the same messages: see judge.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from config.errors import BadMessage
from schemas.fhir import validate
from tests.bundles import references
from tests.corpus import judge

pytestmark = [
    pytest.mark.skipif(not judge.PAIRS.is_dir(), reason="the shared corpus is not beside the repository"),
    pytest.mark.timeout(120),
]
LOOKER = judge.Judge()
LEAST = {  # parts of a hundred of the resources expected: made, or left out on purpose
    "ADT": 98,
    "DFT": 94,
    "MDM": 95,
    "OML": 91,
    "ORM": 96,
    "ORU": 95,
    "SIU": 100,
    "VXU": 99,
}
MADE = 90  # of a hundred, without what is left out
AGREE = 87


def test_what_is_expected_of_each_message_type_is_mostly_made() -> None:
    found: dict[str, judge.Score] = {}
    scores = judge.scores(LOOKER, only=judge.ASKED)
    for kind, score in scores.items():
        found.setdefault(kind.partition("^")[0], judge.Score()).add(score)
    shares = {kind: 100 * (part.of_type + part.left_out) / part.resources for kind, part in found.items()}
    assert {kind: share for kind, share in shares.items() if share < LEAST.get(kind, 0)} == {}
    total = judge.total(scores)
    assert 100 * total.of_type / total.resources >= MADE
    assert 100 * total.made / total.resources >= AGREE


def test_every_bundle_is_valid_for_the_schema_and_for_the_models_and_holds_what_it_refers_to() -> None:
    faults: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, body, _ in judge.pairs():
        made_by = LOOKER.map(judge.message_type(body))
        if made_by is None:
            continue
        try:
            bundle = LOOKER.bundle(judge.complete(body), made_by)
        except BadMessage as error:
            refused[name] = error.code
            continue
        urls = [entry["fullUrl"] for entry in bundle["entry"]]
        lost = {url for url in references(bundle) if url not in urls}
        twice = {url for url in urls if urls.count(url) > 1}
        if validate(bundle) or lost or twice:
            faults[name] = (validate(bundle)[:5], sorted(lost)[:3], sorted(twice)[:3])
        else:
            Bundle.model_validate(bundle)
    assert faults == {}
    assert refused == {}


def test_a_judge_that_is_shown_what_is_expected_is_content_and_one_that_is_shown_nothing_is_not() -> None:
    for _, _, expected in list(judge.pairs())[:3]:
        same, none = judge.compare(expected, expected), judge.compare(expected, {})
        assert same.made == same.resources == none.resources > 0
        assert same.agreed == same.facts
        assert none.of_type == none.made == none.agreed == 0
        assert not re.search("Provenance", str(none.missing))


def test_what_is_named_by_its_number_alone_leads_to_its_type_and_is_no_resource_that_ours_lacks() -> None:
    subject = {"reference": "Patient/1"}
    patient = {"resourceType": "Patient", "id": "1", "gender": "male"}
    whole = {"resourceType": "Procedure", "id": "2", "status": "unknown", "identifier": [{"value": "P2"}]}
    part = {"resourceType": "Procedure", "id": "3", "status": "completed", "subject": subject}

    def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
        return {"entry": [{"resource": resource} for resource in resources]}

    expected = bundle(patient, whole, part | {"partOf": [{"reference": "Procedure/2"}]})
    number = {"type": "Procedure", "identifier": {"value": "P2"}}
    score = judge.compare(expected, bundle(patient, part | {"partOf": [number]}))
    assert (score.made, score.left_out, score.missing) == (2, 1, {})
    score = judge.compare(
        expected, bundle(patient, part | {"partOf": [number | {"identifier": {"value": "P9"}}]})
    )
    assert score.left_out == 0
    assert score.missing["Procedure"] == 1
