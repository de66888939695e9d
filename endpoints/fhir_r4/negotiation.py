"""In which format a client writes, and wants to read: JSON of R4, and nothing else (R4, http.html#mime-type)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import Request, Response

from endpoints.limits import problem
from endpoints.rest.media import content_type

JSON = ("application/fhir+json", "application/json", "text/json", "application/json+fhir")
FORM = ("application/x-www-form-urlencoded",)  # of a search by POST
_FORMATS = {"json", *JSON}  # of `_format`
_VERSION = re.compile(r"fhirVersion\s*=\s*\"?([0-9.]+)", re.IGNORECASE)


def not_json(request: Request, taken: Sequence[str] = JSON) -> Response | None:
    """A refusal of another format, or another release than R4; `taken` are the content types of a body."""
    said = request.headers.get("content-type", "")
    kind, _ = content_type(said)
    if kind and request.method != "GET" and (kind not in taken or _other_release(said)):
        text = f"{kind} is not taken here; FHIR R4 in JSON is 仅支持 JSON"
        return problem(415, "JL-E212", detail=text, headers={"accept": ", ".join(taken[:2])})
    wished, accept = request.query_params.get("_format", ""), request.headers.get("accept", "")
    if wished and content_type(wished.replace(" ", "+"))[0] not in _FORMATS and wished not in _FORMATS:
        return problem(406, "JL-E704", detail="_format is json here, and nothing else")
    if not wished and accept and not any(map(_acceptable, accept.split(","))):
        return problem(406, "JL-E704", detail="answers are FHIR R4 in JSON: Accept: application/fhir+json")
    return None


def _acceptable(one: str) -> bool:
    kind, _ = content_type(one.strip())
    return kind in (*JSON, "*/*", "application/*") and not _other_release(one)


def _other_release(media: str) -> bool:
    found = _VERSION.search(media)
    return found is not None and found[1] not in ("4.0", "4.0.1")
