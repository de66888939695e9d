"""The numbers that a path of HL7 v2 comes to."""

from __future__ import annotations

from typing import NamedTuple

from schemas.hl7.nodes import HEADERS


class Where(NamedTuple):
    """A path's numbers, from 1; 0 is all of them, None is not said."""

    name: str
    nth: int | None
    field: int | None
    rep: int | None
    comp: int | None
    sub: int | None
    following: bool  # `>OBX`: those that follow the segment at hand
    before: bool = False  # `<ORC`: the nearest before it


def index_of(name: str, field: int) -> int:
    """The place of a field among what the separators part."""
    return field - 1 if name in HEADERS else field
