"""FHIR resources. What a Bundle holds, and where its references lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from config.registry import function
from transforms.pipes import Whole


@function
def resources(value: Any, *, type: str) -> list[Any]:
    """Every entry of a Bundle that is of a type, or the message itself where it is a resource of that type:
    `$ | resources Encounter`. What a resource contains is found by its reference alone.

    >>> resources({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "7"}}]},
    ...     type="Patient")
    [{'resourceType': 'Patient', 'id': '7'}]
    """
    return [found for found in _entries(value) if found.get("resourceType") == type]


@function
def follow(value: Any, *, message: Whole) -> Any:
    """The resource to which a Reference leads, in the same message; of a list each of them. By `fullUrl`, by type
    and id, among what is contained beside it (`#id`), or by `identifier`; nothing where there is none, or where it
    may be one of several.

    >>> follow({"reference": "Patient/7"}, message=Whole({"resourceType": "Patient", "id": "7"}))
    {'resourceType': 'Patient', 'id': '7'}
    """
    links = _links(message)
    if isinstance(value, list):
        return [found for item in value if (found := links.target(item)) is not None]
    return links.target(value)


@function
def referrers(value: Any, *, type: str, member: str, message: Whole) -> list[Any]:
    """The other way round: the resources of a type that refer to this one by a member of theirs, such as all
    Observations of an order: `$ | referrers Observation basedOn`. Of a Reference those that refer to the same.

    >>> referrers({"reference": "Patient/7"}, type="Encounter", member="subject",
    ...     message=Whole({"resourceType": "Encounter", "subject": {"reference": "Patient/7"}}))
    [{'resourceType': 'Encounter', 'subject': {'reference': 'Patient/7'}}]
    """
    links = _links(message)
    wanted = links.name(value)
    return links.by_member(type, member).get(wanted, []) if wanted else []


def _entries(tree: Any) -> list[dict[str, Any]]:
    """The resources of a Bundle, or the one that is the message."""
    if isinstance(tree, dict) and tree.get("resourceType") == "Bundle":
        return _dicts([entry.get("resource") for entry in _dicts(tree.get("entry"))])
    return _dicts(tree)


def _all(tree: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every resource of a message, with the one that contains it (itself, where none does)."""
    entries = _entries(tree)
    yield from ((entry, entry) for entry in entries)
    for entry in entries:
        yield from ((inner, entry) for inner in _dicts(entry.get("contained")))


def _dicts(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


# Of what a Reference leads to: the resource, or what is said of it where it is not there.
Name = tuple[str, Any]


def _links(message: Whole) -> _Links:
    """Made once for a message."""
    found = message.memo.get(_Links)
    if found is None:
        found = message.memo[_Links] = _Links(message.tree)
    made: _Links = found
    return made


class _Links:
    """The resources of a message by the names that references have for them. A name of two is the name of none."""

    def __init__(self, tree: Any) -> None:
        self._found: dict[Name, dict[str, Any] | None] = {}
        self._all = list(_all(tree))
        # What is contained: by id() of the resource around it, and its own id.
        self._inside: dict[tuple[int, str], dict[str, Any]] = {}
        # The resource in which a Reference stands: by id() of the Reference.
        self._around: dict[int, dict[str, Any]] | None = None
        self._by_member: dict[tuple[str, str], dict[Name, list[Any]]] = {}
        for entry in _dicts(tree.get("entry") if isinstance(tree, dict) else None):
            if isinstance(entry.get("fullUrl"), str) and isinstance(entry.get("resource"), dict):
                self._note(("url", entry["fullUrl"]), entry["resource"])
                self._note(("url", "/".join(entry["fullUrl"].split("/")[-2:])), entry["resource"])
        for resource, holder in self._all:
            number = resource.get("id")
            if resource is holder:
                self._note(("url", f"{resource.get('resourceType')}/{number}"), resource)
            elif isinstance(number, str):
                self._note(("contained", number), resource)
                self._inside.setdefault((id(holder), number), resource)
            for identifier in _dicts(resource.get("identifier")):
                self._note(_identifier(identifier), resource)

    def _note(self, name: Name | None, resource: dict[str, Any]) -> None:
        if name is not None and self._found.setdefault(name, resource) is not resource:
            self._found[name] = None

    def target(self, value: Any) -> dict[str, Any] | None:
        """The resource to which a Reference leads, or its address alone."""
        url = value.get("reference") if isinstance(value, dict) else value
        if isinstance(url, str) and url.startswith("#"):
            return self._contained(value, url[1:])
        name = self._said(value)
        return self._found.get(name) if name else None

    def _contained(self, reference: Any, number: str) -> dict[str, Any] | None:
        """`#id` is of the resource in which the reference stands, `#` that resource. Where it is not known in
        which it stands, of the only one that has the id.
        """
        if self._around is None:
            holders = {id(holder): holder for resource, holder in self._all if resource is not holder}
            self._around = {id(said): holder for holder in holders.values() for said in _references(holder)}
        holder = self._around.get(id(reference))
        if holder is None:
            return self._found.get(("contained", number))
        return self._inside.get((id(holder), number)) if number else holder

    def name(self, value: Any) -> Name | None:
        """Of a resource, or of what a Reference leads to."""
        target = value if isinstance(value, dict) and "resourceType" in value else self.target(value)
        return self._said(value) if target is None else ("resource", id(target))

    def _said(self, value: Any) -> Name | None:
        """What a Reference says of its target: where it is, without a version, or else its identifier."""
        url = value.get("reference") if isinstance(value, dict) else value
        if isinstance(url, str) and url:
            return "url", url.partition("/_history/")[0]
        return _identifier(value.get("identifier")) if isinstance(value, dict) else None

    def by_member(self, type: str, member: str) -> dict[Name, list[Any]]:
        """The resources of a type by what they name in a member."""
        key = type, member
        if key not in self._by_member:
            found = self._by_member[key] = {}
            for resource, _ in self._all:
                if resource.get("resourceType") == type:
                    names = map(self.name, _dicts(resource.get(member)))
                    for name in {name for name in names if name is not None}:
                        found.setdefault(name, []).append(resource)
        return self._by_member[key]


def _identifier(identifier: Any) -> Name | None:
    if not isinstance(identifier, dict) or not identifier.get("value"):
        return None
    return "identifier", (str(identifier.get("system", "")), str(identifier["value"]))


def _references(node: Any) -> Iterator[dict[str, Any]]:
    """The References in a resource."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("reference"), str):
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
