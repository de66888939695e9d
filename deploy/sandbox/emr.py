"""The electronic medical record: a FHIR R4 server that checks what it gets, and keeps it.

POST /fhir takes a transaction Bundle, all of it or nothing: 422 with an OperationOutcome where a resource
breaks the R4 schema. Conditional requests (`PUT Patient?identifier=...`, `ifNoneExist`) find what is there by
its identifier, so that the same message twice makes no second patient; a repeated `Idempotency-Key` gets the
answer that was given before.
GET /fhir/Patient/{id} and /fhir/Patient?identifier= answer queries; GET /fhir counts what is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from config.registry import formats
from deploy.sandbox.http import HttpParty, Request, Response
from schemas.validation.base import Fault

Resource = dict[str, Any]


class Emr(HttpParty):
    """Its books: `received` of bundles (by identifier, else by Idempotency-Key), `asked` of queries."""

    def __init__(self, port: int = 0, seed: int = 0) -> None:
        super().__init__("emr", port, seed)
        self.received: list[str] = []
        self.asked: list[str] = []
        self.kept: dict[str, dict[str, Resource]] = {}  # by type, by id
        self.news = asyncio.Event()  # set when a bundle was kept
        self._by_identifier: dict[tuple[str, str], dict[str, str]] = {}  # type and value: system to id
        self._answers: dict[str, Response] = {}  # by Idempotency-Key
        self._numbers = itertools.count(1)
        self._fhir = formats.get("fhir")

    def counts(self) -> Counter[str]:
        """How many resources of each type are kept."""
        return Counter({kind: len(resources) for kind, resources in self.kept.items()})

    def knows(self, patient: str) -> bool:
        """Whether it keeps a patient of that number."""
        return bool(self._found("Patient", patient))

    def answer(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[0] != "fhir" or len(parts) > 3:
            return self.refusal(404, f"nothing is served at {request.path}")
        if request.method == "POST" and len(parts) == 1:
            return self._post(request)
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
        said = [str(fault) for fault in faults] or [text]
        issues = [{"severity": "error", "code": "invalid", "diagnostics": line} for line in said]
        return Response(status, {"resourceType": "OperationOutcome", "issue": issues})

    def _post(self, request: Request) -> Response:
        try:
            bundle = json.loads(request.body)
        except ValueError as error:
            return self.refusal(400, f"not JSON: {error}")
        if not isinstance(bundle, dict) or bundle.get("type") != "transaction":
            return self.refusal(400, "a Bundle of type transaction is expected")
        key = request.headers.get("idempotency-key", "")
        wrong = self._fhir.validate(bundle)
        if wrong:
            return self.refusal(422, "breaks the R4 schema", *wrong[:20])
        self.received.append(bundle.get("identifier", {}).get("value") or key)
        if key in self._answers:
            return self._answers[key]
        response = Response(200, self._transact(bundle["entry"]))
        self.news.set()
        if key:
            self._answers[key] = response
        return response

    def _search(self, kind: str, token: str) -> Response:
        self.asked.append(token)
        entries = [{"resource": self.kept[kind][id]} for id in self._found(kind, token)]
        found = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return Response(200, {**found, "entry": entries} if entries else found)

    def _found(self, kind: str, token: str) -> list[str]:
        """Ids of what has that identifier: `value`, or `system|value`."""
        system, _, value = token.rpartition("|")
        known = self._by_identifier.get((kind, value), {})
        return sorted({id for its_system, id in known.items() if system in ("", its_system)})

    def _transact(self, entries: list[Resource]) -> Resource:
        """First every entry gets its place, then references inside are pointed there, then all are kept."""
        places = [self._place(entry) for entry in entries]
        by_url = {
            entry["fullUrl"]: f"{kind}/{id}"
            for entry, (kind, id, _) in zip(entries, places, strict=True)
            if "fullUrl" in entry
        }
        said = []
        for entry, (kind, id, new) in zip(entries, places, strict=True):
            if new or entry["request"]["method"] == "PUT":
                self._keep(kind, id, _pointed(entry["resource"], by_url))
            said.append({"response": {"status": "201" if new else "200", "location": f"{kind}/{id}"}})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": said}

    def _place(self, entry: Resource) -> tuple[str, str, bool]:
        """Type, id, and whether it is new."""
        request = entry["request"]
        url = urlsplit(request["url"])
        kind = entry["resource"]["resourceType"]
        if url.path != kind and "/" in url.path:  # PUT Patient/17
            id = url.path.split("/")[1]
            return kind, id, id not in self.kept.get(kind, {})
        query = url.query or urlsplit("?" + request.get("ifNoneExist", "").lstrip("?")).query
        for token in parse_qs(query).get("identifier", []):
            system, _, value = token.rpartition("|")
            known = self._by_identifier.get((kind, value), {}).get(system)
            if known:
                return kind, known, False
        return kind, str(next(self._numbers)), True

    def _keep(self, kind: str, id: str, resource: Resource) -> None:
        self.kept.setdefault(kind, {})[id] = {**resource, "id": id}
        identifiers = resource.get("identifier", [])
        for identifier in identifiers if isinstance(identifiers, list) else [identifiers]:
            if "value" in identifier:
                known = self._by_identifier.setdefault((kind, identifier["value"]), {})
                known[identifier.get("system", "")] = id


def _pointed(node: Any, by_url: dict[str, str]) -> Any:
    """A copy in which references to the bundle's own entries name what they became."""
    if isinstance(node, list):
        return [_pointed(item, by_url) for item in node]
    if not isinstance(node, dict):
        return node
    pointed = {key: _pointed(value, by_url) for key, value in node.items()}
    if isinstance(node.get("reference"), str):
        pointed["reference"] = by_url.get(node["reference"], node["reference"])
    return pointed
