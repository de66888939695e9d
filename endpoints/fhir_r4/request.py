"""How a message becomes a request to a party: as the body says, as it came in, or as the destination is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from config.errors import Refused
from endpoints.fhir_r4.interactions import ASKING, BUNDLES, NotAsked, understood
from endpoints.fhir_r4.outcome import MEDIA
from endpoints.fhir_r4.reading import Head, head_of, questioned
from schemas.message import Message

Sends = Literal["body", "transaction", "batch", "create", "update", "question"]
Match = Literal["", "identifier"]

# What a source keeps of a request, by message headers.
INTERACTION, URL = "fhir.interaction", "fhir.url"
CONDITIONS = ("if-none-exist", "if-match", "if-none-match", "if-modified-since")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # no header can hold it
_MARKS = re.compile(r"([\\,$|])")  # that a search's values have a backslash before (R4 search.html#escaping)


class Wanted(NamedTuple):
    """`url` is relative to the party's base. `kind` says how the answer is read; `head` is the message's."""

    method: str
    url: str
    headers: Mapping[str, str]
    kind: Literal["question", "bundle", "resource"]
    head: Head


def wanted(message: Message, sends: Sends, match: Match) -> Wanted:
    """Raises Refused (JL-E716): the message is not what is sent so."""
    head = head_of(message.body)
    if head is None:
        raise _unfit("the message is no FHIR resource in JSON")
    if sends == "question" or (sends == "body" and message.headers.get(INTERACTION) in ASKING):
        return _question(head)
    if sends in BUNDLES or (sends == "body" and head.bundle in BUNDLES):
        if head.bundle not in BUNDLES or (sends in BUNDLES and head.bundle != sends):
            raise _unfit(f"the message is no Bundle of type {sends}")
        return Wanted("POST", "", _SENT, "bundle", head)
    if sends == "body" and (came := _as_it_came(message, head)) is not None:
        return came
    if sends == "update" or (sends == "body" and head.id):
        return _update(head, match)
    criteria = {"if-none-exist": _identifier(head)} if match else {}
    return Wanted("POST", head.resource_type, _SENT | criteria, "resource", head)


_SENT = {"content-type": MEDIA, "accept": MEDIA}


def _question(head: Head) -> Wanted:
    asked = questioned(head)
    if asked is None:
        raise _unfit("a question is a Bundle of type batch with one entry, a GET")
    what, request = asked
    if _CONTROL.search(request.if_none_match + request.if_modified_since):
        raise _unfit("a condition of the question holds a control character")
    headers = {"accept": MEDIA}
    headers |= {"if-none-match": request.if_none_match} if request.if_none_match else {}
    headers |= {"if-modified-since": request.if_modified_since} if request.if_modified_since else {}
    return Wanted("GET", what.url, headers, "question", head)


def _as_it_came(message: Message, head: Head) -> Wanted | None:
    """What a FHIR source took, where it still is of the type that it was."""
    method, (path, _, query) = message.headers.get("method", ""), message.headers.get(URL, "").partition("?")
    try:
        asked = understood(method, path, query)
    except NotAsked:
        return None
    if asked.interaction not in ("create", "update") or asked.type != head.resource_type:
        return None
    conditions = {name: message.headers[name] for name in CONDITIONS if name in message.headers}
    return Wanted(method, asked.url, _SENT | conditions, "resource", head)


def _update(head: Head, match: Match) -> Wanted:
    if match:
        return Wanted("PUT", f"{head.resource_type}?{_identifier(head)}", _SENT, "resource", head)
    try:
        asked = understood("PUT", f"{head.resource_type}/{head.id}", "")
    except NotAsked:
        raise _unfit("an update needs a resource with an id, or `match: identifier`") from None
    return Wanted("PUT", asked.url, _SENT, "resource", head)


def _identifier(head: Head) -> str:
    """The first with a system, else the first, as criteria of a search: `identifier=system|value`."""
    known = sorted((one for one in head.identifiers if one.value), key=lambda one: not one.system)
    if not known:
        raise _unfit("`match: identifier`, and the resource has none")
    system, value = (_MARKS.sub(r"\\\1", text) for text in (known[0].system, known[0].value))
    return urlencode({"identifier": f"{system}|{value}" if system else value})


def _unfit(text: str) -> Refused:
    return Refused("JL-E716", text)
