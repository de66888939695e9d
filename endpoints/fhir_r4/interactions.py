"""What a request of FHIR's REST interface asks for (R4, http.html), and how one is written in an entry of a Bundle."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

Interaction = Literal["create", "update", "transaction", "batch", "read", "vread", "history", "search"]
ASKING: frozenset[str] = frozenset(("read", "vread", "history", "search"))  # they change nothing
BUNDLES: frozenset[str] = frozenset(("transaction", "batch"))
ANY = "*"  # each type

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OURS = {"_format", "_pretty"}  # parameters that say how the answer is written
_MOST_PARAMETERS = 100


class Asked(NamedTuple):
    """`url` is relative to a base, as in `Bundle.entry.request`; `id` that of an update."""

    interaction: str  # an Interaction; 'bundle' where only the body says which
    type: str
    url: str
    id: str = ""


class NotAsked(Exception):
    """No request that FHIR has, or that is taken here: the status, and the issue's code."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def understood(method: str, path: str, query: str) -> Asked:
    """`path` below the base, decoded; `query` as it came. Raises NotAsked.

    >>> understood("GET", "Patient/17", "_format=json")
    Asked(interaction='read', type='Patient', url='Patient/17', id='')
    >>> understood("PUT", "Patient", "identifier=urn:a|1").url
    'Patient?identifier=urn%3Aa%7C1'
    """
    parts = path.split("/") if path else []
    criteria = criteria_of(query)
    if method == "GET":
        return _question(parts, criteria)
    if method == "POST":
        if not parts:
            return Asked("bundle", "Bundle", "")
        if len(parts) == 1:
            return Asked("create", _type(parts[0]), parts[0])
        if parts[-1] == "_search" and len(parts) == 2:
            return _question(parts[:1], criteria)
    if method == "PUT" and len(parts) == 2:
        return Asked("update", _type(parts[0]), f"{parts[0]}/{_id(parts[1])}", parts[1])
    if method == "PUT" and len(parts) == 1:
        if not criteria:
            raise NotAsked(
                400, "invalid", "an update names an id, or criteria: PUT [type]/[id], PUT [type]?..."
            )
        return Asked("update", _type(parts[0]), f"{parts[0]}?{criteria}")
    raise NotAsked(405, "not-supported", f"{method} is not taken here")


def criteria_of(query: str) -> str:
    """The parameters of a search written anew, without those that say how the answer is written. Raises NotAsked."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise NotAsked(400, "invalid", "the parameters cannot be read, or are too many") from None
    return urlencode([(name, value) for name, value in pairs if name not in _OURS])


def _question(parts: list[str], criteria: str) -> Asked:
    tail = f"?{criteria}" if criteria else ""
    match parts:
        case []:
            return Asked("search", ANY, tail)
        case [kind]:
            return Asked("search", _type(kind), kind + tail)
        case [kind, "_history"]:
            return Asked("history", _type(kind), f"{kind}/_history{tail}")
        case [kind, id]:
            return Asked("read", _type(kind), f"{kind}/{_id(id)}{tail}")
        case [kind, id, "_history"]:
            return Asked("history", _type(kind), f"{kind}/{_id(id)}/_history{tail}")
        case [kind, id, "_history", version]:
            return Asked("vread", _type(kind), f"{kind}/{_id(id)}/_history/{_id(version)}{tail}")
    raise NotAsked(404, "not-found", "nothing of FHIR's REST interface is there")


def _type(name: str) -> str:
    if not _TYPE.fullmatch(name):
        raise NotAsked(404, "not-supported", "the path names no resource type")
    return name


def _id(name: str) -> str:
    if not _ID.fullmatch(name):
        raise NotAsked(404, "not-found", "the path holds an id that cannot be one")
    return name
