"""OperationOutcome: how FHIR says what became of a request, and what of a party's may be told in a journal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from endpoints.fhir_r4.reading import head_of, read

MEDIA = "application/fhir+json"
CODES = "urn:jingluo:codes"  # the system of the engine's own codes
_TOLD = 5  # issues of a party that a reason names

# Issue types (R4 value set issue-type) by what a status says, and by our own codes.
_BY_STATUS = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    409: "conflict",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
    431: "too-long",
    500: "exception",
    502: "exception",
    503: "transient",
    504: "timeout",
}
_BY_CODE = {
    "JL-V001": "required",
    "JL-V002": "structure",
    "JL-V003": "structure",
    "JL-V004": "structure",
    "JL-V005": "value",
    "JL-V006": "code-invalid",
    "JL-V007": "value",
    "JL-V008": "value",
    "JL-V009": "invariant",
    "JL-V010": "not-supported",
}

Issue = dict[str, Any]
Fault = Sequence[str]  # path, text, code: what a schemas.validation.base.Fault holds


def outcome(*issues: Issue) -> bytes:
    """As bytes."""
    return json.dumps({"resourceType": "OperationOutcome", "issue": issues}, ensure_ascii=False).encode()


def issue(severity: str, code: str, text: str, ours: str = "", at: str = "", diagnostics: str = "") -> Issue:
    """`ours`: the engine's code; `at`: a FHIRPath expression."""
    details: dict[str, Any] = {"coding": [{"system": CODES, "code": ours}]} if ours else {}
    details |= {"text": text} if text else {}
    made: dict[str, Any] = {"severity": severity, "code": code}
    made |= {"details": details} if details else {}
    made |= {"diagnostics": diagnostics} if diagnostics else {}
    return made | ({"expression": [at]} if at else {})


def issue_of(status: int, code: str, text: str, diagnostics: str = "") -> Issue:
    """A refusal's. `code` is ours."""
    kind = _BY_STATUS.get(status) or ("structure" if code[3:6] == "M02" else "invalid")
    return issue("error", kind, text, code, diagnostics=diagnostics)


def issues_of(faults: Iterable[Fault], kind: str) -> list[Issue]:
    """Of what validation found in a resource of that type, by FHIRPath."""
    return [
        issue("error", _BY_CODE.get(code, "invalid"), text, code, expression(path, kind))
        for path, text, code in faults
    ]


def expression(path: str, kind: str) -> str:
    """A JSON pointer into a resource as FHIRPath, in the simple subset that R4 asks for (fhirpath.html#simple).

    >>> expression("/name/0/family", "Patient"), expression("", "Patient")
    ('Patient.name[0].family', 'Patient')
    """
    steps = [step for step in path.split("/")[1:] if step]
    return kind + "".join(f"[{step}]" if step.isdecimal() else f".{step}" for step in steps)


class _Coding(msgspec.Struct):
    code: str = ""


class _Details(msgspec.Struct):
    coding: list[_Coding] = []


class _Issue(msgspec.Struct):
    severity: str = ""
    code: str = ""
    details: _Details | None = None
    expression: list[str] = []
    location: list[str] = []


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9]*(\[[0-9]{1,6}\]|\.[A-Za-z][A-Za-z0-9]*|\.[0-9]{1,6})*")


def issues_in(body: bytes) -> list[_Issue] | None:
    """Those of an OperationOutcome; None where it is none."""
    head = head_of(body)
    if head is None or head.resource_type != "OperationOutcome":
        return None
    return read(head.issue, list[_Issue], [])


def is_error(body: bytes) -> bool:
    """Whether a party says by an OperationOutcome that it did nothing."""
    return any(one.severity in ("error", "fatal") for one in issues_in(body) or ())


def told(body: bytes) -> str:
    """What a party's OperationOutcome may tell a journal: codes and places. Its texts may quote a patient's values.

    >>> told(b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required",'
    ...      b'"diagnostics":"Zhang San","expression":["Patient.name[0]"]}]}')
    'error required at Patient.name[0]'
    """
    said = []
    for one in (issues_in(body) or ())[:_TOLD]:
        codings = one.details.coding if one.details else []
        words = [one.severity, one.code, *(coding.code for coding in codings[:2])]
        text = " ".join(word for word in words if _WORD.fullmatch(word))
        places = [place for place in (one.expression or one.location)[:2] if _PLACE.fullmatch(place)]
        said.append(f"{text} at {', '.join(places)}" if places else text)
    return "; ".join(filter(None, said))
