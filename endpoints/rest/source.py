"""The HTTP source: a route of the engine's web server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from fastapi import Request, Response
from pydantic import Field

from config.errors import JingluoError
from endpoints.base import PARAMETER, Deliver, Ground, Told, WebOptions, not_kept
from endpoints.callers.asking import Handler
from endpoints.limits import Limit, limit_problem, problem
from endpoints.operations import Operation
from endpoints.rest import describe
from endpoints.rest.answers import respond
from endpoints.rest.asked import at_fault, faults_of, judged, wanted, with_faults
from endpoints.rest.described import each
from endpoints.rest.door import Came, DoorOptions, WebDoor, kept_headers
from endpoints.rest.later import TAIL, Results
from endpoints.rest.media import MEDIA_TYPES, content_type
from schemas.form import Form
from schemas.message import Message, Reply


class SourceOptions(DoorOptions):
    """`from: {http: {method: POST, path: "/v1/patients"}}`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str = Field(pattern=r"^/", description="may hold parameters: /v1/patients/{id}")
    content_types: tuple[str, ...] = Field(
        (), description="taken; by default those of the format; `*` is any"
    )
    response: str = Field(
        "", description="a destination's answer: its schema, a .json of schemas/, or else its content type"
    )
    idempotency_key: Literal["optional", "required", "writes"] = Field(
        "optional",
        description="whether each request must have an `Idempotency-Key`; `writes`: each that changes something",
    )

    @property
    def scope_parameters(self) -> Sequence[str]:
        return PARAMETER.findall(self.path)


class HttpSource(WebDoor):
    """Takes a request's body, or a GET's parameters as JSON or form data, and answers with the engine's reply."""

    Options: ClassVar[type[WebOptions]] = SourceOptions
    codes = frozenset(("200", "202", "204", "400", "503"))
    answers_in = "json"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options = options
        self._taken = options.content_types or MEDIA_TYPES.get(ground.format, ("*",))
        self._operations = ground.described.operations
        self._facts: dict[str, Any] = {}
        self._added: list[tuple[str, str]] = []
        self._later = Results(ground.results, self._found, options.requests) if ground.results else None

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        name, schemas = self.ground.name, self.ground.described.schemas
        try:
            for path, method, handler, facts in self._routes():
                facts |= {"who": self.options, "channel": name, "schemas": schemas}
                if self._operations and method == self.options.method:
                    facts |= {"include_in_schema": False, "document": self._document}
                self.ground.web.add_route(path, [method], handler, **facts)
                self._added.append((path, method))
        except OSError:
            self._remove()
            raise

    def _routes(self) -> Iterator[tuple[str, str, Handler, dict[str, Any]]]:
        """Path, method, handler, and what /openapi.json says of it."""
        options, name, said = self.options, self.ground.name, self.ground.described
        answer = describe.answer_type(options.response, self.ground.format)
        needs_key = options.idempotency_key == "required"
        facts = describe.door(
            name,
            options.path,
            options.method,
            options,
            self._taken,
            answer,
            self._later is not None,
            needs_key,
            said,
        )
        self._facts = facts
        yield options.path, options.method, self._handle, dict(facts)
        if self._later is not None:
            path = options.path.rstrip("/") + TAIL
            yield path, "GET", self._later.handle, describe.results(name, path, options, answer, said)

    def _document(self) -> Mapping[str, Any]:
        """A path for each operation."""
        return each(self.ground.name, self.options, self._operations, self._facts)

    def close(self) -> None:
        self._remove()
        if self._later is not None:
            self._later.close()

    def _remove(self) -> None:
        added, self._added = self._added, []  # from now on the routes may be another's
        for path, method in added:
            assert self.ground.web is not None
            self.ground.web.remove_route(path, [method])

    async def _handle(self, request: Request) -> Response:
        return await self.handled(request, self._answer)

    async def _answer(self, request: Request) -> Response:
        values = {name: str(value) for name, value in request.path_params.items()}
        operation, refusal = wanted(request, self._operations, values)
        if refusal is not None:
            return refusal
        kind, charset = content_type(request.headers.get("content-type", ""))
        if self.options.method == "GET":
            came, charset = Came(_parameters(request, self.ground.format)), "utf-8"
        else:
            if kind and kind not in self._taken and "*" not in self._taken:
                text = f"{kind} is not taken here"
                return problem(415, "JL-E212", detail=text, headers={"accept": ", ".join(self._taken)})
            try:
                came = await self.came(request, self._needs_key(operation))
            except Limit as refused:
                return limit_problem(refused)
            except JingluoError as error:
                return respond(not_kept(error))
        client = request.client.host if request.client else ""
        message = Message(b"", f"http {client}", self._headers(request, kind), charset=charset)
        message, faults = await judged(came.of(message), operation)
        reply = with_faults(await asyncio.shield(self._deliver(message)), faults)
        if came.limit is not None:
            return limit_problem(came.limit, reply.id if reply.state == "refused" else "")
        later = request.url.path.rstrip("/") + "/results" if self._later is not None else ""
        return respond(reply, self.options.response, later)

    def _needs_key(self, operation: Operation | None) -> bool:
        said = self.options.idempotency_key
        return said == "required" or (said == "writes" and (operation is None or operation.writes))

    def _found(self, reply: Reply, request: Request) -> Response:
        """A later answer."""
        return respond(reply, self.options.response, request.url.path.rpartition("/")[0])

    def _headers(self, request: Request, kind: str) -> dict[str, str]:
        kept = kept_headers(request, self.options.headers, kind)
        kept |= {f"query.{name}": value for name, value in request.query_params.items()}
        return kept | {f"param.{name}": str(value) for name, value in request.path_params.items()}

    # For `jingluo test`

    def received(self, message: Message) -> Message:
        name = next((value for key, value in message.headers.items() if key.startswith("param.")), "")
        operation = self._operations.get(name)
        return at_fault(message, faults_of(operation, message.body)) if operation is not None else message

    def told(self, message: Message, reply: Reply) -> Told:
        response = respond(reply, self.options.response)
        form = reply.format if reply.state == "answered" else "json"
        return Told(str(response.status_code), bytes(response.body), form)


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
