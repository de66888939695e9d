"""The HTTP source: a route of the engine's web server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any, ClassVar, Literal

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from msgspec.structs import replace
from pydantic import Field, field_validator
from starlette.requests import ClientDisconnect

from config.errors import JingluoError
from config.tls import Callers, Peer
from config.units import Seconds, Size
from endpoints.base import Arrival, Deliver, Ground, Options, Told, not_kept
from endpoints.rest.media import MEDIA_TYPES, content_type, media_type
from endpoints.web import BODY_WITHIN_S, Body, Limit, limit_problem, problem, too_large
from schemas.form import Form
from schemas.message import Message, Reply

log = structlog.get_logger()

_HEAD_WITHIN_S = 1.0  # how long the beginning of a body that is not taken is waited for
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie"}
_TOO_MANY = "too many requests at once 并发请求过多"
_PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"


class SourceOptions(Options):
    """`from: {http: {method: POST, path: "/v1/patients"}}`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str = Field(pattern=r"^/", description="may hold parameters: /v1/patients/{id}")
    content_types: tuple[str, ...] = Field(
        (), description="taken; by default those of the format; `*` is any"
    )
    response: str = Field("", description="content type of an answer; by default that of its format")
    headers: tuple[str, ...] = Field(
        ("x-request-id",), max_length=32, description="request headers that the message keeps"
    )
    max_size: Size = Field(100_000_000, description="of a body; a larger one is answered 413")
    requests: int = Field(200, ge=1, description="at once; a further one is answered 503")
    body_within: Seconds = Field(
        BODY_WITHIN_S, description="a body that takes longer is answered 408; a large one: for each MB"
    )
    stop_within: Seconds = Field(10.0, description="how long a stop waits for the answers still owed")
    tls: Callers = Field(
        Callers(), description="who may come in; `http.tls` of jingluo.yaml is the door's own"
    )

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        lower = tuple(name.lower() for name in names)
        if secret := _SECRET_HEADERS & set(lower):
            raise ValueError(f"{min(secret)} holds a credential and is never kept")
        if ours := [name for name in lower if "." in name]:
            raise ValueError(f"{ours[0]}: names with a dot are the engine's own")
        return lower


class HttpSource:
    """Takes a request's body, or a GET's parameters as JSON or form data, and answers with the engine's reply."""

    Options: ClassVar[type[Options]] = SourceOptions
    codes = frozenset(("200", "202", "204", "400", "503"))
    answers_in = "json"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._taken = options.content_types or MEDIA_TYPES.get(ground.format, ("*",))
        self._paused = False
        self._added = False
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._deliver: Deliver

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        facts = {"tags": [self.ground.name], "summary": self.ground.name, "openapi_extra": self._openapi()}
        self.ground.web.add_route(self.options.path, [self.options.method], self._handle, **facts)
        self._added = True

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def close(self) -> None:
        if self._added:
            self._added = False  # from now on the route may be another's
            assert self.ground.web is not None
            self.ground.web.remove_route(self.options.path, [self.options.method])

    async def stop(self) -> None:
        self.close()
        with contextlib.suppress(TimeoutError):  # what is left then, the web server's own stop cuts
            await asyncio.wait_for(self._none_open.wait(), self.options.stop_within)

    async def _handle(self, request: Request) -> Response:
        if self._paused or self._open >= self.options.requests:
            text = "the channel is paused 通道已暂停" if self._paused else _TOO_MANY
            return problem(503, "JL-E211", detail=text, headers={"retry-after": "5"})
        if not self._may_come_in(_peer(request)):
            return problem(
                403, "JL-E213", detail="this needs a certificate that may come in 需要受信任的客户端证书"
            )
        self._open += 1
        self._none_open.clear()
        try:
            return await self._answer(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    def _may_come_in(self, peer: Peer | None) -> bool:
        if peer is None:
            return self.options.tls.client != "required"
        return peer.among(self.options.tls.names)

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
                limit = await self._read(request, arrival)
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

    async def _read(self, request: Request, arrival: Arrival) -> Limit | None:
        """The body; or the limit that it went over, and its head. Raises JingluoError where it cannot be kept."""
        size, within = self.options.max_size, self.options.body_within
        over, length = None, request.headers.get("content-length", "")
        if length.isdigit() and int(length) > size:
            over, size, within = too_large(size), 0, min(within, _HEAD_WITHIN_S)
            if "expect" in request.headers:  # reading would invite all of it
                return over
        receive = Body(request.receive, size, within)
        try:
            more = True
            while more:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientDisconnect
                await arrival.take(event.get("body", b""))
                more = event.get("more_body", False)
            await arrival.end()
        except Limit as limit:
            arrival.body = receive.head
            return over or limit
        finally:
            await arrival.give_up()
        return None

    def _headers(self, request: Request, kind: str) -> dict[str, str]:
        kept = {name: request.headers[name] for name in self.options.headers if name in request.headers}
        kept |= {f"query.{name}": value for name, value in request.query_params.items()}
        kept |= {f"param.{name}": str(value) for name, value in request.path_params.items()}
        kept |= {"method": request.method, "path": request.url.path}
        if (peer := _peer(request)) is not None:
            kept["tls.subject"] = peer.subject
        return kept | ({"content-type": kind} if kind else {})

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


def _peer(request: Request) -> Peer | None:
    return getattr(request.state, "peer", None)


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
