"""Fifteen plain fields of an admission as one object: by a map, by hand in Python, by JMESPath. All make the same.

Once from bytes to bytes over the parser, and once from the parsed message as JSON, which is what JMESPath can read:
segment, field, repetition, component, each by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jmespath

from bench.parse import spot
from bench.samples import ADT
from config import registry
from config.errors import Problem
from transforms.library import Library
from transforms.mapping import Map, compile_map

BODY = ADT.body(b"B0000000000001")
Calls = Mapping[str, Callable[[], Any]]


def of_bytes() -> Calls:
    """HL7 v2 to JSON, as bytes."""
    form, encode = registry.formats.get("hl7v2"), registry.formats.get("json").encode
    decode = form.decode
    made = _map("hl7v2", ADT.paths)
    reads = [(f"f{n}", form.path(path).one) for n, path in enumerate(ADT.paths)]

    def by_hand() -> bytes:
        """What a programmer would write over the same parser: each field by its path, the empty ones left out."""
        tree = decode(BODY)
        fields = {}
        for name, read in reads:
            value = read(tree)
            if value:
                fields[name] = value
        return encode(fields)

    return _alike({"by hand": by_hand, "map": lambda: made.run(decode(BODY))})


def of_tree() -> Calls:
    """The parsed message as JSON to an object; neither reading nor writing counts."""
    tree = parsed(BODY.decode())
    spots = [spot(path) for path in ADT.paths]
    paths = [f"{segment}[{field}][{rep - 1}][{part - 1}]" for segment, _, field, rep, part in spots]
    steps = [(f"f{n}", at[0], at[2], at[3] - 1, at[4] - 1) for n, at in enumerate(spots)]
    made = _map("json", [f".{path}" for path in paths])
    whole = jmespath.compile("{" + ", ".join(f"f{n}: {path}" for n, path in enumerate(paths)) + "}")

    def by_hand() -> dict[str, str]:
        """A message may lack any of it, and what is empty is left out: as the map has it."""
        fields = {}
        for name, segment, field, rep, part in steps:
            try:
                value = tree[segment][field][rep][part]
            except (KeyError, IndexError):
                continue
            if value:
                fields[name] = value
        return fields

    return _alike(
        {"by hand": by_hand, "map": lambda: made.tree(tree), "jmespath": lambda: whole.search(tree)}
    )


def parsed(text: str) -> dict[str, list[list[list[str]]]]:
    """The first segment of each name, by field, repetition and component. MSH-1 is a field of its own."""
    tree: dict[str, list[list[list[str]]]] = {}
    for line in text.strip("\r").split("\r"):
        name, *fields = line.split("|")
        first = ["|"] if name == "MSH" else []
        rows = [[part.split("^") for part in field.split("~")] for field in [name, *first, *fields]]
        tree.setdefault(name, rows)
    return tree


def _map(source: str, paths: list[str]) -> Map:
    make = {f"f{number}": f"${path}" for number, path in enumerate(paths)}
    problems: list[Problem] = []
    made = compile_map(
        {"map": "fifteen", "from": source, "to": "json", "make": make}, Library([], []), problems
    )
    if made is None:
        raise RuntimeError(f"the map of fifteen fields does not compile: {problems}")
    return made


def _alike(calls: Calls) -> Calls:
    made = [call() for call in calls.values()]
    if any(one != made[0] for one in made):
        raise RuntimeError(f"the fifteen fields differ: {', '.join(calls)}")
    return calls
