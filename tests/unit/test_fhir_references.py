"""References of FHIR are followed within their message; `each` and `from` take what an expression gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config import registry
from config.errors import Problem
from config.text import parse
from transforms.conditions import compile_when
from transforms.library import Library
from transforms.mapping import Compiler, Map, compile_map
from transforms.trace import Marks, trace

FHIR = registry.formats.get("fhir")
BUNDLE = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "gender": "female",
         "identifier": [{"system": "urn:id:HIS", "value": "P1"}]}},
        {"fullUrl": "http://a.example/fhir/Patient/2", "resource": {"resourceType": "Patient", "gender": "male"}},
        {"resource": {"resourceType": "Organization", "id": "o1", "name": "检验科"}},
        {"fullUrl": "urn:uuid:9", "resource": {
            "resourceType": "ServiceRequest", "id": "r1", "subject": {"reference": "urn:uuid:1"},
            "requester": {"reference": "#1"}, "performer": [{"reference": "Organization/o1"}, {"display": "x"}],
            "contained": [{"resourceType": "Practitioner", "id": "1", "name": [{"text": "王五"}]}]}},
        {"resource": {
            "resourceType": "ServiceRequest", "id": "r2", "subject": {"reference": "Patient/2"},
            "requester": {"reference": "#1"}, "insurance": [{"reference": "Coverage/none"}],
            "contained": [{"resourceType": "Practitioner", "id": "1", "name": [{"text": "赵六"}]}]}},
        {"resource": {
            "resourceType": "Observation", "id": "x", "basedOn": [{"reference": "ServiceRequest/r1/_history/3"}],
            "subject": {"identifier": {"system": "urn:id:HIS", "value": "P1"}}}},
        {"resource": {"resourceType": "Observation", "id": "y", "basedOn": [{"reference": "urn:uuid:9"}],
         "subject": {"reference": "http://b.example/fhir/Patient/2"}}},
        {"resource": {"resourceType": "Observation", "id": "z", "basedOn": [{"reference": "ServiceRequest/far"}]}},
    ],
}  # fmt: skip


def compiled(make: Any, source: str = "fhir") -> Map:
    problems: list[Problem] = []
    found = compile_map({"from": source, "to": "json", "make": make}, Library([], []), problems)
    assert found is not None, problems
    return found


def made(make: Any, tree: Any = BUNDLE) -> Any:
    found = json.loads(compiled({"made": make, "kind": "$.resourceType"}).run(tree))
    return found.get("made")


def of(resource: str, make: Any) -> Any:
    """What a shape makes of one resource of the bundle, as `$` is there."""
    kind, number = resource.split("/")
    return made({"each": f"$ | resources {kind}", "when": {"$.id": number}, "make": make})


@pytest.mark.parametrize(
    ("resource", "path", "wanted"),
    [
        ("ServiceRequest/r1", "$.subject | follow | member gender", ["female"]),
        ("ServiceRequest/r2", "$.subject | follow | member gender", ["male"]),
        ("ServiceRequest/r1", "$.performer | follow | member name", ["检验科"]),
        ("ServiceRequest/r1", "$.performer[0].reference | follow | member name", ["检验科"]),
        ("Observation/x", "$.basedOn | follow | member id", ["r1"]),
        ("Observation/x", "$.subject | follow | member gender", ["female"]),
        ("Observation/y", "$.basedOn | follow | member id", ["r1"]),
        ("Observation/y", "$.subject | follow | member gender", None),  # of another server
        ("ServiceRequest/r2", "$.insurance | follow | member id", None),
        ("Observation/z", "$.subject | follow | member gender", None),
        ("ServiceRequest/r1", "$ | referrers Observation basedOn | member id", ["x", "y"]),
        ("ServiceRequest/r2", "$ | referrers Observation basedOn | member id", None),
        ("ServiceRequest/r1", "$.subject | referrers Observation subject | member id", ["x"]),
        ("Observation/z", "$.basedOn[0] | referrers Observation basedOn | member id", ["z"]),
    ],
)
def test_a_reference_leads_to_the_resource_that_it_means_or_to_none(
    resource: str, path: str, wanted: Any
) -> None:
    assert of(resource, path) == wanted


def test_what_is_contained_is_looked_for_in_its_own_resource() -> None:
    requester = {"from": "$.requester | follow", "make": "$.name[0].text"}
    assert of("ServiceRequest/r1", requester) == ["王五"]
    assert of("ServiceRequest/r2", requester) == ["赵六"]
    text_alone = "$.requester.reference | follow | member id"
    assert of("ServiceRequest/r1", text_alone) is None, "of two that have this id it may be either"


def test_a_name_that_two_resources_have_leads_to_neither() -> None:
    twins = [{"fullUrl": f"http://{host}.example/Patient/1", "resource": {"resourceType": "Patient", "id": "1"}}
             for host in "ab"]  # fmt: skip
    one = {"resource": {"resourceType": "Encounter", "subject": {"reference": "Patient/1"}}}
    tree = {"resourceType": "Bundle", "entry": [*twins, one]}
    assert made({"each": "$ | resources Encounter", "make": "$.subject | follow"}, tree) is None


def test_a_resource_alone_is_a_message_and_what_it_contains_is_found_by_reference() -> None:
    tree = {**BUNDLE["entry"][3]["resource"], "subject": {"reference": "#p"}}  # type: ignore[index]
    tree["contained"] = [*tree["contained"], {"resourceType": "Patient", "id": "p", "gender": "other"}]
    assert made("$ | resources ServiceRequest | member id", tree) == ["r1"]
    assert made("$ | resources Patient | member id", tree) is None
    assert made("$.subject | follow | member gender", tree) == "other"


def test_what_is_contained_may_refer_to_what_contains_it() -> None:
    specimen = {"resourceType": "Specimen", "id": "s", "request": [{"reference": "#"}]}
    order = {"resourceType": "ServiceRequest", "id": "r", "contained": [specimen]}
    assert made("$ | referrers Specimen request | member id", order) == ["s"]
    assert made({"from": "$.contained[0]", "make": "$.request | follow | member id"}, order) == ["r"]


def test_a_condition_of_a_channel_may_follow_a_reference() -> None:
    problems: list[Problem] = []
    test = compile_when(
        {"$.entry[3].resource.subject | follow | member gender": "female"}, "fhir", Library([], []), problems
    )
    assert test is not None, problems
    assert test(BUNDLE)
    assert not test({"resourceType": "Bundle"})


def test_a_channel_may_choose_by_what_a_bundle_holds() -> None:
    problems: list[Problem] = []
    test = compile_when({"$ | resources ServiceRequest": {"exists": True}}, "fhir", Library([], []), problems)
    assert test is not None, problems
    assert test(BUNDLE)
    assert not test({"resourceType": "Bundle", "entry": BUNDLE["entry"][:2]})  # type: ignore[index]


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        ({"each": "$ | resources Patient", "make": {"n": "$#", "sex": "$.gender"}},
         [{"n": 1, "sex": "female"}, {"n": 2, "sex": "male"}]),
        ({"let": {"all": "$ | resources ServiceRequest"}, "make": {"each": "$all", "make": "$.id"}}, ["r1", "r2"]),
        ({"let": {"all": "$ | resources ServiceRequest"}, "make": {"from": "$all", "make": "$.id"}}, "r1"),
        ({"let": {"own": [{"a": "$.type"}, {"a": "$.resourceType"}]}, "make": {"each": "$own", "make": "$.a"}},
         ["transaction", "Bundle"]),
        ({"each": "$.type | split s", "make": {"part": "$"}}, [{"part": "tran"}, {"part": "action"}]),
        ({"from": "$.type | prefix a-", "make": {"whole": "$"}}, {"whole": "a-transaction"}),
        ({"each": "$ | resources Device", "make": {"n": "$#", "x": "made"}}, None),
        ({"each": "$.total", "make": {"x": "$"}}, None),
        ({"each": "$ | resources Patient",
          "make": {"each": "$.identifier | where system urn:id:HIS", "make": "$.value"}}, ["P1"]),
        ({"each": "$ | resources Observation", "when": {"$.basedOn | follow | member id": "r1"}, "make": "$.id"},
         ["x", "y"]),
    ],
)  # fmt: skip
def test_each_and_from_take_what_an_expression_gives_and_code_and_plain_meaning_agree(
    make: Any, wanted: Any
) -> None:
    assert made(make) == wanted
    text = f"map: x\nfrom: fhir\nto: json\nmake: {json.dumps({'made': make, 'kind': '$.resourceType'})}\n"
    document, problems = parse(text, "x.yaml"), list[Problem]()
    traced = Compiler(Library([], [], Marks())).map(document.data, problems, (), document)
    assert traced is not None, problems
    assert trace(traced, BUNDLE)[0].get("made") == wanted


@pytest.mark.parametrize(
    ("each", "source", "code", "hint"),
    [
        ("$PID-3 | trim", "hl7v2", "JL-C108", "without pipes"),
        ("$/a/b | trim", "xml", "JL-C108", "without pipes"),
        ("items", "json", "JL-C108", "write an expression: $.items"),
        ("$.a | folow", "fhir", "JL-C102", "did you mean follow?"),
        ("$.a | referrers Observation", "fhir", "JL-C103", "write it: referrers TYPE MEMBER"),
        ("$.a | follow message=x", "fhir", "JL-C103", "write it: follow"),
        ("$orders", "json", "JL-C109", "gives names"),
        ("$orders", "hl7v2", "JL-C101", ""),
    ],
)
def test_a_mistake_in_an_each_is_told(each: str, source: str, code: str, hint: str) -> None:
    problems: list[Problem] = []
    made = compile_map(
        {"from": source, "to": "json", "make": {"each": each, "make": "$"}}, Library([], []), problems
    )
    assert made is None
    assert [(problem.code, problem.at) for problem in problems] == [(code, ("make", "each"))]
    assert hint in problems[0].hint


def test_what_one_message_holds_is_not_found_for_the_next() -> None:
    run = compiled(
        {"sex": {"each": "$ | resources ServiceRequest", "make": "$.subject | follow | member gender"}}
    ).run
    other = json.loads(json.dumps(BUNDLE))
    other["entry"][0]["resource"]["gender"] = "other"
    assert [json.loads(run(tree))["sex"][0] for tree in (BUNDLE, other, BUNDLE)] == [
        "female",
        "other",
        "female",
    ]
