"""HL7 v2 to FHIR and back by the shipped maps: which of a message's key facts are still there.

    .venv/bin/python -m tests.corpus.round_trip [--lost]

Reads every ADT, ORM, OML and ORU of the corpus beside the repository and prints by message type how many of the key
facts of the messages those have that were made of the bundles; `--lost` names what was lost, how often.

A key fact is what a field says: a name, a number, a date, a code, a value, a status. How it is spelled does not count:
dates are compared to the minute and without the zone that the maps add, codes by what the maps there take them for (`1`
and `M` are male), names as a whole (欧阳小明 in one component or two), the status of an order by ORC-5 and ORC-1
together, and PID-2, PID-4 as PID-3. What the maps back have no place for (observations of an ADT) is not asked for.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from config import registry
from config.errors import BadMessage, Problem
from config.settings import ROOT
from schemas.hl7v2 import split_batch
from schemas.message import Message
from schemas.validation.hl7 import Hl7Validator
from tests.corpus.judge import complete
from transforms.library import SHIPPED_MAPS, Library
from transforms.mapping import Map

CORPUS = ROOT.parent / "shared" / "corpus"
WAYS = {  # by message type: there and back
    "ADT": ("adt-to-fhir-full", "encounter-to-adt"),
    "ORM": ("order-to-fhir", "request-to-oml"),
    "OML": ("order-to-fhir", "request-to-oml"),
    "ORU": ("oru-to-fhir", "report-to-oru"),
}
ASKED = re.compile(r"ADT\^A(0[1-8]|1[123])|ORU\^R01|ORM\^O01|OML\^O21")
HL7 = registry.formats.get("hl7v2")
FHIR = registry.formats.get("fhir")
LIBRARY = Library([SHIPPED_MAPS], [ROOT / "schemas" / "tables"])
_ORDER = ("PID", "NK1", "PV1", "AL1", "DG1", "IN1", "ORC", "OBR", "OBX", "SPM")
SEGMENTS = {
    "ADT": ("PID", "NK1", "PV1", "AL1", "DG1", "IN1"),
    "ORM": _ORDER,
    "OML": _ORDER,
    "ORU": ("PID", "NK1", "PV1", "ORC", "OBR", "OBX", "SPM"),
}
# Fields by the kind of what they say: one of READERS, or a table of the maps there.
FIELDS = {
    "number": (
        "PID-2 PID-3 PID-4 PID-19 PV1-7 PV1-8 PV1-17 PV1-19 IN1-36 ORC-2 ORC-3 ORC-4 ORC-12 OBR-2 OBR-3 OBR-16"
    ),
    "name": "PID-5 PID-9 NK1-2",
    "date": "PID-7 PID-29 PV1-44 PV1-45 IN1-12 IN1-13 DG1-5 OBR-7 OBR-22 OBX-14 SPM-17 SPM-18",
    "contact": "PID-13 PID-14 NK1-5",
    "code": "AL1-3 DG1-3 IN1-2 OBR-4 OBR-31 OBX-3 OBX-6 SPM-4",
    "text": "PID-11.3 PID-11.5 PV1-3.1 PV1-3.2 PV1-3.3 PV1-10 PV1-14 PV1-36 AL1-5 OBR-24 OBX-7 OBX-8 SPM-2.1 SPM-2.2",
    "value": "OBX-5",
    "gender": "PID-8",
    "marital-status": "PID-16",
    "ethnic-group": "PID-22",
    "relationship": "NK1-3",
    "encounter-class": "PV1-2",
    "report-status": "OBR-25",
    "observation-status": "OBX-11",
}
SAME = {"PID-2": "PID-3", "PID-4": "PID-3", "PID-9": "PID-5", "PID-14": "PID-13"}  # one member of Patient
OF_RESULTS = (
    "OBR-7",
    "OBR-22",
    "OBR-25",
    "OBX-14",
)  # in an order these are of the specimen, or of what is to come
Fact = tuple[str, str]  # field, what it says


@cache
def path(text: str) -> Any:
    return HL7.path(text)


def part(node: Any, number: int) -> str:
    return str(path(f".{number}").one(node) or "").strip()


def _date(node: Any) -> str:
    found = re.match(r"[0-9]{4,12}", part(node, 1))
    return found[0] if found else ""


def _contact(node: Any) -> str:
    """What the map there takes for the number or the address."""
    mail = part(node, 4) if part(node, 3) in ("Internet", "X.400") else ""
    local = "".join(part(node, number) for number in (5, 6, 7))
    said = mail or part(node, 12) or part(node, 1) or local or part(node, 4)
    return said if "@" in said else re.sub(r"[^0-9]", "", said)


def _value(node: Any) -> str:
    """OBX-5 without what only says how it is written: a comparison with the numbers, a code or its text, a document."""
    said = [part(node, number) for number in range(1, 6)]
    if said[3] == "Base64":
        return said[4]
    compared = re.fullmatch(r"([<>]=?)\s*([0-9].*)", said[0])
    if compared and not said[1]:
        said[:2] = compared.groups()
    if said[0] in ("", "<", ">", "<=", ">=", "=") and said[1]:
        return " ".join(filter(None, [said[0].strip("="), said[1].lstrip("0") or "0", said[3]]))
    if re.fullmatch(r"[0-9]{8,14}([.][0-9]+)?([+-][0-9]{4})?", said[0]):
        return said[0][:12]
    return said[0].lstrip("0") or said[0]


READERS: dict[str, Callable[[Any], str]] = {
    "number": lambda node: part(node, 1),
    "name": lambda node: re.sub(r"\s", "", part(node, 1) + part(node, 2)),
    "date": _date,
    "contact": _contact,
    "code": lambda node: part(node, 1) or part(node, 2),
    "text": lambda node: str(node).strip(),
    "value": _value,
}


def _rows(table: str) -> dict[str, str]:
    found = LIBRARY.table(table)
    assert found is not None
    return dict(found.column(found.answers))


def _coded(table: str, node: Any) -> str:
    said = part(node, 1)
    return _rows(table).get(said, "unknown" if table.endswith("-status") else said) if said else ""


def facts(tree: Any, kind: str) -> Counter[Fact]:
    """What a message of a type says in its key fields."""
    found: Counter[Fact] = Counter()
    for what, fields in FIELDS.items():
        for name in fields.split():
            segment, _, rest = name.partition("-")
            if segment not in SEGMENTS[kind] or (kind != "ORU" and name in OF_RESULTS):
                continue
            for node in path(f"{segment}[]-{rest}").many(tree):
                said = READERS[what](node) if what in READERS else _coded(what, node)
                if said and said != '""':
                    found[SAME.get(name, name), said] += 1
    if kind in ("ORM", "OML"):
        found.update(("ORC-1, 5", status) for status in _order_statuses(tree))
    if kind == "ADT":
        found["MSH-9.2", path("MSH-9.2").one(tree)] += 1
    return found


def _order_statuses(tree: Any) -> Iterator[str]:
    """Of each OBR as the map there has it: by ORC-5, else by ORC-1."""
    by_status, by_control = _rows("order-status"), _rows("order-control")
    for obr in path("OBR").many(tree):
        status, control = (path(f"<ORC-{number}").one(obr) or "" for number in (5, 1))
        yield by_status.get(status) or by_control.get(control) or "unknown"


@dataclass
class Kept:
    """Of messages of one type: how many went there and back, and what of their key facts is still there."""

    messages: int = 0
    valid: int = 0
    facts: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # by field
    refused: Counter[str] = field(default_factory=Counter)  # by code

    def add(self, other: Kept) -> None:
        self.messages += other.messages
        self.valid += other.valid
        self.facts += other.facts
        self.lost.update(other.lost)
        self.refused.update(other.refused)

    @property
    def kept(self) -> int:
        return self.facts - self.lost.total()

    @property
    def share(self) -> float:
        return self.kept / max(self.facts, 1)


@cache
def shipped(name: str) -> Map:
    problems: list[Problem] = []
    found = LIBRARY.map(name, problems)
    assert found is not None, (problems, LIBRARY.findings)
    return found


@cache
def validator() -> Hl7Validator:
    return Hl7Validator("2.5")


def there_and_back(body: bytes, kind: str) -> bytes:
    """Raises BadMessage."""
    there, back = WAYS[kind]
    bundle = shipped(there).run(HL7.decode(body))
    return shipped(back).run(FHIR.decode(bundle), Message(bundle, id="0" * 32, received_ms=1767571200000))


def judge(body: bytes, kind: str) -> Kept:
    try:
        made = HL7.decode(there_and_back(body, kind))
    except BadMessage as error:
        return Kept(refused=Counter([error.code]))
    said = facts(HL7.decode(body), kind)
    lost = Counter[str]()
    for (name, _), count in (said - facts(made, kind)).items():
        lost[name] += count
    return Kept(1, int(not validator()(made)), said.total(), lost)


def messages() -> Iterator[tuple[str, bytes]]:
    """Every message of the corpus that the maps are for, with its type."""
    for file in sorted(CORPUS.rglob("*.hl7")):
        for body in split_batch(file.read_bytes()) if ".expected." not in file.name else ():
            try:
                tree = HL7.decode(body)
            except BadMessage:
                continue
            kind, event = (path(f"MSH-9.{number}").one(tree) or "" for number in (1, 2))
            if ASKED.fullmatch(f"{kind}^{event}"):
                yield kind, complete(body)


def counted() -> dict[str, Kept]:
    found: defaultdict[str, Kept] = defaultdict(Kept)
    for kind, body in messages():
        found[kind].add(judge(body, kind))
    return found


def table(found: dict[str, Kept]) -> str:
    lines = [f"{'type':<5} {'messages':>8} {'valid':>6} {'facts':>7} {'kept':>16}  refused"]
    for kind, kept in sorted(found.items()):
        refused = " ".join(f"{code} {count}" for code, count in sorted(kept.refused.items()))
        share = f"{kept.kept:>7} {100 * kept.share:>6.1f} %"
        lines.append(f"{kind:<5} {kept.messages:>8} {kept.valid:>6} {kept.facts:>7} {share}  {refused}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lost", action="store_true", help="which fields were lost, how often")
    lost = parser.parse_args().lost
    found = counted()
    print(table(found))
    for kind, kept in sorted(found.items()) if lost else ():
        print(kind, *(f"{name} {count}" for name, count in kept.lost.most_common()))


if __name__ == "__main__":
    main()
