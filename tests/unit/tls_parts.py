"""What the tests of TLS share: an authority, two hosts' certificates, doors, and a peer that speaks TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

from authority import Authority, Pair
from endpoint_parts import FakeEngine, Peer

from config import registry
from config.tls import ClientTls, client_context
from endpoints.base import Ground


class Rig:
    """An authority, the server's certificate, and doors that are closed when the test ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Authority(folder)
        self.server = self.ca.issue("lis.hospital.local", "lis.hospital.local", "127.0.0.1")
        self.opened: list[Any] = []

    def tls(self, pair: Pair | None = None, **more: Any) -> dict[str, Any]:
        pair = pair or self.server
        return {"certificate": pair.certificate.name, "key": pair.key.name, **more}

    def ground(self, name: str = "his") -> Ground:
        return Ground(name, "hl7v2", base_dir=str(self.folder), now=lambda: 0.0)

    async def mllp(self, engine: FakeEngine, tls: dict[str, Any], **options: Any) -> Any:
        made = registry.sources.get("mllp")
        self.opened.append(
            made(
                made.Options.model_validate({"host": "127.0.0.1", "port": 0, "tls": tls, **options}),
                self.ground(),
            )
        )
        await self.opened[-1].start(engine.deliver)
        return self.opened[-1]

    def destination(self, kind: str, **options: Any) -> Any:
        made = registry.destinations.get(kind)
        self.opened.append(made(made.Options.model_validate(options), self.ground("adt.lis")))
        return self.opened[-1]

    async def peer(self, port: int, tls: ssl.SSLContext | None = None, **more: Any) -> Peer:
        context = tls or client_context(ClientTls(ca=str(self.ca.file), **more))
        return Peer(
            *await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
        )

    async def close(self) -> None:
        for one in self.opened:
            await one.stop()


def said(logs: list[Any], event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]
