"""From each format to each: a small map from a message of every format into every other one, and what it says."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import BadMessage, Problem
from schemas.base import Format
from schemas.choice import choose
from transforms.library import Library
from transforms.mapping import compile_map

FIELDS = ("id", "family", "born")
VALUES = ("P0001", "张", "1980-01-01")
RESULTS = ("GLU", "CRP")


class Side(NamedTuple):
    """A format with its options, where a patient's three fields and two results stand, and how they are made."""

    spec: Any
    read: tuple[str, str, str]
    results: tuple[str, str]  # what `each` goes through, and the code inside
    make: Any  # with {0}, {1}, {2} for the fields, and {each} and {code} for the results
    body: bytes


HIS = {"xml": {"namespaces": {"h": "urn:his:1"}}}
TABLE = {"delimited": {"columns": ["id", "family", "born", "code"], "separator": "|", "charset": "GB18030"}}
LAYOUT: dict[str, Any] = {
    "fixed": {
        "charset": "GB18030",
        "records": {"P": {"id": 8, "family": 10, "born": 10}, "R": {"code": {"width": 6, "align": "right"}}},
    }
}
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"value": "{0}"}],
    "name": [{"family": "{1}"}],
    "birthDate": "{2}",
}
CONTAINED = {"each": "{each}", "make": {"resourceType": "Observation", "code": {"text": "{code}"}}}
FHIR_READ = ("$.identifier[0].value", "$.name[0].family", "$.birthDate")
FHIR_RESULTS = ("$.contained", "$.code.text")
ROWS = [{"id": "{0}", "family": "{1}", "born": "{2}"}, {"each": "{each}", "make": {"code": "{code}"}}]
SIDES = {
    "hl7v2": Side(
        "hl7v2",
        ("$PID-3.1", "$PID-5.1", "$PID-7 | date"),
        ("$OBX", "$-3.1"),
        {
            "MSH": {3: "A", 9: {1: "ORU", 2: "R01"}, 18: "UNICODE UTF-8"},
            "PID": {3: "{0}", 5: "{1}", 7: "{2} | hl7date"},
            "OBX": {"each": "{each}", "make": {1: "$#", 3: "{code}"}},
        },
        "MSH|^~\\&|A||||||ORU^R01\rPID|||P0001||张||19800101\rOBX|1||GLU\rOBX|2||CRP\r".encode(),
    ),
    "json": Side(
        "json",
        ("$.id", "$.family", "$.born"),
        ("$.results", "$.code"),
        {
            "id": "{0}",
            "family": "{1}",
            "born": "{2}",
            "results": {"each": "{each}", "make": {"code": "{code}"}},
        },
        '{"id":"P0001","family":"张","born":"1980-01-01","results":[{"code":"GLU"},{"code":"CRP"}]}'.encode(),
    ),
    "fhir": Side(
        "fhir",
        FHIR_READ,
        FHIR_RESULTS,
        {**PATIENT, "contained": CONTAINED},
        '{"resourceType":"Patient","identifier":[{"value":"P0001"}],"name":[{"family":"张"}],"birthDate":"1980-01-01",'
        '"contained":[{"resourceType":"Observation","code":{"text":"GLU"}},'
        '{"resourceType":"Observation","code":{"text":"CRP"}}]}'.encode(),
    ),
    "r5": Side(
        {"fhir": {"version": "R5"}},
        FHIR_READ,
        FHIR_RESULTS,
        {**PATIENT, "contained": CONTAINED},
        b'{"resourceType":"Patient","identifier":[{"value":"P0001"}],"name":[{"family":"\xe5\xbc\xa0"}],'
        b'"birthDate":"1980-01-01","contained":[{"resourceType":"Observation","code":{"text":"GLU"}},'
        b'{"resourceType":"Observation","code":{"text":"CRP"}}]}',
    ),
    "xml": Side(
        HIS,
        ("$/h:Patient/@id", "$/h:Patient/h:Family", "$/h:Patient/h:Born"),
        ("$//h:Result", "$./@code"),
        {
            "h:Patient": {
                "@id": "{0}",
                "h:Family": "{1}",
                "h:Born": "{2}",
                "h:Result": {"each": "{each}", "make": {"@code": "{code}"}},
            }
        },
        '<Patient xmlns="urn:his:1" id="P0001"><Family>张</Family><Born>1980-01-01</Born>'
        '<Result code="GLU"/><Result code="CRP"/></Patient>'.encode(),
    ),
    "cda": Side(
        "xml",
        ("$//cda:patientRole/cda:id/@extension", "$//cda:family", "$//cda:birthTime/@value | date"),
        ("$//cda:observation", "$./cda:code/@code"),
        {
            "ClinicalDocument": {
                "@xmlns": "urn:hl7-org:v3",
                "recordTarget": {
                    "patientRole": {
                        "id": {"@extension": "{0}"},
                        "patient": {"name": {"family": "{1}"}, "birthTime": {"@value": "{2} | hl7date"}},
                    }
                },
                "observation": {
                    "each": "{each}",
                    "make": {"@classCode": "OBS", "code": {"@code": "{code}"}, "value": {"@xsi:type": "ST"}},
                },
            }
        },
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><id extension="P0001"/><patient><name>'
        '<family>张</family></name><birthTime value="19800101"/></patient></patientRole></recordTarget>'
        '<observation><code code="GLU"/></observation><observation><code code="CRP"/></observation>'
        "</ClinicalDocument>".encode(),
    ),
    "v3": Side(
        "xml",
        ("$//v3:patient/v3:id/@extension", "$//v3:family", "$//v3:birthTime/@value | date"),
        ("$//v3:subjectOf/v3:act", "$./v3:code/@code"),
        {
            "v3:PRPA_IN201311UV02": {
                "v3:controlActProcess": {
                    "v3:subject": {
                        "v3:patient": {
                            "v3:id": {"@root": "1.2.3", "@extension": "{0}"},
                            "v3:patientPerson": {
                                "v3:name": {"v3:family": "{1}"},
                                "v3:birthTime": {"@value": "{2} | hl7date"},
                            },
                            "v3:subjectOf": {
                                "each": "{each}",
                                "make": {"v3:act": {"v3:code": {"@code": "{code}", "@xsi:type": "CD"}}},
                            },
                        }
                    }
                }
            }
        },
        b'<v:PRPA_IN201311UV02 xmlns:v="urn:hl7-org:v3"><v:patient><v:id root="1.2.3" extension="P0001"/>'
        b"<v:family>\xe5\xbc\xa0</v:family><v:birthTime value='19800101'/>"
        b'<v:subjectOf><v:act><v:code code="GLU"/></v:act></v:subjectOf>'
        b'<v:subjectOf><v:act><v:code code="CRP"/></v:act></v:subjectOf></v:patient></v:PRPA_IN201311UV02>',
    ),
    "delimited": Side(
        TABLE,
        ("$.rows[0].id", "$.rows[0].family", "$.rows[0].born"),
        ("$.rows[1:]", "$.code"),
        ROWS,
        "P0001|张|1980-01-01|\n|||GLU\n|||CRP\n".encode("gb18030"),
    ),
    "fixed": Side(
        LAYOUT,
        ("$.rows[0].id", "$.rows[0].family", "$.rows[0].born"),
        ("$.rows[?record=='R']", "$.code"),
        [
            {"record": "P", "id": "{0}", "family": "{1}", "born": "{2}"},
            {"each": "{each}", "make": {"record": "R", "code": "{code}"}},
        ],
        "PP0001   张        1980-01-01\nR   GLU\nR   CRP\n".encode("gb18030"),
    ),
    "form": Side(
        "form",
        ("$.id", "$.family", "$.born"),
        ("$.code", "$"),
        {"id": "{0}", "family": "{1}", "born": "{2}", "code": {"each": "{each}", "make": "{code}"}},
        b"id=P0001&family=%E5%BC%A0&born=1980-01-01&code=GLU&code=CRP",
    ),
}


