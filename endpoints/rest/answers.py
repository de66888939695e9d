"""The engine's reply in HTTP's words. Each answer says in `jingluo-state` what it comes to, whatever its body is.

answered  done: the destination's answer, 200
accepted  kept, and delivered later, 202          pending  kept, no answer yet: do not send it again, 202
refused   nothing was done: the message is at fault, 4xx
failed    nothing was kept: send it again, 503
"""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import JSONResponse

from endpoints.limits import problem
from endpoints.rest.describe import answer_type
from schemas.message import Reply

_PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"
REPEATED = {"JL-M080": 422, "JL-M081": 409}  # of what is refused; everything else is 400


def respond(reply: Reply, response: str = "", later: str = "") -> Response:
    """`response`: the option of that name. `later`: the path under which a later answer is asked for, if any."""
    made = _made(reply, response)
    made.headers["jingluo-state"] = reply.state
    if reply.id:
        made.headers["jingluo-id"] = reply.id
    if reply.again:
        made.headers["idempotent-replayed"] = "true"
    if reply.state == "pending" and later:
        made.headers["location"] = f"{later}/{reply.id}"
    return made


def _made(reply: Reply, response: str) -> Response:
    if reply.state == "answered" and reply.body:
        return Response(reply.body, 200, media_type=answer_type(response, reply.format))
    if reply.state == "refused":
        status = REPEATED.get(reply.code, 400)
        headers = {"retry-after": "1"} if status == 409 else {}
        return problem(
            status,
            reply.code,
            detail=reply.text,
            headers=headers,
            id=reply.id,
            path=reply.path,
            state=reply.state,
            errors=[{"path": path, "text": text, "code": code} for path, text, code in reply.faults],
        )
    if reply.state == "failed":
        headers = {"retry-after": str(reply.retry_after_s or 5)}
        return problem(503, reply.code, detail=reply.text, headers=headers, state=reply.state)
    if reply.silent:
        return Response(status_code=204)
    told = {"id": reply.id, "state": reply.state} | ({"detail": _PENDING} if reply.state == "pending" else {})
    return JSONResponse(told, 200 if reply.state == "answered" else 202)
