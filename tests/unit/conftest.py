"""The engine's web server, for those who open doors on it and those who ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from config.settings import LimitSettings
from endpoints.web import WebServer


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    server = WebServer("127.0.0.1", 0, LimitSettings(body="1MB", connections=5))
    await server.start()
    yield server
    await server.stop()
