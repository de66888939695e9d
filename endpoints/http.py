"""HTTP: a source that is a route of the engine's web server, a destination that is a client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import replace
from email.message import Message as MimeHeaders
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx2
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.requests import ClientDisconnect

from config import registry
from config.errors import Refused, Unreachable
from config.units import Seconds, Size
from endpoints.base import Deliver, Ground, Options
from endpoints.web import BODY_WITHIN_S, Body, Limit, limit_problem, problem, too_large
from schemas.message import Message, Receipt, Reply

# What a format is called on the web: the first is what we send, all are taken.
MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "json": ("application/json", "text/json"),
    "fhir": ("application/fhir+json", "application/json"),
    "xml": ("application/xml", "text/xml", "application/soap+xml"),
    "hl7v2": ("x-application/hl7-v2+er7", "application/hl7-v2", "application/edi-hl7", "text/plain"),
}
_HEAD_WITHIN_S = 1.0  # how long the beginning of a body that is not taken is waited for
_UNKNOWN = ("application/octet-stream",)
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie"}
_TOO_MANY = "too many requests at once 并发请求过多"
_PENDING = "kept, no answer yet; do not send it again 已收下，尚无结果，请勿重发"


def media_type(format: str) -> str:
    return MEDIA_TYPES.get(format, _UNKNOWN)[0]


def _content_type(header: str) -> tuple[str, str]:
    """`text/xml; charset=GBK` to its type and charset, in lower case."""
    parsed = MimeHeaders()
    parsed["content-type"] = header
    return (parsed.get_content_type() if header else ""), parsed.get_content_charset("")


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
    max_size: Size = Field(10_000_000, description="of a body; a larger one is answered 413")
    requests: int = Field(200, ge=1, description="at once; a further one is answered 503")
    body_within: Seconds = Field(BODY_WITHIN_S, description="a body that takes longer is answered 408")
    stop_within: Seconds = Field(10.0, description="how long a stop waits for the answers still owed")

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        lower = tuple(name.lower() for name in names)
        if secret := _SECRET_HEADERS & set(lower):
            raise ValueError(f"{min(secret)} holds a credential and is never kept")
        return lower


@registry.source("http")
class HttpSource:
    """Takes a request's body, or a GET's parameters as a JSON object, and answers with the engine's reply."""

    Options: ClassVar[type[Options]] = SourceOptions

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._taken = options.content_types or MEDIA_TYPES.get(ground.format, ("*",))
        self._paused = False
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

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    async def stop(self) -> None:
        if self.ground.web is not None:
            self.ground.web.remove_route(self.options.path, [self.options.method])
        with contextlib.suppress(TimeoutError):  # what is left then, the web server's own stop cuts
            await asyncio.wait_for(self._none_open.wait(), self.options.stop_within)

    async def _handle(self, request: Request) -> Response:
        if self._paused or self._open >= self.options.requests:
            text = "the channel is paused 通道已暂停" if self._paused else _TOO_MANY
            return problem(503, "JL-E211", detail=text, headers={"retry-after": "5"})
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

    async def _answer(self, request: Request) -> Response:
        content_type, charset = _content_type(request.headers.get("content-type", ""))
        limit = None
        if self.options.method == "GET":
            body, charset = _parameters(request), "utf-8"
        else:
            if content_type and content_type not in self._taken and "*" not in self._taken:
                text = f"{content_type} is not taken here"
                return problem(415, "JL-E212", detail=text, headers={"accept": ", ".join(self._taken)})
            body, limit = await self._read(request)
        client = request.client.host if request.client else ""
        message = Message(body, f"http {client}", self._headers(request, content_type), charset=charset)
        if limit is not None:  # the engine refuses it, and files its head
            message = replace(message, fault=limit.detail, fault_code=limit.code)
        reply = await asyncio.shield(self._deliver(message))
        if limit is not None:
            return limit_problem(limit, reply.id if reply.state == "refused" else "")
        return self._respond(reply)

    async def _read(self, request: Request) -> tuple[bytes, Limit | None]:
        """The body; or its head, and the limit that it went over."""
        size, within = self.options.max_size, self.options.body_within
        over, length = None, request.headers.get("content-length", "")
        if length.isdigit() and int(length) > size:
            over, size, within = too_large(size), 0, min(within, _HEAD_WITHIN_S)
            if "expect" in request.headers:  # reading would invite all of it
                return b"", over
        receive = Body(request.receive, size, within)
        parts, more = [], True
        try:
            while more:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientDisconnect
                parts.append(event.get("body", b""))
                more = event.get("more_body", False)
        except Limit as limit:
            return receive.head, over or limit
        return b"".join(parts), None

    def _headers(self, request: Request, content_type: str) -> dict[str, str]:
        kept = {name: request.headers[name] for name in self.options.headers if name in request.headers}
        kept |= {f"query.{name}": value for name, value in request.query_params.items()}
        kept |= {f"param.{name}": str(value) for name, value in request.path_params.items()}
        kept |= {"method": request.method, "path": request.url.path}
        return kept | ({"content-type": content_type} if content_type else {})

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


