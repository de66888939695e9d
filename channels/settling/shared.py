"""`with: {map: insurance-2204}`: what is sent stands in a map of its own, shared by several pipelines.

It is put into the pipeline when that is read: a settlement goes on by the map that it began with, whatever the map's
file says later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.text import At
from transforms.library import Library

_PARTS = ("from", "to", "make", "let", "namespaces")  # of a map, that what it makes depends on


def with_maps(data: Any, library: Library, problems: list[Problem]) -> Any:
    """The same with each map that a step names put beside its name."""
    if not isinstance(data, Mapping) or not isinstance(data.get("steps"), list):
        return data
    steps = [_step(one, library, problems, ("steps", number)) for number, one in enumerate(data["steps"])]
    return {**data, "steps": steps}


def _step(one: Any, library: Library, problems: list[Problem], at: At) -> Any:
    if not isinstance(one, Mapping):
        return one
    return {name: _filled(said, library, problems, (*at, name)) for name, said in one.items()}


def _filled(said: Any, library: Library, problems: list[Problem], at: At) -> Any:
    shape = said.get("with") if isinstance(said, Mapping) else None
    if not isinstance(shape, Mapping) or not is_map(shape) or "of" in shape:
        return said
    place: At = (*at, "with", "map")
    made = library.map(str(shape["map"]), problems, place)
    document = library.document(str(shape["map"]))
    if made is None or document is None:
        return said
    if (document.data.get("from"), document.data.get("to")) != ("json", "json"):
        text = f"the map {shape['map']} is not from json to json"
        problems.append(Problem(place, "JL-C219", text))
        return said
    parts = {key: document.data[key] for key in _PARTS if key in document.data}
    return {**said, "with": {"map": shape["map"], "of": parts}}


def is_map(shape: Any) -> bool:
    """Whether a step's `with` names a map."""
    return isinstance(shape, Mapping) and isinstance(shape.get("map"), str) and set(shape) <= {"map", "of"}
