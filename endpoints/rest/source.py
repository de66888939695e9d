"""The HTTP source: a route of the engine's web server."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, ClassVar, Literal

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from msgspec.structs import replace
from pydantic import Field
from starlette.requests import ClientDisconnect

from config.errors import JingluoError
from endpoints.base import Arrival, Deliver, Ground, Told, WebOptions, not_kept
from endpoints.limits import limit_problem, problem
from endpoints.rest.door import DoorOptions, WebDoor, kept_headers, read_body
from endpoints.rest.media import MEDIA_TYPES, content_type, media_type
from schemas.form import Form
from schemas.message import Message, Reply

log = structlog.get_logger()

_PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"


class SourceOptions(DoorOptions):
    """`from: {http: {method: POST, path: "/v1/patients"}}`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str = Field(pattern=r"^/", description="may hold parameters: /v1/patients/{id}")
    content_types: tuple[str, ...] = Field(
        (), description="taken; by default those of the format; `*` is any"
    )
    response: str = Field("", description="content type of an answer; by default that of its format")


class HttpSource(WebDoor):
    """Takes a request's body, or a GET's parameters as JSON or form data, and answers with the engine's reply."""

    Options: ClassVar[type[WebOptions]] = SourceOptions
    codes = frozenset(("200", "202", "204", "400", "503"))
    answers_in = "json"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options = options
        self._taken = options.content_types or MEDIA_TYPES.get(ground.format, ("*",))
        self._added = False

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        facts = {"tags": [self.ground.name], "summary": self.ground.name, "openapi_extra": self._openapi()}
        self.ground.web.add_route(
            self.options.path,
            [self.options.method],
            self._handle,
            who=self.options,
            channel=self.ground.name,
            **facts,
        )
        self._added = True

    def close(self) -> None:
        if self._added:
            self._added = False  # from now on the route may be another's
            assert self.ground.web is not None
            self.ground.web.remove_route(self.options.path, [self.options.method])

    async def _handle(self, request: Request) -> Response:
        if text := self.busy():
            return problem(503, "JL-E211", detail=text, headers={"retry-after": "5"})
        with self.at_work():
            try:
                return await self._answer(request)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it

    async def _answer(self, request: Request) -> Response:
        kind, charset = content_type(request.headers.get("content-type", ""))
        arrival, limit = Arrival(self.ground.spool), None
        if self.options.method == "GET":
            arrival.body, charset = _parameters(request, self.ground.format), "utf-8"
        else:
            if kind and kind not in self._taken and "*" not in self._taken:
                text = f"{kind} is not taken here"
                return problem(415, "JL-E212", detail=text, headers={"accept": ", ".join(self._taken)})
            try:
                limit = await read_body(request, arrival, self.options.max_size, self.options.body_within)
            except JingluoError as error:
                log.warning(
                    "http.large_not_kept", channel=self.ground.name, code=error.code, reason=error.text
                )
                return self._respond(not_kept(error))
        client = request.client.host if request.client else ""
        headers = self._headers(request, kind)
        message = Message(arrival.body, f"http {client}", headers, charset=charset, blob=arrival.blob)
        if limit is not None:  # the engine refuses it, and files its head
            message = replace(message, fault=limit.detail, fault_code=limit.code)
        reply = await asyncio.shield(self._deliver(message))
        if limit is not None:
            return limit_problem(limit, reply.id if reply.state == "refused" else "")
        return self._respond(reply)

    def _headers(self, request: Request, kind: str) -> dict[str, str]:
        kept = kept_headers(request, self.options.headers, kind)
        kept |= {f"query.{name}": value for name, value in request.query_params.items()}
        return kept | {f"param.{name}": str(value) for name, value in request.path_params.items()}

    def told(self, message: Message, reply: Reply) -> Told:
        response = self._respond(reply)
        form = reply.format if reply.state == "answered" else "json"
        return Told(str(response.status_code), bytes(response.body), form)

    def _respond(self, reply: Reply) -> Response:
        if reply.state == "answered":
            return Response(reply.body, 200, media_type=self.options.response or media_type(reply.format))
        if reply.state == "refused":
            return problem(400, reply.code, detail=reply.text, id=reply.id, path=reply.path)
        if reply.state == "failed":
            headers = {"retry-after": str(reply.retry_after_s or 5)}
            return problem(503, reply.code, detail=reply.text, headers=headers)
        if reply.silent:
            return Response(status_code=204)
        told = {"id": reply.id, "state": reply.state}
        return JSONResponse(told | ({"detail": _PENDING} if reply.state == "pending" else {}), 202)

    def _openapi(self) -> dict[str, Any]:
        names = re.findall(r"\{(\w+)", self.options.path)
        schema = {"type": "string"}
        facts: dict[str, Any] = {
            "parameters": [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]
        }
        if self.options.method != "GET":
            facts["requestBody"] = {"content": {t if t != "*" else "*/*": {} for t in self._taken}}
        return facts


def _parameters(request: Request, format: str) -> bytes:
    """Path and query parameters as a JSON object, or as a form; one that stands several times is a list."""
    made: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        made[name] = values[0] if len(values) == 1 else values
    made |= request.path_params
    if format == "form":
        return Form().encode(
            {name: value if isinstance(value, list) else str(value) for name, value in made.items()}
        )
    return json.dumps(made, ensure_ascii=False, default=str).encode()