def _parameters(request: Request) -> bytes:
    """Path and query parameters as a JSON object; one that stands several times is a list."""
    made: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        made[name] = values[0] if len(values) == 1 else values
    made |= request.path_params
    return json.dumps(made, ensure_ascii=False, default=str).encode()


class Auth(BaseModel):
    """`{bearer: secret://token}` or `{user: ..., password: secret://...}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bearer: str = Field("", repr=False)
    user: str = ""
    password: str = Field("", repr=False)


class DestinationOptions(Options):
    """`send: {http: {url: "https://emr.local/fhir"}}`."""

    url: str = Field(pattern=r"^https?://[^/\s]", description="with `query` it may hold {field} placeholders")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    query: bool = Field(False, description="the JSON body's fields become placeholders and query parameters")
    content_type: str = Field("", description="of what is sent; by default that of its format")
    headers: Mapping[str, str] = Field({}, description="sent with each message")
    auth: Auth | None = None
    verify: bool = Field(True, description="false: the receiver's certificate is not checked")
    ca_file: str = Field("", description="PEM of the authority that signed the receiver's certificate")
    timeout: Seconds = Field(30.0, description="from the request to the end of its answer")
    connect_within: Seconds = 10.0
    connections: int = Field(16, ge=1, description="at once; further messages wait for one")
    max_answer: Size = Field(10_000_000, description="of an answer; a larger one is an error")

    @model_validator(mode="after")
    def _fits(self) -> DestinationOptions:
        if self.method == "GET" and not self.query:
            raise ValueError("GET sends no body: write query: true")
        if "{" in self.url and not self.query:
            raise ValueError("a {field} in the url needs query: true")
        return self


_PLACE = re.compile(r"\{([^{}]+)\}")
_BUSY = {408, 425, 429, 503}  # it did not take the request
_GATEWAY = {502, 504}  # nobody knows what happened behind it
_KEPT_HEADERS = ("content-type", "location", "etag")
_MAX_WAIT_S = 86_400.0


@registry.destination("http")
class HttpDestination:
    """Sends each message as one request, always with the same `Idempotency-Key`: the message's id."""

    Options: ClassVar[type[Options]] = DestinationOptions

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._client: httpx2.AsyncClient

    async def start(self) -> None:
        """Raises OSError where the authority's file cannot be read."""
        self._client = httpx2.AsyncClient(
            headers=self._fixed_headers(),
            auth=self._basic(),
            verify=self._tls(),
            timeout=httpx2.Timeout(self.options.timeout, connect=self.options.connect_within),
            limits=httpx2.Limits(max_connections=self.options.connections),
            trust_env=False,
        )

    async def stop(self) -> None:
        await self._client.aclose()

    async def send(self, message: Message) -> Receipt:
        headers = {"idempotency-key": message.id} if message.id else {}
        url, body = self.options.url, message.body
        if self.options.query:
            url, body = _filled(url, body), b""
        else:
            headers["content-type"] = self._media_type(message)
        request = self._client.build_request(self.options.method, url, content=body or None, headers=headers)
        try:
            async with asyncio.timeout(self.options.timeout + self.options.connect_within):
                return await self._exchange(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Unreachable("JL-E220", f"no connection: {type(error).__name__}") from None
        except (httpx2.TimeoutException, TimeoutError):
            text = f"no answer within {self.options.timeout:g} s"
            raise Unreachable("JL-E221", text, maybe_done=True) from None
        except httpx2.HTTPError as error:
            text = f"the exchange broke off: {type(error).__name__}"
            raise Unreachable("JL-E222", text, maybe_done=True) from None

    async def _exchange(self, request: httpx2.Request) -> Receipt:
        response = await self._client.send(request, stream=True)
        try:
            answer = await self._answer(response)
        finally:
            await response.aclose()
        status = response.status_code
        if response.is_success:
            kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            return Receipt(str(status), answer, _format(kept.get("content-type", "")), kept)
        text = f"status {status} {response.reason_phrase}".strip()
        if status in _BUSY | _GATEWAY:
            after_s = self._retry_after(response.headers.get("retry-after", ""))
            raise Unreachable("JL-E223", text, maybe_done=status in _GATEWAY, after_s=after_s)
        raise Refused("JL-E224", text, retry=status >= 500, answer=answer)

    async def _answer(self, response: httpx2.Response) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self.options.max_answer:
                text = f"status {response.status_code}, an answer over {self.options.max_answer} bytes"
                raise Refused("JL-E225", text)
            parts.append(part)
        return b"".join(parts)

    def _media_type(self, message: Message) -> str:
        if self.options.content_type:
            return self.options.content_type
        made = media_type(self.ground.format)
        said = message.charset and self.ground.format not in ("json", "fhir")  # JSON is UTF-8, always
        return f"{made}; charset={message.charset}" if said else made

    def _fixed_headers(self) -> dict[str, str]:
        made = {"accept-encoding": "identity"}  # what is not packed cannot burst when unpacked
        if self.options.auth and self.options.auth.bearer:
            made["authorization"] = f"Bearer {self.options.auth.bearer}"
        return made | dict(self.options.headers)

    def _basic(self) -> httpx2.BasicAuth | None:
        auth = self.options.auth
        return httpx2.BasicAuth(auth.user, auth.password) if auth and auth.user else None

    def _tls(self) -> ssl.SSLContext | bool:
        if not self.options.url.startswith("https:") or not self.options.verify:
            return False
        file = self.options.ca_file
        return ssl.create_default_context(cafile=str(Path(self.ground.base_dir, file)) if file else None)

    def _retry_after(self, header: str) -> float | None:
        """Seconds or a date, as seconds from now; None where the receiver has no wish we can read."""
        try:
            wait_s = float(header) if header.isdigit() else self._until(header)
        except ValueError:
            return None
        return min(max(wait_s, 0.0), _MAX_WAIT_S)

    def _until(self, date: str) -> float:
        return parsedate_to_datetime(date).timestamp() - self.ground.now()


def _format(content_type: str) -> str:
    kind, _ = _content_type(content_type)
    return next((format for format, types in MEDIA_TYPES.items() if kind in types), "")


def _filled(url: str, body: bytes) -> str:
    """The url with its placeholders filled, and the other fields as query parameters."""
    try:
        fields = json.loads(body, parse_float=str, parse_int=str)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused("JL-E226", "a query is a JSON object")
    used = set()

    def fill(match: re.Match[str]) -> str:
        used.add(match[1])
        value = _text(fields.get(match[1]), match[1])
        if value in ("", ".", ".."):
            raise Refused("JL-E226", f"the url's {match[0]} has no usable value")
        return quote(value, safe="")

    filled = _PLACE.sub(fill, url)
    query = httpx2.QueryParams()
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if name not in used and one is not None:
                query = query.add(name, _text(one, name))
    return str(httpx2.URL(filled).copy_merge_params(query)) if query else filled


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise Refused("JL-E226", f"the field {name} is not a plain value")
