"""The engine's reply in FHIR's words: the party's answer where it is the reply, else an OperationOutcome.

answered  the party's status, Location, ETag and body            accepted  202, informational: kept, delivered later
refused   4xx: nothing was done; the party's own outcome, or ours   failed   503: nothing was kept
pending   202: kept, no answer yet, do not send it again. A read or a search: 504, for it may be asked again
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from fastapi import Response
from msgspec.structs import replace

from config.errors import BadMessage
from endpoints.fhir_r4.interactions import ASKING, Asked
from endpoints.fhir_r4.judge import BASE, STATUS
from endpoints.fhir_r4.links import rewritten
from endpoints.fhir_r4.outcome import MEDIA, Issue, issue, issue_of, issues_in, issues_of, outcome
from endpoints.fhir_r4.reading import head_of
from endpoints.rest.answers import REPEATED
from schemas.message import Reply

ACCEPTED = "accepted and kept; it is delivered without you 已收下"
PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"
NO_ANSWER = "no answer in time; ask again 暂无应答，请稍后再查"
DONE = "done 已完成"

# What a refusal comes to. The party's refusals of us ourselves (401, 403) and all others are no fault of who asks.
_STATUS = {
    **REPEATED,
    "JL-E701": 400,
    "JL-E710": 400,
    "JL-E711": 409,
    "JL-E712": 412,
    "JL-E713": 422,
    "JL-E715": 502,
    "JL-E224": 502,
    "JL-E225": 502,
}
# Of what was written, at the end of a Location: whatever the party calls itself.
_PLACE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?$")
_BROKEN_RULE = 422  # what validation finds; what cannot be read is 400


class For(NamedTuple):
    """What is known of the request. `base` is ours, absolute; `later`: where a later answer is asked for."""

    asked: Asked
    base: str = ""
    prefer: Literal["", "minimal", "representation", "OperationOutcome"] = ""
    later: str = ""


def respond(reply: Reply, to: For) -> Response:
    if _is_batch(reply):
        reply = replace(reply, state="answered")
    made = _made(reply, to)
    made.headers["jingluo-state"] = reply.state
    if reply.id:
        made.headers["jingluo-id"] = reply.id
    if reply.again:
        made.headers["idempotent-replayed"] = "true"
    if reply.state == "pending" and to.later:
        made.headers["content-location"] = f"{to.later}/{reply.id}"
    return made


def _is_batch(reply: Reply) -> bool:
    """Some of a batch failed: who waits is told entry by entry, as FHIR has it, and an operator by a dead letter."""
    if reply.state != "refused" or reply.code != "JL-E715":
        return False
    head = head_of(reply.body)
    return head is not None and head.bundle == "batch-response"


def _made(reply: Reply, to: For) -> Response:
    if reply.state == "answered":
        return _answered(reply, to)
    if reply.state == "refused":
        return _refused(reply, to)
    if reply.state == "failed":
        headers = {"retry-after": str(reply.retry_after_s or 5)}
        return _said(503, issue_of(503, reply.code, reply.text), headers=headers)
    if reply.state == "pending":
        if to.asked.interaction in ASKING:
            return _said(504, issue_of(504, reply.code or "JL-E705", NO_ANSWER, reply.id))
        return _said(202, issue("information", "informational", PENDING, reply.code, diagnostics=reply.id))
    if reply.silent or to.prefer == "minimal":
        return Response(status_code=202)
    return _said(202, issue("information", "informational", ACCEPTED, diagnostics=reply.id))


def _answered(reply: Reply, to: For) -> Response:
    status, theirs = int(reply.headers.get(STATUS, "200")), reply.headers.get(BASE, "")
    headers = {name: reply.headers[name] for name in ("etag", "last-modified") if name in reply.headers}
    if theirs and (place := _PLACE.search(reply.headers.get("location", ""))):
        headers["location"] = f"{to.base}/{place[0]}"
    if status == 304:
        return Response(status_code=304, headers=headers)
    single = to.asked.interaction in ("create", "update") and status < 300
    if single and to.prefer == "minimal":
        return Response(status_code=status, headers=headers)
    body = _body(reply, theirs, to.base)
    if not body or (single and to.prefer == "OperationOutcome" and issues_in(body) is None):
        if single and not to.prefer:
            return Response(status_code=status, headers=headers)
        severe = status >= 400
        said = issue_of(status, "", "") if severe else issue("information", "informational", DONE)
        return _said(200 if status == 204 else status, said, headers=headers)
    return Response(body, status, headers, MEDIA)


def _body(reply: Reply, theirs: str, ours: str) -> bytes:
    """What is FHIR of an answer."""
    if head_of(reply.body) is None:
        return b""
    try:
        return rewritten(reply.body, theirs, ours) if theirs else reply.body
    except BadMessage:  # JSON with a key that stands twice, or nested without end
        return b""


def _refused(reply: Reply, to: For) -> Response:
    status = _STATUS.get(reply.code) or (_BROKEN_RULE if reply.code[3:4] == "V" else 400)
    headers = {"retry-after": "1"} if reply.code == "JL-M081" else {}
    if issues_in(reply.body):
        return Response(reply.body, status, headers, MEDIA)
    if reply.faults:
        kind = "Bundle" if to.asked.interaction == "bundle" else to.asked.type
        return _said(status, *issues_of(reply.faults, kind), headers=headers)
    return _said(status, issue_of(status, reply.code, reply.text, reply.id), headers=headers)


def _said(status: int, *issues: Issue, headers: Mapping[str, str] | None = None) -> Response:
    return Response(outcome(*issues), status, headers, MEDIA)
