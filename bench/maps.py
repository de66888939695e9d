"""Maps: the shipped admission and results to FHIR, and fifteen plain fields by a map beside Python written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.samples import ADT, ORU
from bench.table import Table
from bench.timing import fastest
from config import registry
from config.errors import Problem
from config.settings import ROOT
from transforms.library import Library
from transforms.mapping import Map, compile_map

TARGETS_PER_S = {"adt-to-fhir": 8000.0, "oru-to-fhir": 700.0}
TARGET_OF_HAND = 0.5

_COLUMNS = ["what", "per second", "us", "ratio", "target"]


def run() -> list[Table]:
    return [_shipped(), _fifteen()]


def shipped_map(name: str, body: bytes) -> Callable[[], bytes]:
    """Bytes of a message to bytes of a transaction bundle: decode, map, encode."""
    problems: list[Problem] = []
    shipped = _library().map(name, problems, ())
    if shipped is None:
        raise RuntimeError(f"the map {name} does not compile: {problems}")
    decode, run = registry.formats.get("hl7v2").decode, shipped.run
    return lambda: run(decode(body))


def thirty_results() -> bytes:
    """The sample's results, and three more."""
    body = ORU.body(b"B0000000000001")
    last = body[body.index(b"OBX|27") :].partition(b"\r")[0] + b"\r"
    more = [last.replace(b"OBX|27|NM|", b"OBX|%d|NM|X%d-" % (number, number)) for number in (28, 29, 30)]
    return body.replace(last, last + b"".join(more))


def fifteen_fields() -> dict[str, Callable[[], bytes]]:
    """Fifteen fields of the ADT to one JSON object, bytes to bytes: by a map, by hand."""
    form, encode = registry.formats.get("hl7v2"), registry.formats.get("json").encode
    body, decode = ADT.body(b"B0000000000001"), form.decode
    spec = {
        "map": "fifteen",
        "from": "hl7v2",
        "to": "json",
        "make": {f"f{n}": f"${p}" for n, p in enumerate(ADT.paths)},
    }
    problems: list[Problem] = []
    made = compile_map(spec, _library(), problems)
    if made is None:
        raise RuntimeError(f"the map of fifteen fields does not compile: {problems}")
    return {"map": _by_map(made, body, decode), "hand": _by_hand(form, body, decode, encode)}


def _by_map(made: Map, body: bytes, decode: Callable[[bytes], object]) -> Callable[[], bytes]:
    return lambda: made.run(decode(body))


def _by_hand(
    form: object, body: bytes, decode: Callable[[bytes], object], encode: Callable[[object], bytes]
) -> Callable[[], bytes]:
    """What a programmer would write over the same parser: each field by its path, the empty ones left out."""
    reads = [(f"f{n}", form.path(path).one) for n, path in enumerate(ADT.paths)]  # type: ignore[attr-defined]

    def call() -> bytes:
        tree = decode(body)
        made = {}
        for name, read in reads:
            value = read(tree)
            if value:
                made[name] = value
        return encode(made)

    return call


def _shipped() -> Table:
    table = Table("Shipped maps: decode, map, encode, per second of one core", _COLUMNS)
    calls = {
        "adt-to-fhir": shipped_map("adt-to-fhir", ADT.body(b"B0000000000001")),
        "oru-to-fhir": shipped_map("oru-to-fhir", thirty_results()),
    }
    rates = fastest(calls)
    for name, call in calls.items():
        size = f"{len(json.loads(call())['entry'])} entries, {len(call()):,} bytes"
        table.add(
            f"{name} ({size})",
            rates[name],
            1e6 / rates[name],
            None,
            table.target(f"{name}, bundles/s", rates[name], TARGETS_PER_S[name]),
        )
    return table


def _fifteen() -> Table:
    table = Table("Fifteen plain fields of a 1 KB ADT to JSON, per second of one core", _COLUMNS)
    rates = fastest(fifteen_fields())
    ratio = rates["map"] / rates["hand"]
    table.add("written by hand in Python", rates["hand"], 1e6 / rates["hand"], 1.0, None)
    table.add(
        "as a map",
        rates["map"],
        1e6 / rates["map"],
        ratio,
        table.target("map beside Python by hand", ratio, TARGET_OF_HAND),
    )
    return table


def _library() -> Library:
    return Library([ROOT / "transforms" / "maps"], [ROOT / "schemas" / "tables"])
