"""The engine's one HTTP server: FastAPI on uvicorn, in the engine's own event loop.

Web doors and the operator's API add their routes to it while it runs. What a client may take is limited here,
once for all of them: connections, headers, bodies, and the time each may need. Every refusal is a problem
(RFC 9457).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import http
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.settings import LimitSettings
from config.tls import Peer, ServerTls, peer_of
from endpoints.base import WebOptions
from endpoints.callers.admission import Admission
from endpoints.callers.asking import asking
from endpoints.describing import PROBLEM, SECURITY, Rendered, rendered
from endpoints.direct import Direct, DirectMiddleware
from endpoints.limits import CLOSE, Body, Limit, limit_problem, problem
from endpoints.secure import Gate, listening

log = structlog.get_logger()

MAX_HEAD = 64_000  # bytes of request line and headers
HEAD_WITHIN_S = 15.0
BODY_WITHIN_S = 60.0
KEEP_ALIVE_S = 75
STOP_WITHIN_S = 10
PACK_FROM = 1400  # bytes: what fits into one packet gains nothing
PACK_LEVEL = 4
MAX_FIELDS = 100  # header fields of a request
_RETRY_AFTER = {"retry-after": "5"}


class _Guard:
    """Stands before every route."""

    def __init__(self, app: ASGIApp, web: WebServer) -> None:
        self.app = app
        self.web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        body = Body(receive, self.web.limits.body, self.web.body_within_s, length)
        await self.app(scope, body, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if self.web.connections > self.web.limits.connections:
            text = f"more than {self.web.limits.connections} connections"
            return problem(503, "JL-E204", detail=text, headers=_RETRY_AFTER | CLOSE)
        size = len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(n) + len(v) for n, v in headers)
        if size > self.web.max_head:
            return problem(431, "JL-E202", detail=f"the headers are larger than {self.web.max_head} bytes")
        if len(headers) > MAX_FIELDS:
            return problem(431, "JL-E202", detail=f"more than {MAX_FIELDS} header fields")
        return None


class _Connection(HttpToolsProtocol):
    """uvicorn waits for ever for a request's headers, however many: these do not.

    What still comes of a body whose request is answered (413) is let go by, for a time: a client that is cut while
    it sends may never read the answer.
    """

    web: WebServer
    _in_body = False
    _rest_timer: asyncio.TimerHandle | None = None
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None
    _peer: Peer | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = peer_of(transport.get_extra_info("ssl_object"))
        self._await_head()
        if len(self.connections) > self.web.limits.connections + _SPARE:
            log.warning("http.too_many_connections", limit=self.web.limits.connections)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._expect()
        self._head_size += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_size > self.web.max_head:
            self._refuse(431, "JL-E202")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._peer is not None:
            self.scope["state"]["peer"] = self._peer

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def _expect(self) -> None:
        """Nothing is being answered: what comes is the rest of a body, or a head."""
        if not self._in_body and self._head_timer is None:
            self._await_head()
        elif self._in_body and self._rest_timer is None:
            self._rest_timer = self.loop.call_later(self.web.body_within_s, self.transport.close)

    def _await_head(self) -> None:
        self._head_size = 0
        self._head_timer = self.loop.call_later(self.web.head_within_s, self._refuse, 408, "JL-E203")

    def _stop_waiting(self) -> None:
        for timer in (self._head_timer, self._rest_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._rest_timer = None

    def _refuse(self, status: int, code: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self._head_size:
            body = bytes(problem(status, code).body)
            head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-length: {len(body)}\r\n"
            head += "content-type: application/problem+json\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()


_SPARE = 64  # connections over the limit that are still told so


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the engine and says when it has started."""

    def __init__(self, config: uvicorn.Config, gate: Gate | None) -> None:
        super().__init__(config)
        self._gate = gate
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._gate is not None:
            self._gate.close()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._gate is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            facts = {
                "config": self.config,
                "server_state": self.server_state,
                "app_state": self.lifespan.state,
            }
            make: Any = self.config.http_protocol_class
            self._gate.open((sockets or [])[0], functools.partial(make, **facts))
        self.up.set()


