"""A party's links as ours: whoever is answered comes back to the engine, and never learns where the party is."""

from __future__ import annotations

from typing import Any

from schemas.json import Json

_json = Json()
_LINKS = {"fullUrl", "location", "reference"}


def rewritten(body: bytes, theirs: str, ours: str) -> bytes:
    """The body with `fullUrl`, `location`, `reference` and the urls of a Bundle's `link`s below `ours`.

    Nothing else is touched: a system of identifiers may begin like the party's address. Numbers keep their digits.
    """
    if theirs.encode() not in body and theirs.replace("/", "\\/").encode() not in body:
        return body
    return _json.encode(_walked(_json.decode(body), theirs, ours))


def moved(url: str, theirs: str, ours: str) -> str:
    """
    >>> moved("http://emr/fhir/Patient/1", "http://emr/fhir", "https://us/fhir"), moved("urn:uuid:1", "http://emr", "")
    ('https://us/fhir/Patient/1', 'urn:uuid:1')
    """
    if url == theirs or (url.startswith(theirs) and url[len(theirs)] in "/?"):
        return ours + url[len(theirs) :]
    return url


def _walked(node: Any, theirs: str, ours: str) -> Any:
    if isinstance(node, list):
        return [_walked(item, theirs, ours) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _walked(value, theirs, ours) for key, value in node.items()}
    for key in _LINKS & made.keys():
        if isinstance(made[key], str):
            made[key] = moved(made[key], theirs, ours)
    links = made.get("link") if made.get("resourceType") == "Bundle" else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and isinstance(link.get("url"), str):
            link["url"] = moved(link["url"], theirs, ours)
    return made
