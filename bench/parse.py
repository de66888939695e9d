"""HL7 v2: decode the bytes and read fifteen fields, beside two libraries of others."""

from __future__ import annotations

from collections.abc import Callable

import hl7  # type: ignore[import-untyped]
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message

from bench.samples import MIXED, Sample
from bench.table import Table
from bench.timing import fastest
from config import registry

TARGET = 40.0  # times `hl7`

Spot = tuple[str, int, int, int, int]  # segment, which of them, field, repetition, component: all from 1


def run() -> list[Table]:
    table = Table(
        "HL7 v2: decode and fifteen reads, per second of one core",
        ["message", "bytes", "jingluo", "us", "hl7", "x", "target", "hl7apy", "x"],
    )
    for sample in MIXED:
        body = sample.body(b"B0000000000001")
        rates = fastest(
            {"jingluo": _ours(sample, body), "hl7": _hl7(sample, body), "hl7apy": _hl7apy(sample, body)}
        )
        ratio = rates["jingluo"] / rates["hl7"]
        table.add(
            sample.name,
            len(body),
            rates["jingluo"],
            1e6 / rates["jingluo"],
            rates["hl7"],
            ratio,
            table.target(f"parse {sample.name}, times hl7", ratio, TARGET),
            rates["hl7apy"],
            rates["jingluo"] / rates["hl7apy"],
        )
    table.notes.append(
        "hl7 is read by its index operators, its quickest way; hl7apy does not group segments or validate"
    )
    return [table]


def readings(sample: Sample) -> dict[str, list[str]]:
    """What each library reads: the test holds that all three read the same."""
    return {name: call() for name, call in _calls(sample, sample.body(b"B0000000000001")).items()}


def _calls(sample: Sample, body: bytes) -> dict[str, Callable[[], list[str]]]:
    return {"jingluo": _ours(sample, body), "hl7": _hl7(sample, body), "hl7apy": _hl7apy(sample, body)}


def _ours(sample: Sample, body: bytes) -> Callable[[], list[str]]:
    form = registry.formats.get("hl7v2")
    reads = [form.path(path).one for path in sample.paths]
    decode = form.decode

    def call() -> list[str]:
        tree = decode(body)
        return [read(tree) for read in reads]

    return call


def _hl7(sample: Sample, body: bytes) -> Callable[[], list[str]]:
    spots = [spot(path) for path in sample.paths]

    def call() -> list[str]:
        message = hl7.parse(body.decode())
        return [_hl7_read(message, *at) for at in spots]

    return call


def _hl7_read(message: hl7.Message, name: str, nth: int, field: int, rep: int, component: int) -> str:
    found = message.segments(name)[nth - 1](field)
    if isinstance(found, hl7.Container):
        found = found(rep)
        if isinstance(found, hl7.Container):
            found = found(component)
    return str(found)


def _hl7apy(sample: Sample, body: bytes) -> Callable[[], list[str]]:
    spots = [spot(path) for path in sample.paths]

    def call() -> list[str]:
        message = parse_message(body.decode(), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
        return [_hl7apy_read(message, *at) for at in spots]

    return call


def _hl7apy_read(message: Message, name: str, nth: int, field: int, rep: int, component: int) -> str:
    segment = getattr(message, name.lower())[nth - 1]
    found = getattr(segment, f"{name}_{field}".lower())[rep - 1]
    parts = found.children
    return str(parts[component - 1].value if len(parts) >= component else found.value)


def spot(path: str) -> Spot:
    """A path's numbers.

    >>> spot("OBX[3]-5"), spot("PID-3[2].1")
    (('OBX', 3, 5, 1, 1), ('PID', 1, 3, 2, 1))
    """
    segment, _, rest = path.partition("-")
    name, nth = _numbered(segment)
    field, _, component = rest.partition(".")
    number, rep = _numbered(field)
    return name, nth, int(number), rep, int(component or 1)


def _numbered(text: str) -> tuple[str, int]:
    name, _, index = text.rstrip("]").partition("[")
    return name, int(index or 1)
