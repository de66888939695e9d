"""The HTTP destination: a client that sends each message as one request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field, model_validator

from config.errors import Refused
from config.tls import ClientTls
from endpoints.base import Ground, Options
from endpoints.rest.media import format_of, media_type
from endpoints.rest.sending import Sending, SendOptions
from schemas.form import media_type as form_type
from schemas.message import Message, Receipt


class DestinationOptions(SendOptions):
    """`send: {http: {url: "https://emr.local/fhir"}}`."""

    url: str = Field(pattern=r"^https?://[^/\s]", description="with `query` it may hold {field} placeholders")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    query: bool = Field(False, description="the JSON body's fields become placeholders and query parameters")
    content_type: str = Field("", description="of what is sent; by default that of its format")

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
_KEPT_HEADERS = ("content-type", "location", "etag")


class HttpDestination:
    """Sends each message as one request, always with the same `Idempotency-Key`: the message's id."""

    Options: ClassVar[type[Options]] = DestinationOptions
    codes = frozenset(map(str, range(200, 600)))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.streams = not options.query
        self.options = options
        self.ground = ground
        self._way = Sending(options, ground)

    async def start(self) -> None:
        await self._way.prepare()

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        headers = {"idempotency-key": message.id} if message.id else {}
        url, body = self.options.url, message.body
        if self.options.query:
            url, body = _filled(url, body), b""
        else:
            headers["content-type"] = self._media_type(message)
        return self._judge(*await self._way.ask(self.options.method, url, headers, body, message.blob))

    def _judge(self, status: int, reason: str, headers: Mapping[str, str], answer: bytes) -> Receipt:
        """Raises Refused and Unreachable where the status is no success. Header names are in small letters."""
        if 200 <= status < 300:
            kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            return Receipt(str(status), answer, format_of(kept.get("content-type", "")), kept)
        raise self._way.no(status, reason, headers, answer)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        if self.options.query:
            _filled(self.options.url, message.body)
        if len(answer) > self.options.max_answer:
            raise self._way.too_large(int(code or 200))
        return self._judge(int(code or 200), "", headers, answer)

    def _media_type(self, message: Message) -> str:
        if self.options.content_type:
            return self.options.content_type
        if self.ground.format == "form":
            return form_type(message.body)
        made = media_type(self.ground.format)
        said = message.charset and self.ground.format not in ("json", "fhir")  # JSON is UTF-8, always
        return f"{made}; charset={message.charset}" if said else made


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
