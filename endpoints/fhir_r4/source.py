"""The FHIR source: a channel's part of the engine's FHIR server."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import Request, Response
from msgspec.structs import replace
from pydantic import BeforeValidator, Field, field_validator

from config.errors import JingluoError
from config.registry import nearest
from config.units import Size
from endpoints.base import Arrival, Deliver, Ground, Told, WebOptions, listed, not_kept
from endpoints.fhir_r4.answers import For, respond
from endpoints.fhir_r4.interactions import (
    ANY,
    ASKING,
    BUNDLES,
    Asked,
    Interaction,
    NotAsked,
    criteria_of,
    understood,
)
from endpoints.fhir_r4.negotiation import FORM, JSON, not_json
from endpoints.fhir_r4.reading import Head, head_of, question, questioned
from endpoints.fhir_r4.request import CONDITIONS, INTERACTION, URL
from endpoints.fhir_r4.server import LATER, Door, base_of
from endpoints.limits import Limit, limit_problem
from endpoints.rest.door import Came, DoorOptions, WebDoor, kept_headers, read_body
from endpoints.rest.later import Results
from endpoints.rest.media import content_type
from schemas.message import Message, Reply
from schemas.r4.types import TYPES

Interactions = Annotated[
    tuple[Interaction, ...],
    BeforeValidator(listed, json_schema_input_type=tuple[Interaction, ...] | Interaction),
    Field(min_length=1),
]

_APART = 50_000  # bytes that are read in a thread
_MOST_FORM = 64_000
_PREFER = re.compile(r"(?:^|[,;\s])return=\"?(minimal|representation|OperationOutcome)\b")


class SourceOptions(DoorOptions):
    """`from: {fhir: {accepts: {Patient: [create, update], Bundle: [transaction]}}}`."""

    makes: ClassVar[str] = "fhir"

    base: str = Field(
        "/fhir", pattern=r"^(/[A-Za-z0-9._~-]+)+$", description="the path that it shares with other channels"
    )
    accepts: Mapping[str, Interactions] = Field(
        min_length=1,
        description="resource types, and what of each; `*` is each whose interaction no other channel takes",
    )
    max_size: Size = Field(10_000_000, description="of a body; a larger one is answered 413")
    public: str = Field(
        "",
        pattern=r"^(https?://[^/\s?#]+[^\s?#]*)?$",
        description="the base as callers know it, where that is not as they ask",
    )
    idempotency_key: Literal["optional", "required"] = Field(
        "optional", description="whether each change must have an `Idempotency-Key`"
    )

    @field_validator("accepts")
    @classmethod
    def _of_r4(cls, accepts: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for kind, interactions in accepts.items():
            if kind != ANY and kind not in TYPES:
                near = nearest(kind, TYPES)
                hint = f"; did you mean {near!r}?" if near else ""
                raise ValueError(f"R4 has no resource type {kind!r}{hint}")
            if kind != "Bundle" and (wrong := BUNDLES & set(interactions)):
                raise ValueError(f"{min(wrong)} is of Bundle, not of {kind}; Bundle: [{min(wrong)}]")
        return accepts

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        """Each type with each of its interactions."""
        return frozenset((kind, one) for kind, interactions in self.accepts.items() for one in interactions)


class FhirSource(WebDoor):
    """Takes what changes something as it comes, and a read or a search as a batch of that GET alone."""

    Options: ClassVar[type[WebOptions]] = SourceOptions
    codes = frozenset(("200", "201", "202", "204", "304", "400", "404", "409", "410", "412", "422")) | {
        *("502", "503", "504")
    }
    answers_in = "fhir"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options = options
        self._later = Results(ground.results, self._found, options.requests) if ground.results else None
        self._door = Door(
            ground.name,
            options.claims,
            options,
            self._handle,
            self._later.handle if self._later is not None else None,
        )

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        base_of(self.ground.web, self.options.base).join(self._door, self.ground)

    def close(self) -> None:
        if self.ground.web is not None:
            base_of(self.ground.web, self.options.base).leave(self._door, self.ground)
        if self._later is not None:
            self._later.close()

    async def _handle(self, request: Request) -> Response:
        return await self.handled(request, self._answer)

    async def _answer(self, request: Request) -> Response:
        asked: Asked = request.state.asked
        if refusal := not_json(request, FORM if asked.interaction in ASKING else JSON):
            return refusal
        to = self._to(request, asked)
        try:
            if asked.interaction in ASKING:
                came = await self._question(request, asked)
            else:
                came = await self.came(request, self.options.idempotency_key == "required")
        except Limit as refused:
            return limit_problem(refused)
        except JingluoError as error:
            return respond(not_kept(error), to)
        client = request.client.host if request.client else ""
        message = came.of(Message(b"", f"http {client}", self._headers(request, asked), charset="utf-8"))
        if came.limit is None and asked.interaction not in ASKING:
            message = await self._checked(message, asked)
        reply = await asyncio.shield(self._deliver(message))
        if came.limit is not None:
            return limit_problem(came.limit, reply.id if reply.state == "refused" else "")
        if len(reply.body) > _APART:
            return await asyncio.to_thread(respond, reply, to)
        return respond(reply, to)

    async def _question(self, request: Request, asked: Asked) -> Came:
        url = asked.url
        if request.method == "POST":  # its parameters are in the body, and perhaps in the url too
            form = Arrival(None)
            if limit := await read_body(request, form, _MOST_FORM, self.options.body_within):
                raise limit
            more = criteria_of(form.body.decode("latin-1"))
            url += ("&" if "?" in url else "?") + more if more else ""
        since = request.headers.get("if-modified-since", "")
        return Came(question(url, request.headers.get("if-none-match", ""), since))

    async def _checked(self, message: Message, asked: Asked) -> Message:
        """With a fault where body and path do not agree: the engine refuses it, and files it.

        What is no JSON the engine's own reading says better.
        """
        large = message.blob is not None or len(message.body) > _APART
        head = await asyncio.to_thread(_head, message) if large else head_of(message.body)
        fault = ""
        if head is None:
            return message
        if asked.interaction == "bundle":
            message = replace(message, headers={**message.headers, INTERACTION: head.bundle})
            known = sorted(BUNDLES & set(self.options.accepts.get("Bundle", ())))
            if head.bundle not in known:
                fault = f"a Bundle of type {' or '.join(known)} is taken here"
        elif head.resource_type != asked.type:
            fault = f"the resource is no {asked.type}, as the path says"
        elif asked.id and head.id != asked.id:
            fault = "the resource's id is not that of the path"
        return replace(message, fault=fault, fault_code="JL-E701") if fault else message

    def _headers(self, request: Request, asked: Asked) -> dict[str, str]:
        kind, _ = content_type(request.headers.get("content-type", ""))
        kept = kept_headers(request, (*self.options.headers, *CONDITIONS), kind)
        kept |= {INTERACTION: asked.interaction, URL: asked.url, "fhir.type": asked.type}
        prefer = _preferred(request)
        return kept | ({"fhir.prefer": f"return={prefer}"} if prefer else {})

    def _to(self, request: Request, asked: Asked) -> For:
        base = self.options.public.rstrip("/") or f"{str(request.base_url).rstrip('/')}{self.options.base}"
        later = f"{base}/{LATER}/{self.ground.name}" if self._later is not None else ""
        return For(asked, base, _preferred(request), later)

    def _found(self, reply: Reply, request: Request) -> Response:
        """A later answer: whatever was asked, its own status says what came of it."""
        return respond(reply, self._to(request, Asked("create", "", "")))

    def told(self, message: Message, reply: Reply) -> Told:
        response = respond(reply, For(_asked(message), self.options.base))
        return Told(str(response.status_code), bytes(response.body), "fhir")


def _preferred(request: Request) -> Any:
    found = _PREFER.search(request.headers.get("prefer", ""))
    return found[1] if found else ""


def _head(message: Message) -> Head | None:
    blob = message.blob
    try:
        return head_of(b"".join(blob.pieces()) if blob is not None else message.body)
    except (OSError, JingluoError):  # gone: the engine says so where it reads it
        return None


def _asked(message: Message) -> Asked:
    """What a test's message asks for: as its headers say, or its body."""
    path, _, query = message.headers.get(URL, "").partition("?")
    head = head_of(message.body)
    if path or head is None:
        with contextlib.suppress(NotAsked):
            return understood(message.headers.get("method", "POST"), path, query)
    if head is None:
        return Asked("create", "", "")
    if (found := questioned(head)) is not None:
        return found[0]
    if head.bundle in BUNDLES:
        return Asked("bundle", "Bundle", "")
    return Asked("update" if head.id else "create", head.resource_type, "", head.id)
