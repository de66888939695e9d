"""Maps: the shipped admission and results to FHIR, checked too, and fifteen plain fields beside what others do."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.fields import BODY, of_bytes, of_tree
from bench.samples import ORU
from bench.table import Table
from bench.timing import fastest
from config import registry
from config.errors import Problem
from config.settings import ROOT
from schemas.fhir import validate
from schemas.validation.fhir import r4
from transforms.library import Library
from transforms.mapping import Map

TARGETS_PER_S = {"adt-to-fhir": 8000.0, "oru-to-fhir": 700.0}
TARGET_OF_HAND = 0.5
TARGET_OF_JMESPATH = 10.0

_COLUMNS = ["what", "per second", "us", "target"]


def run() -> list[Table]:
    return [*(_shipped(name, body) for name, body in samples().items()), _bytes(), _tree()]


def samples() -> dict[str, bytes]:
    """A message for each of the maps."""
    return {"adt-to-fhir": BODY, "oru-to-fhir": thirty_results()}


def thirty_results() -> bytes:
    """The sample's results, and three more."""
    body = ORU.body(b"B0000000000001")
    last = body[body.index(b"OBX|27") :].partition(b"\r")[0] + b"\r"
    more = [last.replace(b"OBX|27|NM|", b"OBX|%d|NM|X%d-" % (number, number)) for number in (28, 29, 30)]
    return body.replace(last, last + b"".join(more))


def shipped(name: str) -> Map:
    problems: list[Problem] = []
    found = Library([ROOT / "transforms" / "maps"], [ROOT / "schemas" / "tables"]).map(name, problems, ())
    if found is None:
        raise RuntimeError(f"the map {name} does not compile: {problems}")
    return found


def ways(name: str, body: bytes) -> dict[str, Callable[[], bytes]]:
    """Bytes of a message to bytes of a transaction bundle, and what checks it on the way."""
    made, decode = shipped(name), registry.formats.get("hl7v2").decode

    def checked_by(check: Callable[[object], list[object]]) -> Callable[[], bytes]:
        def call() -> bytes:
            tree = made.tree(decode(body))
            if faults := check(tree):
                raise RuntimeError(f"{name} makes what is not valid: {faults[0]}")
            return made.target.encode(tree)

        return call

    return {
        "decode, map, encode": lambda: made.run(decode(body)),
        "the same, valid by schema": checked_by(validate),  # type: ignore[arg-type]
        "the same, valid by schema and rules": checked_by(r4),  # type: ignore[arg-type]
    }


def _shipped(name: str, body: bytes) -> Table:
    calls = ways(name, body)
    bundle = next(iter(calls.values()))()
    size = f"{len(json.loads(bundle)['entry'])} entries, {len(bundle):,} bytes"
    table = Table(f"{name} ({size}), per second of one core", _COLUMNS)
    rates = fastest(calls)
    for way, rate in rates.items():
        goal = TARGETS_PER_S[name] if way.endswith("by schema") else None
        met = table.target(f"{name}, {way}, bundles/s", rate, goal) if goal else None
        table.add(way, rate, 1e6 / rate, met)
    return table


def _bytes() -> Table:
    table = Table(
        "Fifteen plain fields of a 1 KB ADT, HL7 v2 to JSON, bytes to bytes",
        [*_COLUMNS[:3], "ratio", "target"],
    )
    rates = fastest(of_bytes())
    ratio = rates["map"] / rates["by hand"]
    table.add("by hand in Python", rates["by hand"], 1e6 / rates["by hand"], 1.0, None)
    met = table.target("fifteen fields of bytes, map beside Python by hand", ratio, TARGET_OF_HAND)
    table.add("as a map", rates["map"], 1e6 / rates["map"], ratio, met)
    return table


def _tree() -> Table:
    table = Table("The same fifteen of the parsed message as JSON", [*_COLUMNS[:3], "ratio", "target"])
    rates = fastest(of_tree())
    of_hand, of_jmespath = rates["map"] / rates["by hand"], rates["map"] / rates["jmespath"]
    table.add("by hand in Python", rates["by hand"], 1e6 / rates["by hand"], 1.0, None)
    met = table.target("fifteen fields of JSON, map beside Python by hand", of_hand, TARGET_OF_HAND)
    table.add("as a map", rates["map"], 1e6 / rates["map"], of_hand, met)
    met = table.target("fifteen fields of JSON, map in times of JMESPath", of_jmespath, TARGET_OF_JMESPATH)
    table.add("as one JMESPath expression", rates["jmespath"], 1e6 / rates["jmespath"], of_jmespath, met)
    return table
