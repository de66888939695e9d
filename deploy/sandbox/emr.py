"""The electronic medical record: a FHIR R4 server that checks what it gets, and keeps it.

POST /fhir takes a transaction Bundle, all of it or nothing: 422 with an OperationOutcome where a resource breaks the
R4 schema; and a batch, of which each entry is checked and kept by itself. POST /fhir/Patient, PUT /fhir/Patient/17 and
PUT /fhir/Patient?identifier= write one resource. Conditional requests (`PUT Patient?identifier=...`, `ifNoneExist`)
find what is there by its identifier, so that the same message twice makes no second patient; a repeated
`Idempotency-Key` gets the answer that was given before.
GET /fhir/Patient/{id} and /fhir/Patient?identifier= answer queries; GET /fhir counts what is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from urllib.parse import urlencode

from config.registry import formats
from deploy.sandbox.http import HttpParty, Request, Response
from deploy.sandbox.record import Place, Record, Resource
from schemas.validation.base import Fault

_WRITES = {("POST", 1), ("POST", 2), ("PUT", 2), ("PUT", 3)}  # and how many parts the path has


class Emr(HttpParty):
    """Its books: `received` of what was written (by identifier, else by Idempotency-Key), `asked` of queries."""

    def __init__(self, port: int = 0, seed: int = 0) -> None:
        super().__init__("emr", port, seed)
        self.received: list[str] = []
        self.asked: list[str] = []
        self.news = asyncio.Event()  # set when something was kept
        self.record = Record()
        self.kept = self.record.kept
        self.counts = self.record.counts
        self._answers: dict[str, Response] = {}  # by Idempotency-Key
        self._fhir = formats.get("fhir")

    def knows(self, patient: str) -> bool:
        """Whether it keeps a patient of that number."""
        return bool(self.record.found("Patient", patient))

    def answer(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[0] != "fhir" or len(parts) > 3:
            return self.refusal(404, f"nothing is served at {request.path}")
        if (request.method, len(parts)) in _WRITES:
            return self._written(request, "/".join(parts[1:]))
        if request.method != "GET":
            return self.refusal(405, f"{request.method} is not served")
        if len(parts) == 1:
            return Response(200, dict(self.counts()))
        if len(parts) == 2:
            return self._search(parts[1], request.query.get("identifier", ""))
        found = self.kept.get(parts[1], {}).get(parts[2])
        return Response(200, found) if found else self.refusal(404, f"there is no {parts[1]}/{parts[2]}")

    def refusal(self, status: int, text: str, *faults: Fault) -> Response:
        """An OperationOutcome."""
        return Response(status, _outcome([str(fault) for fault in faults] or [text]))

    def _written(self, request: Request, path: str) -> Response:
        """What is sent to the base is a bundle, what is sent to a type one resource. Once under one key."""
        try:
            body = json.loads(request.body)
        except ValueError as error:
            return self.refusal(400, f"not JSON: {error}")
        kind = body.get("type") if isinstance(body, dict) else None
        if not isinstance(body, dict) or (not path and kind not in ("transaction", "batch")):
            return self.refusal(400, "a resource, or a Bundle of type transaction or batch, is expected")
        wrong = [] if not path and kind == "batch" else self._fhir.validate(body)
        if wrong:
            return self.refusal(422, "breaks the R4 schema", *wrong[:20])
        if kind == "transaction" and not path and not all(map(_writes, body.get("entry", []))):
            return self.refusal(422, "entries that read, patch or delete are not served")
        key = request.headers.get("idempotency-key", "")
        self.received.append(_number(body) or key)
        if key in self._answers:
            return self._answers[key]
        if path:
            response = self._one(request, path, body)
        else:
            each = self._batch if kind == "batch" else self._transaction
            said = {
                "resourceType": "Bundle",
                "type": f"{kind}-response",
                "entry": each(body.get("entry", [])),
            }
            response = Response(200, said)
        self.news.set()
        if key:
            self._answers[key] = response
        return response

    def _one(self, request: Request, path: str, resource: Resource) -> Response:
        query = f"?{urlencode(request.query)}" if request.query else ""
        asked = {"method": request.method, "url": path + query}
        asked["ifNoneExist"] = request.headers.get("if-none-exist", "")
        (place,) = self.record.written([{"resource": resource, "request": asked}])
        where = f"http://{request.headers.get('host', 'emr')}/fhir/{place.url}/_history/1"
        return Response(201 if place.new else 200, self.kept[place.kind][place.id], {"Location": where})

    def _transaction(self, entries: list[Resource]) -> list[Resource]:
        return [_said(place) for place in self.record.written(entries)]

    def _batch(self, entries: list[Resource]) -> list[Resource]:
        """Each by itself."""
        said = []
        for entry in entries:
            wrong = self._fhir.validate({"resourceType": "Bundle", "type": "batch", "entry": [entry]})
            if wrong:
                said.append({"response": {"status": "422", "outcome": _outcome(map(str, wrong[:20]))}})
            elif not _writes(entry):
                said.append({"response": {"status": "405"}})
            else:
                said += self._transaction([entry])
        return said

    def _search(self, kind: str, token: str) -> Response:
        self.asked.append(token)
        entries = [{"resource": self.kept[kind][id]} for id in self.record.found(kind, token)]
        found = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return Response(200, {**found, "entry": entries} if entries else found)


def _outcome(lines: Iterable[str]) -> Resource:
    issues = [{"severity": "error", "code": "invalid", "diagnostics": line} for line in lines]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _writes(entry: Resource) -> bool:
    return entry["request"]["method"] in ("POST", "PUT") and "resource" in entry


def _said(place: Place) -> Resource:
    return {"response": {"status": "201" if place.new else "200", "location": place.url}}


def _number(body: Resource) -> str:
    """Of a bundle, by which the books know it."""
    identifier = body.get("identifier")
    return str(identifier.get("value") or "") if isinstance(identifier, dict) else ""
