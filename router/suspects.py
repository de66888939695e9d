"""Which messages may be killing the worker: tries of redelivered messages that began and never ended.

A broker's count of deliveries also rises for what was merely held ahead when a process ended. So a try of a message
that was handed out before leaves a mark on disk while it lasts; only a process that died in it leaves the mark behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class Suspects:
    """Marks in a folder of the engine's own: a file a message and destination, a byte a try that has no end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def unended(self, message_id: str, destination: str) -> int:
        """How many tries of this delivery began and never ended."""
        try:
            return self._mark(message_id, destination).stat().st_size
        except FileNotFoundError:
            return 0

    @contextlib.contextmanager
    def trying(self, message_id: str, destination: str) -> Iterator[None]:
        """A try: whatever way it ends, while the process lives, it takes the mark away."""
        mark = self._mark(message_id, destination)
        with contextlib.suppress(OSError), mark.open("ab") as file:
            file.write(b".")
        try:
            yield
        finally:
            self.forget(message_id, destination)

    def forget(self, message_id: str, destination: str) -> None:
        self._mark(message_id, destination).unlink(missing_ok=True)

    def _mark(self, message_id: str, destination: str) -> Path:
        return self._folder / f"{message_id}.{destination}"
