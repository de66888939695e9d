"""The HTTP destination: a client that sends each message as one request."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.errors import Refused, Unreachable
from config.tls import ClientTls, client_context
from config.units import Seconds, Size
from endpoints.base import Ground, Options, pieces_of
from endpoints.rest.media import format_of, media_type
from schemas.form import media_type as form_type
from schemas.message import Blob, Message, Receipt

if TYPE_CHECKING:
    from endpoints.rest.client import Client


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
        self._client: Client | None = None

    async def start(self) -> None:
        """Connections are made when there is something to send; what makes them is here before."""
        import endpoints.rest.client  # noqa: F401

    def _opened(self) -> Client:
        from endpoints.rest.client import Client

        options = self.options
        auth = options.auth
        return Client(
            self._fixed_headers(),
            (auth.user, auth.password) if auth and auth.user else None,
            self._tls(),
            timeout=options.timeout,
            connect_within=options.connect_within,
            connections=options.connections,
            max_answer=options.max_answer,
            too_large=self._too_large,
        )

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()

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
                return self._judge(*await client.send(self.options.method, url, headers, content))
        except TimeoutError:
            text = f"no answer within {self.options.timeout:g} s"
            raise Unreachable("JL-E221", text, maybe_done=True) from None

    async def _pieces(self, blob: Blob, within: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Each piece has its own time."""
        loop = asyncio.get_running_loop()
        async for piece in pieces_of(blob):
            within.reschedule(loop.time() + self.options.timeout)
            yield piece
        within.reschedule(loop.time() + self.options.timeout)

    def _judge(self, status: int, reason: str, headers: Mapping[str, str], answer: bytes) -> Receipt:
        """Raises Refused and Unreachable where the status is no success. Header names are in small letters."""
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

    def _tls(self) -> ssl.SSLContext | None:
        if not self.options.url.startswith("https:"):
            return None
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
    query = [
        (name, _text(one, name))
        for name, value in fields.items()
        if name not in used
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    return f"{filled}{'&' if '?' in filled else '?'}{urlencode(query)}" if query else filled


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise Refused("JL-E226", f"the field {name} is not a plain value")
