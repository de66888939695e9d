"""The messages of the corpus to FHIR and back: see round_trip.py."""

from __future__ import annotations

import pytest

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
