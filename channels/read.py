"""A channel file's data to its `ChannelText`, past its mistakes, so that one check shows them all.

What is wrong is taken out, and what is then missing gets a stand-in; of a stand-in nothing more is said.
"""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from channels.model import ChannelText
from config.errors import Problem
from config.models import problems_of
from config.text import At

_STAND_INS: dict[str, Any] = {"channel": "unnamed", "from": {}, "format": "", "send": {}, "by": "", "as": ""}
_WHERE = "a destination that is a channel has it: `to: {name: {%s, send: {channel: ...}}}`"
_ELSEWHERE = {"split": _WHERE % "split: $.items[]", "collect": _WHERE % "collect: {count: 100}"}
_TURNS = 4  # a wrong destination, its missing `send`, and one more for the check


def channel_text(data: Any, problems: list[Problem]) -> tuple[ChannelText | None, frozenset[At]]:
    """The text, and the places of what is wrong or missing in it; None where the file is no mapping."""
    if not isinstance(data, dict):
        problems.append(Problem((), "JL-C012", "a channel file must be a mapping (key: value)"))
        return None, frozenset()
    sound = copy.deepcopy(data)
    for key, hint in _ELSEWHERE.items():
        if key in sound:
            problems.append(Problem((key,), "JL-C010", f"unknown key {key!r}", hint, on_key=True))
            del sound[key]
    absent: set[At] = set()
    for turn in range(_TURNS):
        try:
            return ChannelText.model_validate(sound), frozenset(absent)
        except ValidationError as error:
            if turn == 0:
                problems += problems_of(error, ChannelText)
            for detail in error.errors(include_url=False):
                _mend(sound, detail["loc"], detail["type"])
                absent.add(detail["loc"])
    return None, frozenset(absent)


def _mend(data: dict[Any, Any], at: At, kind: str) -> None:
    """Takes what is wrong out of `data`; what a channel cannot be without is stood in for."""
    at = at[:-1] if at[-1] == "[key]" else at
    spot: Any = data
    for key in at[:-1]:
        spot = spot.get(key) if isinstance(spot, dict) else None
    if not isinstance(spot, dict):
        return
    last = at[-1]
    if kind == "invalid_key":
        for key in [key for key in spot if str(key) == str(last)]:
            del spot[key]
    elif kind != "extra_forbidden" and last in _STAND_INS:
        spot[last] = copy.copy(_STAND_INS[str(last)])
    elif kind != "extra_forbidden" and at[:-1] == ("to",) and isinstance(last, str):
        spot[last] = {}  # a destination by this name is there, so that `reply` may name it
    else:
        spot.pop(last, None)


def replaced(data: Any, at: At, value: Any) -> Any:
    """A copy of `data` with another value at a place; None where `data` has no such place."""
    made = copy.deepcopy(data)
    spot = made
    for key in at[:-1]:
        try:
            spot = spot[key]
        except (KeyError, IndexError, TypeError):
            return None
    spot[at[-1]] = value
    return made
