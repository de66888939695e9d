"""The doors' routes, found without FastAPI's way through routers, dependencies and validation: a quarter of a request.

FastAPI knows them too: it describes them, and says 404 and 405 where none of them fits.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from fastapi import Request, Response
from starlette.convertors import Convertor
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


class _Pattern(NamedTuple):
    regex: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]
    handler: Handler


class Direct:
    """`routes` may come and go while it serves."""

    def __init__(self) -> None:
        self._plain: dict[tuple[str, str], Handler] = {}
        self._patterns: dict[tuple[str, str], _Pattern] = {}

    def add(self, method: str, path: str, handler: Handler) -> None:
        if "{" in path:
            regex, _, convertors = compile_path(path)
            self._patterns[method, path] = _Pattern(regex, convertors, handler)
        else:
            self._plain[method, path] = handler

    def remove(self, method: str, path: str) -> None:
        self._plain.pop((method, path), None)
        self._patterns.pop((method, path), None)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, Any]] | None:
        """The handler, and the path's parameters."""
        handler = self._plain.get((method, path))
        if handler is not None:
            return handler, {}
        for (known, _), pattern in self._patterns.items():
            found = pattern.regex.match(path) if known == method else None
            if found is not None:
                said = {
                    name: pattern.convertors[name].convert(text) for name, text in found.groupdict().items()
                }
                return pattern.handler, said
        return None


class DirectMiddleware:
    """Innermost: whatever stands before every route has been passed."""

    def __init__(self, app: ASGIApp, direct: Direct, refuse: Callable[[HTTPException], Response]) -> None:
        self._app, self._direct, self._refuse = app, direct, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._direct.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        handler, scope["path_params"] = found
        try:
            response = await handler(Request(scope, receive, send))
        except HTTPException as error:
            response = self._refuse(error)
        await response(scope, receive, send)
