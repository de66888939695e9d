"""Judges the shipped HL7 v2 to FHIR maps by what two other converters make of the same messages.

    .venv/bin/python -m tests.corpus.judge [--missing] [--pair PART-OF-NAME]

Reads pairs (NAME.hl7, NAME.expected.fhir.json) from the corpus beside the repository and prints per message type:

- `of type`: expected resources for which ours has one of the same type, one for one;
- `or left out`: these, and those that ours leaves out on purpose (transforms/maps/README.md);
- `made`: those of them that agree in at least two thirds of their key facts;
- `facts`: the key facts that ours has, of all that the expected resources have.

A key fact of a resource is a code, a status, an identifier's value, a date (by its day), a measured value, a family
name or the name of a place or an organisation, each at its path, or where a reference leads (path and type, also of one
by a number alone). Ids, times, texts for people, systems, extensions and Provenance (with what only that refers to) do
not count; nor does a resource without any key fact, or a person, place, organisation or device that says the same as
another.
`--missing` adds the classes of differences: which types and which facts are missing, how often.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from config import registry
from config.errors import BadMessage, Problem
from config.settings import ROOT
from tests.bundles import references
from transforms.library import SHIPPED_MAPS, Library
from transforms.mapping import Map

PAIRS = ROOT.parent / "shared" / "corpus" / "pairs"
FOLDERS = ("ms-hl7v2-fhir", "reportstream-hl7-fhir-fields", "reportstream-hl7-fhir-messages")
MAPS = {  # by message type and trigger; a type alone holds for its other triggers
    "ADT^A40": "merge-to-fhir",
    "ADT": "adt-to-fhir-full",
    "ORU": "oru-to-fhir",
    "ORM": "order-to-fhir",
    "OML": "order-to-fhir",
    "SIU": "siu-to-fhir",
    "MDM": "mdm-to-fhir",
    "DFT": "dft-to-fhir",
    "VXU": "vxu-to-fhir",
}
ASKED = re.compile(
    r"ADT\^A(0[1-8]|1[123]|40)|ORU\^(R01)?|ORM\^O01|OML\^O21|SIU\^S1[2-5]|MDM\^T02|DFT\^P03|VXU\^V04"
)
_ANY = re.compile(".*")
ENOUGH = 2 / 3

_CODES = {"code", "status", "gender", "intent", "priority", "criticality", "docStatus", "comparator"}
_VALUES = {"valueString", "family", "name"}
_NAMED = {"Organization", "Practitioner", "PractitionerRole", "Location", "Device"}
_SKIPPED = {
    "id",
    "meta",
    "extension",
    "modifierExtension",
    "contained",
    "resourceType",
    "text",
    "display",
    "system",
}
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T[0-9:.]+(Z|[+-]\d\d:\d\d)?)?)?)?")
Fact = tuple[str, str]  # path, value


@dataclass
class Score:
    """What was expected of the messages of one type, and what of it ours has."""

    messages: int = 0
    completed: int = 0  # messages to which the judge gave a patient's number
    refused: Counter[str] = field(default_factory=Counter)
    resources: int = 0
    of_type: int = 0
    made: int = 0
    left_out: int = 0  # on purpose
    facts: int = 0
    agreed: int = 0
    missing: Counter[str] = field(default_factory=Counter)

    def add(self, other: Score) -> None:
        for name in ("messages", "completed", "resources", "of_type", "made", "left_out", "facts", "agreed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused.update(other.refused)
        self.missing.update(other.missing)


def pairs() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Name, message and expected bundle."""
    for folder in FOLDERS:
        for file in sorted((PAIRS / folder).glob("*.hl7")):
            expected = file.with_name(file.name.removesuffix(".hl7") + ".expected.fhir.json")
            yield file.stem, file.read_bytes(), json.loads(expected.read_text("utf-8-sig"))


def message_type(body: bytes) -> str:
    """MSH-9 as `ORU^R01`."""
    header = re.search(rb"MSH[^\r\n]*", body)
    kind = header.group().split(b"|")[8].decode("utf-8", "replace") if header else ""
    return "^".join([*kind.split("^"), ""][:2])


def complete(body: bytes) -> bytes:
    """A test of one field often leaves out whose message it is, and ours refuse that: it gets a number."""
    lines = re.split(rb"[\r\n]+", body.strip())
    at = next((i for i, line in enumerate(lines) if line.startswith(b"PID")), None)
    if at is None:
        lines.insert(1, b"PID|1||JUDGE")
    else:
        fields = lines[at].split(b"|") + [b""] * 4
        if not any(fields[2:4]):
            fields[3] = b"JUDGE"
        lines[at] = b"|".join(fields).rstrip(b"|")
    return b"\r".join(lines) + b"\r"


# What a bundle says, and what of it counts.


