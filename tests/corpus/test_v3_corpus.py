"""HL7 V3 of the shipped maps: valid for the platform's schemas (hip.py), and what it says comes back to FHIR.

Bundles are those of the maps' own tests, and those that the shipped maps make of other people's HL7 v2 messages.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from lxml import etree

from config import registry
from config.errors import BadMessage, Problem
from config.settings import ROOT
from schemas.message import Message
from tests.corpus import hip
from tests.corpus.v3_facts import Bundle, facts, given, of_orders, of_patient, resources
from transforms.library import SHIPPED_MAPS, Library
from transforms.mapping import Map

CORPUS = ROOT.parent / "shared" / "corpus"
pytestmark = [
    pytest.mark.skipif(
        not hip.SERVICES.is_dir(), reason="the platform's schemas are not beside the repository"
    ),
    pytest.mark.timeout(120),
]
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the shared corpus is not beside the repository"
)

SERVICES = {  # by map: the schema of what it makes, and the map that reads it
    "fhir-to-v3-patient-add": ("PatientInfoRegister", "v3-patient-to-fhir"),
    "fhir-to-v3-patient-revise": ("PatientInfoUpdate", "v3-patient-to-fhir"),
    "fhir-to-v3-patient-merge": ("PatientInfoMerge", "v3-merge-to-fhir"),
    "fhir-to-v3-order": ("OrderInfoAdd", "v3-order-to-fhir"),
    "fhir-to-v3-order-revise": ("OrderInfoUpdate", "v3-order-to-fhir"),
    "fhir-to-v3-lab-request": ("ExamAppInfoAdd", "v3-order-to-fhir"),
    "fhir-to-v3-exam-request": ("CheckAppInfoAdd", "v3-order-to-fhir"),
}
ORDERS = [name for name, (_, reader) in SERVICES.items() if reader == "v3-order-to-fhir"]
FROM_V2 = {  # by message type: the map to FHIR, and those from there
    **{f"ADT^{event}": ("adt-to-fhir", ["fhir-to-v3-patient-add"]) for event in ("A01", "A04", "A28")},
    **{f"ADT^{event}": ("adt-to-fhir", ["fhir-to-v3-patient-revise"]) for event in ("A08", "A31")},
    "ADT^A40": ("merge-to-fhir", ["fhir-to-v3-patient-merge"]),
    "ORM^O01": ("order-to-fhir", ORDERS),
    "OML^O21": ("order-to-fhir", ORDERS),
}
LIBRARY = Library([SHIPPED_MAPS], [ROOT / "schemas" / "tables"])
HL7, XML, FHIR = (registry.formats.get(name) for name in ("hl7v2", "xml", "fhir"))


@cache
def mapped(name: str) -> Map:
    problems: list[Problem] = []
    found = LIBRARY.map(name, problems)
    assert found is not None, problems
    return found


schema = cache(hip.schema)


def to_v3(bundle: Bundle, name: str) -> bytes:
    return mapped(name).run(bundle, Message(b"", id="1", received_ms=1767571200000))


def back(message: bytes, name: str) -> Bundle:
    found: Bundle = json.loads(mapped(SERVICES[name][1]).run(XML.decode(message)))
    return found


def faults(message: bytes, name: str) -> list[str]:
    return hip.faults(schema(SERVICES[name][0]), etree.fromstring(message))


def samples(name: str) -> list[Bundle]:
    """The bundles of a map's own tests that it does not refuse."""
    document = LIBRARY.document(name)
    assert document is not None
    tests = [test for test in document.data["tests"] if "error" not in test["expect"]]
    return [FHIR.decode(json.dumps(test["given"]).encode()) for test in tests]


@cache
def of_others() -> list[tuple[str, bytes, str]]:
    """Of each HL7 v2 message of the corpus that a shipped map takes: file, bundle, and the map that it goes on to."""
    return list(_of_others())


def _of_others() -> Iterator[tuple[str, bytes, str]]:
    for file in sorted(CORPUS.rglob("*.hl7")):
        body = file.read_bytes()
        header = re.search(rb"MSH[^\r\n]*", body)
        fields = header.group().decode("latin-1").split("|") if header else []
        kind = "^".join([*fields[8].split("^"), ""][:2]) if len(fields) > 8 else ""
        if kind not in FROM_V2:
            continue
        reader, names = FROM_V2[kind]
        try:
            bundle = mapped(reader).run(HL7.decode(body))
        except BadMessage:
            continue
        yield from ((str(file.relative_to(CORPUS)), bundle, name) for name in names)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_map_makes_of_its_own_samples_is_valid(name: str) -> None:
    assert [faults(to_v3(bundle, name), name) for bundle in samples(name)] == [[]] * len(samples(name))


