"""Doors that ask who calls: a web server whose clock the tests turn, and its callers from YAML."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from endpoint_parts import FakeEngine
from signing import KEY

from config import registry
from config.callers import Callers
from config.callers_file import read_callers
from config.secrets import Secrets
from config.settings import LimitSettings
from endpoints.base import Ground
from endpoints.callers.admission import Admission
from endpoints.web import WebServer

SECRETS = {"kiosk-key": KEY, "next-key": KEY[::-1], "token-key": "t" * 40, "short": "short"}


def callers_of(folder: Path, text: str, now: float | None = None) -> Callers:
    (folder / "callers.yaml").write_text(text, encoding="utf-8")
    return read_callers(folder / "callers.yaml", "callers.yaml", folder, Secrets("a file", SECRETS), {}, now)


def jwks(*keys: tuple[str, Any]) -> str:
    """The public keys of an issuer, each with its id (RFC 7517)."""
    made = []
    for kid, key in keys:
        curve = isinstance(key, ec.EllipticCurvePrivateKey)
        form: Any = jwt.algorithms.ECAlgorithm if curve else jwt.algorithms.RSAAlgorithm
        made.append({**json.loads(form.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return json.dumps({"keys": made})


class Used:
    """One process's nonces, as long as the test lives. The real ones are met in tests/contract/test_nonces.py."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()

    def known(self, key: bytes) -> bool:
        return key in self.keys

    async def claim(self, key: bytes, until_s: int) -> bool:
        if key in self.keys:
            return False
        self.keys.add(key)
        return True


class House:
    """A web server with callers. Its clock stands; `skew_s`: how far it is from when the test began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began, self.skew_s = time.time(), 0.0
        self.refused: list[tuple[str, str]] = []  # channel and reason
        self.engine = FakeEngine()
        self.admission = Admission(
            self._now, Used(), lambda channel, why: self.refused.append((channel, why))
        )
        self.web = WebServer("127.0.0.1", 0, LimitSettings(body="10MB"), admission=self.admission)
        self._opened: list[Any] = []

    def _now(self) -> float:
        return self.began + self.skew_s

    def know(self, text: str) -> Callers:
        self.admission.callers = callers_of(self.folder, text)
        assert not [f for f in self.admission.callers.findings if f.severity == "error"]
        return self.admission.callers

    async def start(self) -> None:
        await self.web.start()
        self.client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.web.port}", trust_env=False, timeout=10
        )

    async def door(self, path: str = "/v1/a", **options: Any) -> None:
        made = registry.sources.get("http")
        source = made(made.Options(path=path, **options), Ground(path[4:], "json", web=self.web))
        self._opened.append(source)
        await source.start(self.engine.deliver)

    async def post(
        self, authorization: str = "", body: bytes = b"{}", path: str = "/v1/a"
    ) -> httpx2.Response:
        headers = {"authorization": authorization} if authorization else {}
        return await self.client.post(path, content=body, headers=headers)

    async def stop(self) -> None:
        await self.client.aclose()
        for one in self._opened:
            await one.stop()
        await self.web.stop()
