"""The HTTP destination: a client that sends each message as one request."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.errors import Refused, Unreachable
from config.tls import ClientTls, client_context, refusal
from config.units import Seconds, Size
from endpoints.base import Ground, Options, pieces_of
from endpoints.rest.media import format_of, media_type
from schemas.form import media_type as form_type
from schemas.message import Blob, Message, Receipt


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
    tls: ClientTls = Field(ClientTls(), description="of an https url: whom we trust, and what we show")
    timeout: Seconds = Field(
        30.0,
        description="from the request to the end of its answer; of a large one, for each piece, and from the last",
    )
    connect_within: Seconds = 10.0
    connections: int = Field(16, ge=1, description="at once; further messages wait for one")
    max_answer: Size = Field(10_000_000, description="of an answer; a larger one is an error")

    @model_validator(mode="after")
    def _fits(self) -> DestinationOptions:
        if self.method == "GET" and not self.query:
            raise ValueError("GET sends no body: write query: true")
        if "{" in self.url and not self.query:
            raise ValueError("a {field} in the url needs query: true")
        if self.tls != ClientTls() and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        return self


_PLACE = re.compile(r"\{([^{}]+)\}")
_BUSY = {408, 425, 429, 503}  # it did not take the request
_GATEWAY = {502, 504}  # nobody knows what happened behind it
_KEPT_HEADERS = ("content-type", "location", "etag")
_MAX_WAIT_S = 86_400.0


class HttpDestination:
    """Sends each message as one request, always with the same `Idempotency-Key`: the message's id."""

    Options: ClassVar[type[Options]] = DestinationOptions
    codes = frozenset(map(str, range(200, 600)))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.streams = not options.query
        self.options = options
        self.ground = ground
        self._client: httpx2.AsyncClient | None = None

    async def start(self) -> None:
        """Nothing to do: the client is made when there is something to send."""

    def _opened(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=self._fixed_headers(),
            auth=self._basic(),
            verify=self._tls(),
            timeout=httpx2.Timeout(self.options.timeout, connect=self.options.connect_within),
            limits=httpx2.Limits(max_connections=self.options.connections),
            trust_env=False,
        )

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def send(self, message: Message) -> Receipt:
        headers = {"idempotency-key": message.id} if message.id else {}
        url, body = self.options.url, message.body
        if self.options.query:
            url, body = _filled(url, body), b""
        else:
            headers["content-type"] = self._media_type(message)
        client = self._client = self._client or self._opened()
        content: bytes | AsyncIterator[bytes] | None = body or None
        try:
            async with asyncio.timeout(self.options.timeout + self.options.connect_within) as within:
                if message.blob is not None:
                    headers["content-length"] = str(message.blob.size)
                    content = self._pieces(message.blob, within)
                request = client.build_request(self.options.method, url, content=content, headers=headers)
                return await self._exchange(client, request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if (tls := _tls_error(error)) is not None:
                raise Unreachable("JL-E227", f"TLS: {refusal(tls)}") from None
            raise Unreachable("JL-E220", f"no connection: {type(error).__name__}") from None
        except (httpx2.TimeoutException, TimeoutError):
            text = f"no answer within {self.options.timeout:g} s"
            raise Unreachable("JL-E221", text, maybe_done=True) from None
        except httpx2.HTTPError as error:
            text = f"the exchange broke off: {type(error).__name__}"
            raise Unreachable("JL-E222", text, maybe_done=True) from None

    async def _pieces(self, blob: Blob, within: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Each piece has its own time."""
        loop = asyncio.get_running_loop()
        async for piece in pieces_of(blob):
            within.reschedule(loop.time() + self.options.timeout)
            yield piece
        within.reschedule(loop.time() + self.options.timeout)

    async def _exchange(self, client: httpx2.AsyncClient, request: httpx2.Request) -> Receipt:
        response = await client.send(request, stream=True)
        try:
            answer = await self._answer(response)
        finally:
            await response.aclose()
        return self._judge(response.status_code, response.reason_phrase, response.headers, answer)

    def _judge(self, status: int, reason: str, headers: Mapping[str, str], answer: bytes) -> Receipt:
        if 200 <= status < 300:
            kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            return Receipt(str(status), answer, format_of(kept.get("content-type", "")), kept)
        text = f"status {status} {reason}".strip()
        if status in _BUSY | _GATEWAY:
            after_s = self._retry_after(headers.get("retry-after", ""))
            raise Unreachable("JL-E223", text, maybe_done=status in _GATEWAY, after_s=after_s)
        raise Refused("JL-E224", text, retry=status >= 500, answer=answer)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        if self.options.query:
            _filled(self.options.url, message.body)
        if len(answer) > self.options.max_answer:
            raise self._too_large(int(code or 200))
        return self._judge(int(code or 200), "", headers, answer)

    async def _answer(self, response: httpx2.Response) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self.options.max_answer:
                raise self._too_large(response.status_code)
            parts.append(part)
        return b"".join(parts)

    def _too_large(self, status: int) -> Refused:
        return Refused("JL-E225", f"status {status}, an answer over {self.options.max_answer} bytes")

    def _media_type(self, message: Message) -> str:
        if self.options.content_type:
            return self.options.content_type
        if self.ground.format == "form":
            return form_type(message.body)
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
        if not self.options.url.startswith("https:"):
            return False
        try:
            return client_context(self.options.tls, self.ground.base_dir)
        except OSError as error:
            raise Unreachable("JL-E227", f"TLS: {error.strerror}") from None

    def _retry_after(self, header: str) -> float | None:
        """Seconds or a date, as seconds from now; None where the receiver has no wish we can read."""
        try:
            wait_s = float(header) if header.isdigit() else self._until(header)
        except ValueError:
            return None
        return min(max(wait_s, 0.0), _MAX_WAIT_S)

    def _until(self, date: str) -> float:
        return parsedate_to_datetime(date).timestamp() - self.ground.now()


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What stands behind a failed connection, where that is TLS."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


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
