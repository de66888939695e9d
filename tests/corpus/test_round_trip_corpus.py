"""The messages of the corpus to FHIR and back: see round_trip.py."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from config.errors import BadMessage
from tests.corpus import round_trip

pytestmark = [
    pytest.mark.skipif(
        not round_trip.CORPUS.is_dir(), reason="the shared corpus is not beside the repository"
    ),
    pytest.mark.timeout(120),
]
LEAST = {"ADT": 0.96, "OML": 0.96, "ORM": 0.97, "ORU": 0.99}


def test_most_key_facts_of_a_message_come_back_and_what_comes_back_is_valid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = round_trip.counted()
    with capsys.disabled():
        print("\n" + round_trip.table(found))
    assert {kind: kept.share for kind, kept in found.items() if kept.share < LEAST[kind]} == {}
    assert {
        kind: kept.messages - kept.valid for kind, kept in found.items() if kept.valid < kept.messages
    } == {}
    assert sum(kept.messages for kept in found.values()) > 565


def test_no_entry_of_a_bundle_overwrites_another_and_each_says_what_is_to_be_done_with_it() -> None:
    faults: Counter[str] = Counter()
    for kind, body in round_trip.messages():
        try:
            bundle = json.loads(round_trip.shipped(round_trip.WAYS[kind][0]).run(round_trip.HL7.decode(body)))
        except BadMessage:
            continue
        entries = bundle["entry"]
        faults["without address or request"] += sum(not {"fullUrl", "request"} <= set(e) for e in entries)
        faults["address twice"] += len(entries) - len({entry["fullUrl"] for entry in entries})
    assert faults.total() == 0, faults