def resources(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Resources by their address, without Provenance and what is there only for its sake."""
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(bundle.get("entry", [])):
        resource = entry["resource"]
        url = f"{resource['resourceType']}/{resource['id']}" if "id" in resource else entry.get("fullUrl")
        found[url or f"#{number}"] = resource
    origin = {url for url, resource in found.items() if resource["resourceType"] == "Provenance"}
    agents = [{key: part for key, part in found[url].items() if key != "target"} for url in origin]
    theirs = _reached([url for agent in agents for url in references(agent)], found)
    others = [url for url in found if url not in origin | theirs]
    kept = _reached(others, found)
    return {url: resource for url, resource in found.items() if url in kept}


def _reached(urls: list[str], found: dict[str, dict[str, Any]]) -> set[str]:
    reached: set[str] = set()
    while urls:
        url = urls.pop()
        if url in found and url not in reached:
            reached.add(url)
            urls.extend(references(found[url]))
    return reached


def facts(resource: dict[str, Any], types: dict[str, str]) -> set[Fact]:
    return set(_facts(resource, "", "", types))


def _facts(node: Any, at: str, key: str, types: dict[str, str]) -> Iterator[Fact]:
    if isinstance(node, list):
        for item in node:
            yield from _facts(item, at, key, types)
    elif isinstance(node, dict):
        if isinstance(node.get("identifier"), dict) and isinstance(node.get("type"), str):
            yield at, f"-> {node['type']}"  # a reference by number alone
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                kind = types.get(value, value.partition("/")[0])
                yield from [(at, f"-> {kind}")] if kind else []
            elif name not in _SKIPPED and not name.startswith("_"):
                yield from _facts(value, f"{at}.{name}".lstrip("."), name, types)
    elif key in _CODES | _VALUES or at.endswith(("dentifier.value", "Quantity.value")):
        yield at, str(node).strip().removeprefix("urn:oid:").removeprefix("urn:uuid:")
    elif isinstance(node, str) and _DATE.fullmatch(node) and not at.endswith("value"):
        yield at, node


def agrees(fact: Fact, ours: set[Fact]) -> bool:
    """A date agrees by its day, as written or in UTC, as precisely as both are written."""
    if fact in ours:
        return True
    path, value = fact
    days = _days(value)
    return bool(days) and any(days & _days(other) for at, other in ours if at == path)


def _days(value: str) -> set[str]:
    if not _DATE.fullmatch(value):
        return set()
    days = {value[:10]}
    if "T" in value and (value.endswith("Z") or value[-6:-5] in ("+", "-")):
        days.add(datetime.fromisoformat(value).astimezone(UTC).date().isoformat())
    return days


def compare(expected: dict[str, Any], ours: dict[str, Any]) -> Score:
    """Expected resources each with the one of ours that agrees most, none of ours twice."""
    score = Score(messages=1)
    theirs, mine = resources(expected), resources(ours)
    kinds = [{url: resource["resourceType"] for url, resource in found.items()} for found in (theirs, mine)]
    wanted = _said_once(_facts_of(theirs, kinds[0]), kinds[0])
    there = {url: facts(resource, kinds[1]) for url, resource in mine.items()}
    couples = sorted(
        (-_likeness(wanted[url], there[have]), len(there[have]), url, have)
        for url in wanted
        for have, kind in kinds[1].items()
        if kind == kinds[0][url]
    )
    event = next((r["eventCoding"].get("code", "") for r in theirs.values() if "eventCoding" in r), "")
    named = {number for resource in mine.values() for number in _named(resource)}
    partner: dict[str, str] = {}
    for _, _, url, have in couples:
        if url not in partner and have not in partner.values():
            partner[url] = have
    for url in wanted:
        kind = kinds[0][url]
        mismatched = [
            fact for fact in wanted[url] if not agrees(fact, there.get(partner.get(url, ""), set()))
        ]
        agreed = len(wanted[url]) - len(mismatched)
        score.resources += 1
        score.of_type += url in partner
        score.made += url in partner and agreed >= ENOUGH * len(wanted[url])
        score.facts += len(wanted[url])
        score.agreed += agreed
        if url not in partner and _left_out(kind, wanted[url], event, named):
            score.left_out += 1
        elif url not in partner:
            score.missing[kind] += 1
        else:
            score.missing.update(f"{kind}.{path}" for path in {path for path, _ in mismatched})
    return score


def _facts_of(theirs: dict[str, Any], kinds: dict[str, str]) -> dict[str, set[Fact]]:
    """By address; a reference to a resource that says nothing is no fact."""
    silent = {url for url, resource in theirs.items() if not facts(resource, kinds)}
    known = {url: kind for url, kind in kinds.items() if url not in silent}
    return {url: facts(resource, known | dict.fromkeys(silent, "")) for url, resource in theirs.items()}


def _likeness(wanted: set[Fact], there: set[Fact]) -> int:
    """What two resources have in common; what names one weighs more than a code that many have."""
    named = ("name", "family", "dentifier.value")
    return sum(3 if fact[0].endswith(named) else 1 for fact in wanted if agrees(fact, there))


def _said_once(wanted: dict[str, set[Fact]], kinds: dict[str, str]) -> dict[str, set[Fact]]:
    """Without resources that say nothing, and without people and places that are said twice."""
    kept: dict[str, set[Fact]] = {}
    for url, found in wanted.items():
        again = kinds[url] in _NAMED and any(
            found == other and kinds[url] == kinds[at] for at, other in kept.items()
        )
        if found and not again:
            kept[url] = found
    return kept


def _left_out(kind: str, found: set[Fact], event: str, named: set[tuple[str, str]]) -> bool:
    """What ours does not make on purpose; transforms/maps/README.md says why."""
    paths = {path for path, _ in found}
    numbers = {(kind, value) for path, value in found if path == "identifier.value"}
    known_by_number = paths <= {
        "identifier.value",
        "identifier.type.coding.code",
        "status",
        "intent",
        "subject",
    }
    only_taken = all(path.startswith(("collection.collected", "request")) for path in paths)
    return (
        (kind == "Observation" and event.startswith("T"))  # lines of a document
        or (kind == "Specimen" and only_taken)
        or (kind == "Device" and paths == {"deviceName.name"})  # software, which MessageHeader names
        or kind == "MedicationDispense"  # of a charge
        or (known_by_number and bool(numbers & named))  # ours refers to it by its number
    )


def _named(node: Any) -> Iterator[tuple[str, str]]:
    """Type and number of what is referred to by its number alone."""
    if isinstance(node, dict):
        number = node.get("identifier")
        if isinstance(number, dict) and isinstance(node.get("type"), str) and "value" in number:
            yield node["type"], number["value"]
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


# The maps, and what is printed.


class Judge:
    def __init__(self) -> None:
        self._library = Library([SHIPPED_MAPS], [ROOT / "schemas" / "tables"])
        self._hl7 = registry.formats.get("hl7v2")

    def map(self, kind: str) -> Map | None:
        name = MAPS.get(kind) or MAPS.get(kind.partition("^")[0])
        if name is None or name not in self._library.map_names():
            return None
        problems: list[Problem] = []
        found = self._library.map(name, problems)
        assert found is not None, (problems, self._library.findings)
        return found

    def bundle(self, body: bytes, made_by: Map) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(made_by.run(self._hl7.decode(body)))
        return made

    def judge(self, body: bytes, expected: dict[str, Any], made_by: Map | None) -> Score:
        if made_by is None:
            return compare(expected, {})
        completed = complete(body)
        try:
            score = compare(expected, self.bundle(completed, made_by))
        except BadMessage as error:
            score = compare(expected, {})
            score.refused[error.code] += 1
        score.completed = int(b"JUDGE" in completed)
        return score


def scores(judge: Judge, part_of_name: str = "", only: re.Pattern[str] = _ANY) -> dict[str, Score]:
    found: defaultdict[str, Score] = defaultdict(Score)
    for name, body, expected in pairs():
        kind = message_type(body)
        if part_of_name in name and only.fullmatch(kind):
            found[kind].add(judge.judge(body, expected, judge.map(kind)))
    return found


def total(found: dict[str, Score]) -> Score:
    """Of the message types that were asked for."""
    score = Score()
    for kind, part in found.items():
        if ASKED.fullmatch(kind):
            score.add(part)
    return score


def _row(name: str, score: Score) -> str:
    share = [
        f"{done:>6} {100 * done / max(of, 1):>4.0f} %"
        for done, of in (
            (score.of_type, score.resources),
            (score.of_type + score.left_out, score.resources),
            (score.made, score.resources),
            (score.agreed, score.facts),
        )
    ]
    refused = " ".join(f"refused {code} {count}" for code, count in score.refused.items())
    return f"{name:<10} {score.messages:>8} {score.completed:>9} {score.resources:>9} {'  '.join(share)}  {refused}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missing", action="store_true", help="which types and facts are missing, how often")
    parser.add_argument("--pair", default="", help="only pairs whose name holds this")
    arguments = parser.parse_args()
    found = scores(Judge(), arguments.pair)
    print(
        f"{'type':<10} {'messages':>8} {'completed':>9} {'resources':>9} {'of type':>13} {'or left out':>14} "
        f"{'made':>14} {'facts':>14}"
    )
    asked = {kind: score for kind, score in found.items() if ASKED.fullmatch(kind)}
    for kind, score in sorted(asked.items()):
        print(_row(kind, score))
    print(_row("all", total(found)))
    print("\nNot asked for:")
    for kind, score in sorted(found.items()):
        if kind not in asked:
            print(_row(kind, score))
    if arguments.missing:
        print("\nMissing:")
        for what, count in total(found).missing.most_common(150):
            print(f"{count:>5}  {what}")


if __name__ == "__main__":
    main()