def form_of(side: Side) -> Format:
    problems: list[Problem] = []
    found = choose(side.spec, problems)
    assert found is not None, problems
    return found


def filled_in(shape: Any, source: Side) -> Any:
    """A shape with the source's paths for its marks; pipes of both ends follow one another."""
    marks = {f"{{{n}}}": path for n, path in enumerate(source.read)}
    marks |= {"{each}": source.results[0], "{code}": source.results[1]}
    if isinstance(shape, dict):
        return {key: filled_in(value, source) for key, value in shape.items()}
    if isinstance(shape, list):
        return [filled_in(value, source) for value in shape]
    if isinstance(shape, str) and (mark := next((mark for mark in marks if shape.startswith(mark)), "")):
        return marks[mark] + shape.removeprefix(mark)
    return shape


def values(side: Side, tree: Any) -> tuple[list[Any], list[Any]]:
    """What a message says, read by the side's own paths through a map to JSON."""
    make = {"fields": list(side.read), "codes": {"each": side.results[0], "make": side.results[1]}}
    problems: list[Problem] = []
    found = compile_map({"from": side.spec, "to": "json", "make": make}, Library([], []), problems)
    assert found is not None, problems
    made = found.tree(tree)
    return made["fields"], made["codes"]


@pytest.mark.parametrize(("source", "target"), list(product(SIDES, SIDES)))
def test_a_message_goes_from_each_format_to_each(source: str, target: str) -> None:
    given_, wanted = SIDES[source], SIDES[target]
    spec = {"from": given_.spec, "to": wanted.spec, "make": filled_in(wanted.make, given_)}
    problems: list[Problem] = []
    mapped = compile_map(spec, Library([], []), problems)
    assert mapped is not None, problems
    body = mapped.run(form_of(given_).decode(given_.body))
    assert values(wanted, form_of(wanted).decode(body)) == (list(VALUES), list(RESULTS))


@pytest.mark.parametrize("name", SIDES)
def test_the_invented_messages_say_what_the_maps_make(name: str) -> None:
    assert values(SIDES[name], form_of(SIDES[name]).decode(SIDES[name].body)) == (list(VALUES), list(RESULTS))


@settings(max_examples=40)
@given(st.sampled_from(sorted(SIDES)), st.integers(0, 200), st.binary(max_size=3))
def test_a_message_with_some_bytes_changed_is_read_or_refused(name: str, at: int, piece: bytes) -> None:
    """Whatever a party sends: a tree or a BadMessage, and of a tree whatever its paths find."""
    body = SIDES[name].body
    with suppress(BadMessage):
        form_of(SIDES[name]).decode(body[:at] + piece + body[at + len(piece) :])
