"""Where files lie while they are fetched: a temporary folder, in which each is made once, off the loop."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import mkdtemp

from deploy.sandbox.centre.books import Stored


class Shelf:
    def __init__(self) -> None:
        self._folder: Path | None = None
        self._making = asyncio.Lock()

    async def path(self, file: Stored) -> Path:
        """Of the zip, on the disk."""
        async with self._making:
            return await asyncio.to_thread(self._made, file)

    def clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _made(self, file: Stored) -> Path:
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="jingluo-centre-"))
        path = self._folder / f"{file.key}.zip"
        if not path.exists():
            if isinstance(file.data, bytes):
                path.write_bytes(file.data)
            else:
                file.data(path)
        return path
