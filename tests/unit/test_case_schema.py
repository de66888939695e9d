"""What an editor says of a channel's tests: nothing of those that are right, and most of what `check` would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from channels.case_schema import TESTS
from channels.model import ChannelText
from config.settings import ROOT
from config.text import read

VALIDATOR = jsonschema_rs.validator_for(TESTS)


@pytest.mark.parametrize("path", sorted((ROOT / "channels").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_tests_of_a_shipped_channel_are_right_to_an_editor(path: Path) -> None:
    tests = read(path).data["tests"]
    assert [error.message for error in VALIDATOR.iter_errors(tests)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"expcet": {}},
        {"given": None, "expect": {}},
        {"expect": {"lis": "snet"}},
        {"expect": {"lis": {"state": "retry"}}},
        {"expect": {"lis": {"PID-3": "x"}}},
        {"expect": {"journal": {"state": "sent"}}},
        {"while": {"lis": []}},
        {"while": {"lis": {"answr": "AE"}}},
        {"while": {"clock": {"passes": "25"}}},
        {"while": {"tables": {"gender": "M"}}},
    ],
)
def test_a_mistake_is_underlined(change: dict[str, Any]) -> None:
    good = {"given": "MSH|...", "expect": {"lis": "sent"}}
    assert VALIDATOR.is_valid([good])
    assert not VALIDATOR.is_valid([good | change])


def test_the_schema_of_a_channel_has_it() -> None:
    assert ChannelText.model_json_schema()["properties"]["tests"]["items"] == TESTS["items"]