class WebServer:
    """`app` takes further routers; `port` is the real one once started, also where 0 was asked for."""

    def __init__(
        self,
        host: str,
        port: int,
        limits: LimitSettings,
        tls: ServerTls | None = None,
        base: Path | str = ".",
        admission: Admission | None = None,
    ) -> None:
        """Files of `tls` are relative to `base`. Without `admission` nobody is known."""
        self.admission = admission or Admission(time.time)
        self.tls = tls
        self._base = base
        self.host = host
        self.port = port
        self.limits = limits
        self.max_head = MAX_HEAD
        self.head_within_s = HEAD_WITHIN_S
        self.body_within_s = BODY_WITHIN_S
        self.app = FastAPI(title="Jingluo 经络", docs_url=None, redoc_url=None, openapi_url=None)
        self.app.openapi = self._openapi  # type: ignore[method-assign]
        self._schemas: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._rendered: Rendered | None = None  # of /openapi.json
        self._rendering = asyncio.Lock()
        self._documents: dict[tuple[str, str], Callable[[], Mapping[str, Any]]] = {}
        self._direct = Direct()
        self.app.add_middleware(DirectMiddleware, direct=self._direct, refuse=_refused)
        self.app.add_middleware(GZipMiddleware, minimum_size=PACK_FROM, compresslevel=PACK_LEVEL)
        self.app.add_middleware(_Guard, web=self)
        self.app.add_route("/openapi.json", self._document, include_in_schema=False)
        self.app.add_exception_handler(HTTPException, _on_http)
        self.app.add_exception_handler(RequestValidationError, _on_invalid)
        self.app.add_exception_handler(Exception, _on_bug)
        self._server: _Server | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections) if self._server else 0

    async def start(self) -> None:
        """Raises OSError where the port is taken, or a file of TLS cannot be used."""
        gate = Gate(self.tls, self._base, "http", self.limits.connections) if self.tls is not None else None
        listener = listening(self.host, self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            http=type("_Connection", (_Connection,), {"web": self}),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
        self._server = _Server(config, gate)
        self._running = asyncio.create_task(self._server.serve(sockets=[listener]), name="web")
        await self._server.up.wait()

    async def stop(self) -> None:
        """No new connections; requests under way are answered, within a limit."""
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            await self._running
            self._server = self._running = None

    def add_route(
        self,
        path: str,
        methods: list[str],
        handler: Callable[..., Awaitable[Any]],
        *,
        who: WebOptions | None = None,
        channel: str = "",
        schemas: Mapping[str, Any] | None = None,
        document: Callable[[], Mapping[str, Any]] | None = None,
        **facts: Any,
    ) -> None:
        """Raises OSError where another door has the route."""
        if who is not None:
            handler = self.guarded(handler, who, channel)
        if self._find(path, methods) is not None:
            raise OSError(errno.EADDRINUSE, f"{'/'.join(methods)} {path} is taken")
        facts = {"response_class": Response, **facts}
        self.app.add_api_route(path, handler, methods=list(methods), **facts)
        self._schemas[path, methods[0]] = schemas or {}
        if document is not None:
            self._documents[path, methods[0]] = document
        if who is not None:
            for method in methods:
                self._direct.add(method, path, handler)
        self.app.openapi_schema = None

    def guarded(
        self, handler: Callable[..., Awaitable[Any]], who: WebOptions, channel: str
    ) -> Callable[..., Awaitable[Any]]:
        return asking(handler, self.admission, who, channel)

    def remove_route(self, path: str, methods: list[str]) -> None:
        route = self._find(path, methods)
        if route is not None:
            self.app.router.routes.remove(route)
            self._schemas.pop((path, methods[0]), None)
            self._documents.pop((path, methods[0]), None)
            for method in methods:
                self._direct.remove(method, path)
            self.app.openapi_schema = None

    def _openapi(self) -> dict[str, Any]:
        """Made anew where a door came or went."""
        if self.app.openapi_schema is None:
            routes = self.app.routes
            made = get_openapi(title=self.app.title, version=self.app.version, routes=routes)
            components = made.setdefault("components", {})
            schemas: dict[str, Any] = components.setdefault("schemas", {})
            schemas["Problem"] = PROBLEM
            for some in self._schemas.values():
                schemas |= some
            for document in self._documents.values():
                more = document()
                made["paths"] |= more["paths"]
                schemas |= more["schemas"]
            components["securitySchemes"] = SECURITY
            self.app.openapi_schema = made
        return self.app.openapi_schema

    async def _document(self, request: Request) -> Response:
        """Whoever asks gets what was made once: it is large, and everybody may ask."""
        async with self._rendering:
            while self._rendered is None or self.app.openapi_schema is None:
                made = self._openapi()
                made_bytes = await asyncio.to_thread(rendered, made)
                if self.app.openapi_schema is made:  # no door came or went meanwhile
                    self._rendered = made_bytes
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if packed else {})
        body = self._rendered.packed if packed else self._rendered.body
        return Response(body, headers=headers, media_type="application/json")

    def _find(self, path: str, methods: list[str]) -> APIRoute | None:
        for route in self.app.router.routes:
            if isinstance(route, APIRoute) and route.path == path and (route.methods or set()) & set(methods):
                return route
        return None


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _refused(error)


def _refused(error: HTTPException) -> Response:
    if isinstance(error, Limit):
        return limit_problem(error)
    code = {404: "JL-E206", 405: "JL-E207"}.get(error.status_code, "JL-E205")
    return problem(error.status_code, code, detail=error.detail, headers=error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [{"path": ".".join(map(str, one["loc"])), "text": one["msg"]} for one in error.errors()]
    return problem(422, "JL-E205", detail="the request is not as the interface says", errors=wrong)


async def _on_bug(request: Request, error: Exception) -> Response:
    return problem(500, "JL-E200", detail="the engine failed; its log says more")
