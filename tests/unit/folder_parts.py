"""What the tests of folders share: places of each kind, with servers of their own, and doors and ways out to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from endpoint_parts import FakeEngine

from config import registry
from endpoints.base import Ground
from endpoints.files.destination import FolderDestination
from endpoints.files.source import FolderSource


class Place:
    """A folder of some kind, `in` for sources and `out` for destinations. Here a plain one."""

    kind = "file"
    poll = "10ms"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened: list[Any] = []
        (root / "in").mkdir(parents=True)

    def options(self) -> dict[str, Any]:
        return {}

    def at(self, folder: str) -> str:
        """What options call it."""
        return folder

    def ground(self, name: str, **more: Any) -> Ground:
        return Ground(name, base_dir=str(self.root), **more)

    async def source(self, engine: FakeEngine, start: bool = True, **options: Any) -> FolderSource:
        made = registry.sources.get(self.kind)
        options = {"folder": self.at("in"), "poll": self.poll, "settle": "0s", **self.options(), **options}
        source: FolderSource = made(made.Options(**options), self.ground("drop"))
        self.opened.append(source)
        if start:
            await source.start(engine.deliver)
        return source

    def destination(self, format: str = "", **options: Any) -> FolderDestination:
        made = registry.destinations.get(self.kind)
        options = {"folder": self.at("out"), **self.options(), **options}
        writes = registry.formats.get(format) if format else None
        destination: FolderDestination = made(made.Options(**options), self.ground("lab.out", writes=writes))
        self.opened.append(destination)
        return destination

    def put(self, name: str, body: bytes = b"x", at_s: float = 0) -> None:
        """As a careful sender does: the name appears when the file is whole."""
        path = self.root / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}")
        part.write_bytes(body)
        if at_s:
            os.utime(part, (at_s, at_s))
        part.rename(path)

    def get(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def names(self, folder: str = "in") -> list[str]:
        """Of the files in it and below, but those of done/ and failed/."""
        base = self.root / folder
        found = [str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()]
        return sorted(name for name in found if name.split("/")[0] not in ("done", "failed"))

    async def close(self) -> None:
        for one in self.opened:
            await one.stop()
