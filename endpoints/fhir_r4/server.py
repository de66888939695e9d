"""One base of the engine's FHIR server, which several channels share: each takes its types and interactions.

Whatever a web door refuses in problem+json is said here as an OperationOutcome.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from config.callers import ANYBODY
from endpoints.base import Ground, Web, WebOptions
from endpoints.fhir_r4.capability import capability
from endpoints.fhir_r4.interactions import ANY, BUNDLES, Asked, NotAsked, understood
from endpoints.fhir_r4.negotiation import not_json
from endpoints.fhir_r4.outcome import MEDIA, issue_of, outcome
from endpoints.limits import Limit, limit_problem, problem
from schemas.r4.types import TYPES

Handler = Callable[[Request], Awaitable[Response]]
Claim = tuple[str, str]  # a type, or `*`, and an interaction
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
LATER = "_async"  # below it a later answer is asked for: _async/<channel>/<id>
_EVERYBODY = WebOptions.model_validate({"callers": ANYBODY})  # each door asks for itself
_THIS_MACHINE = WebOptions.model_validate({})


class Door(NamedTuple):
    """A channel's part. `handler` sees only requests that may come in; `later` where a later answer is asked for."""

    channel: str
    claims: frozenset[Claim]
    who: WebOptions
    handler: Handler
    later: Handler | None


class Base:
    """The routes of one base, as long as a door is open."""

    def __init__(self, web: Web, path: str) -> None:
        self._web, self._paths = web, (path, path + "/{rest:path}")
        self._doors: dict[str, Door] = {}
        self._since = ""

    def join(self, door: Door, ground: Ground) -> None:
        """Raises OSError where another channel has some of it."""
        for other in self._doors.values():
            if taken := _both(door.claims, other.claims):
                kind, interaction = min(taken)
                raise OSError(errno.EADDRINUSE, f"{interaction} of {kind} is taken by {other.channel}")
        if not self._doors:
            for path in self._paths:
                self._web.add_route(path, METHODS, self._root, who=_EVERYBODY, include_in_schema=False)
        guarded = self._web.guarded
        later = guarded(door.later, door.who, door.channel) if door.later else None
        handler = guarded(door.handler, door.who, door.channel)
        self._doors[door.channel] = door._replace(handler=handler, later=later)
        self._changed(ground)

    def leave(self, door: Door, ground: Ground) -> None:
        mine = self._doors.get(door.channel)
        if mine is None or mine.claims is not door.claims:
            return  # another took its place
        del self._doors[door.channel]
        self._changed(ground)
        if not self._doors:
            for path in self._paths:
                self._web.remove_route(path, METHODS)

    def _changed(self, ground: Ground) -> None:
        self._since = datetime.fromtimestamp(ground.now(), UTC).isoformat(timespec="seconds")
        # Who may ask what is here: anybody, where anybody but this machine may come in at all.
        known = any(door.who.callers or door.who.scope for door in self._doors.values())
        who = _EVERYBODY if known else _THIS_MACHINE
        self._metadata = self._web.guarded(self._capability, who, "fhir")

    async def _root(self, request: Request) -> Response:
        """Any request to this base."""
        try:
            return in_fhir(await self._answer(request))
        except NotAsked as error:
            code = "JL-E703" if error.status == 405 else "JL-E702"
            return in_fhir(problem(error.status, code, detail=error.text), error.code)
        except Limit as limit:
            return in_fhir(limit_problem(limit))
        except HTTPException as error:
            return in_fhir(problem(error.status_code, "JL-E205", detail=error.detail, headers=error.headers))

    async def _answer(self, request: Request) -> Response:
        path = request.path_params.get("rest", "").rstrip("/")
        if path == "metadata" and request.method == "GET":
            answer: Response = await self._metadata(request)
            return answer
        if path.startswith(f"{LATER}/") and request.method == "GET":
            return await self._later(request, path)
        asked = understood(request.method, path, request.scope["query_string"].decode("latin-1"))
        request.state.asked = asked  # where the door finds it
        return await self._door(asked).handler(request)

    async def _later(self, request: Request, path: str) -> Response:
        _, channel, id = [*path.split("/"), "", ""][:3]
        door = self._doors.get(channel)
        if door is None or door.later is None:
            raise NotAsked(404, "not-found", "no result is known by this id 没有该编号的结果")
        request.scope["path_params"] = {"result_id": id}
        return await door.later(request)

    def _door(self, asked: Asked) -> Door:
        if asked.type != ANY and asked.type not in TYPES:
            raise NotAsked(404, "not-supported", "R4 has no resource type of this name")
        interactions = BUNDLES if asked.interaction == "bundle" else {asked.interaction}
        for kind in (asked.type, ANY):
            for door in self._doors.values():
                if any((kind, interaction) in door.claims for interaction in interactions):
                    return door
        known = sorted({i for d in self._doors.values() for kind, i in d.claims if kind in (asked.type, ANY)})
        if asked.type != ANY and not known:
            raise NotAsked(404, "not-supported", f"{asked.type} is not taken here")
        text = f"{asked.interaction} of {asked.type} is not taken here"
        raise NotAsked(405, "not-supported", f"{text}; {', '.join(known)} are" if known else text)

    async def _capability(self, request: Request) -> Response:
        if refusal := not_json(request):
            return refusal
        doors = list(self._doors.values())
        asks = any(door.who.callers not in ((), (ANYBODY,)) or door.who.scope for door in doors)
        body = json.dumps(capability((d.claims for d in doors), self._since, asks), ensure_ascii=False)
        etag = f'W/"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'
        return Response(body, 200, {"etag": etag}, MEDIA)


def _both(one: Iterable[Claim], other: Iterable[Claim]) -> set[Claim]:
    """What two doors want. A transaction and a batch come to the same url."""
    return {(kind, "bundle" if name in BUNDLES else name) for kind, name in one} & {
        (kind, "bundle" if name in BUNDLES else name) for kind, name in other
    }


def in_fhir(response: Response, kind: str = "") -> Response:
    """A refusal as an OperationOutcome; `kind` is the issue's type, where the status does not say it."""
    if response.media_type != "application/problem+json":
        return response
    said = json.loads(bytes(response.body))
    text, code = said.get("detail") or said["title"], said.get("code", "")
    issue = issue_of(response.status_code, code, text, said.get("ref", ""))
    made = Response(outcome(issue | ({"code": kind} if kind else {})), response.status_code, media_type=MEDIA)
    ours = {"content-length", "content-type"}
    made.raw_headers += [pair for pair in response.raw_headers if pair[0].decode().lower() not in ours]
    return made


_BASES: WeakKeyDictionary[Web, dict[str, Base]] = WeakKeyDictionary()


def base_of(web: Web, path: str) -> Base:
    """The one that all doors of that web server share."""
    bases = _BASES.setdefault(web, {})
    return bases.setdefault(path, Base(web, path))
