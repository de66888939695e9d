"""What the medical record keeps, and what becomes of the entries of a bundle (FHIR R4, http.html#transaction)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Resource = dict[str, Any]


class Place(NamedTuple):
    """Of a resource that is written."""

    kind: str
    id: str
    new: bool

    @property
    def url(self) -> str:
        return f"{self.kind}/{self.id}"


class Record:
    """Resources by type, by id. A resource is found by its identifiers, so that the same one twice is there once."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Resource]] = {}
        self._by_identifier: dict[tuple[str, str], dict[str, str]] = {}  # type and value: system to id
        self._numbers = itertools.count(1)

    def counts(self) -> Counter[str]:
        return Counter({kind: len(resources) for kind, resources in self.kept.items()})

    def found(self, kind: str, token: str) -> list[str]:
        """Ids of what has that identifier: `value`, or `system|value`."""
        system, _, value = token.rpartition("|")
        known = self._by_identifier.get((kind, value), {})
        return sorted({id for its_system, id in known.items() if system in ("", its_system)})

    def written(self, entries: Sequence[Resource]) -> list[Place]:
        """First every entry gets its place, then references inside are pointed there, then all are kept."""
        places = [self._place(entry) for entry in entries]
        by_url = {
            entry["fullUrl"]: place.url
            for entry, place in zip(entries, places, strict=True)
            if "fullUrl" in entry
        }
        for entry, place in zip(entries, places, strict=True):
            if place.new or entry["request"]["method"] == "PUT":
                self._keep(place.kind, place.id, _pointed(entry["resource"], by_url))
        return places

    def _place(self, entry: Resource) -> Place:
        request = entry["request"]
        url = urlsplit(request["url"])
        kind = entry["resource"]["resourceType"]
        if url.path != kind and "/" in url.path:  # PUT Patient/17
            id = url.path.split("/")[1]
            return Place(kind, id, id not in self.kept.get(kind, {}))
        query = url.query or urlsplit("?" + request.get("ifNoneExist", "").lstrip("?")).query
        for token in parse_qs(query).get("identifier", []):
            system, _, value = token.rpartition("|")
            known = self._by_identifier.get((kind, value), {}).get(system)
            if known:
                return Place(kind, known, False)
        return Place(kind, str(next(self._numbers)), True)

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