@needs_corpus
def test_what_they_make_of_other_peoples_messages_is_valid_or_refused_with_its_place() -> None:
    made, refused, wrong = Counter[str](), Counter[tuple[str, bool]](), {}
    for file, bundle, name in of_others():
        try:
            message = to_v3(FHIR.decode(bundle), name)
        except BadMessage as error:
            refused[error.code, bool(error.path)] += 1
            continue
        made[name] += 1
        if found := faults(message, name):
            wrong[file] = found[:3]
    assert wrong == {}
    # There is nothing of the kind in the bundle, or one application would have to be several.
    assert set(refused) <= {("JL-M050", True), ("JL-M051", True)}
    assert refused.total() < made.total() / 4
    assert {name for name in SERVICES if made[name] >= 3} == set(SERVICES)


# What goes there and comes back.


@pytest.mark.parametrize("name", [name for name in SERVICES if name.endswith(("add", "order", "request"))])
def test_all_that_a_whole_sample_says_comes_back(name: str) -> None:
    bundle = samples(name)[0]
    kept = facts(back(to_v3(bundle, name), name), of_patient, of_orders)
    assert facts(bundle, of_patient, of_orders) - kept == set()


def test_of_a_merge_both_numbers_come_back() -> None:
    name = "fhir-to-v3-patient-merge"
    bundle = samples(name)[0]
    returned = back(to_v3(bundle, name), name)
    for number, sent in enumerate(resources(bundle, "Patient")):
        assert resources(returned, "Patient")[number]["identifier"] == sent["identifier"]
        assert resources(returned, "Patient")[number]["link"][0]["type"] == sent["link"][0]["type"]
    assert returned["timestamp"] == bundle["timestamp"]


# What V3 has no place for: other people's numbers without a root, and codes that China's tables do not have (their
# names stay).
LEFT = {"identifier", "marital", "relation", "coverage", "urn:oid:2.16.156.10011.2.3.3.3"}


@needs_corpus
def test_who_other_peoples_patients_are_comes_back() -> None:
    lost: dict[str, Any] = {}
    patients = 0
    for file, body, name in of_others():
        if name not in ("fhir-to-v3-patient-add", "fhir-to-v3-patient-revise"):
            continue
        bundle = FHIR.decode(body)
        returned = back(to_v3(bundle, name), name)
        bundle["entry"] = bundle["entry"][:1]  # V3 has one next of kin and one insurance
        gone = {
            fact for fact in facts(bundle, of_patient) - facts(returned, of_patient) if fact[0] not in LEFT
        }
        sent, told = (
            {said["value"].strip() for said in of["entry"][0]["resource"]["identifier"]}
            for of in (bundle, returned)
        )
        patients += 1
        if gone or not sent & told:
            lost[file] = gone
    assert lost == {}
    assert patients > 100


@needs_corpus
def test_what_other_people_order_comes_back() -> None:
    lost: dict[str, Any] = {}
    orders = 0
    for file, body, name in of_others():
        bundle = FHIR.decode(body)
        if name != "fhir-to-v3-order-revise" or not resources(bundle, *ASKED):
            continue
        returned = back(to_v3(bundle, name), name)
        asked, told = (Counter(map(_order, resources(of, *ASKED))) for of in (bundle, returned))
        orders += asked.total()
        if asked != told:
            lost[file] = (asked - told, told - asked)
    assert lost == {}
    assert orders > 30


ASKED = ("MedicationRequest", "ServiceRequest", "SupplyRequest", "NutritionOrder")


def _order(request: Bundle) -> str:
    """The number of an order."""
    return next((said["value"] for said in request["identifier"] if given(said)), "")


# Whether the judge judges.

XSI = "http://www.w3.org/2001/XMLSchema-instance"
CHANGES: dict[str, Callable[[Any], Any]] = {
    "creationTime": lambda root: root.remove(root[0]),
    "ITSVersion": lambda root: root.attrib.clear(),
    "acceptAckCode": lambda root: root.find("{*}acceptAckCode").attrib.clear(),
    "birthTime": lambda root: root.find(".//{*}birthTime").set("value", "1980-01-01"),
    "ethnicGroupCode/item": lambda root: root.find(".//{*}ethnicGroupCode/{*}item").set("code", "57"),
    "patientPerson/name": lambda root: root.find(".//{*}name").set(f"{{{XSI}}}type", "BAG_EN"),
    "addr/item/part": lambda root: root.find(".//{*}part[@type]").set("nullFlavour", "NI"),
}


@pytest.mark.parametrize("place", CHANGES)
def test_a_message_that_is_not_as_the_schema_has_it_is_found(place: str) -> None:
    name = "fhir-to-v3-patient-add"
    root = etree.fromstring(to_v3(samples(name)[0], name))
    CHANGES[place](root)
    assert any(place in fault for fault in hip.faults(schema("PatientInfoRegister"), root))
