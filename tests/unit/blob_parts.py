"""A place for large bodies in a temporary folder, and what lies there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from config.crypto import SiteKeys
from router.blobs import Blobs
from router.clock import now_ms
from schemas.message import Blob

MB = 1_000_000


def blobs_in(
    folder: Path,
    key: bytes | None = None,
    free: int = 0,
    clock: Callable[[], int] = now_ms,
    wanted: Callable[[], bool] = lambda: True,
) -> Blobs:
    keys = SiteKeys(key or secrets.token_bytes(16))
    return Blobs(folder, lambda: keys, clock, free, wanted)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def body_of(size: int) -> bytes:
    """Every piece of it is another."""
    return b"".join(b"%08d" % n for n in range(size // 8 + 1))[:size]


def whole(blob: Blob | None) -> bytes:
    assert blob is not None
    return b"".join(blob.pieces())


class FakeBlob:
    """A body that is made while it is read. `during` is called before each piece."""

    name = "0" * 32

    def __init__(self, *pieces: bytes, during: Callable[[int], None] = lambda number: None) -> None:
        self._pieces = pieces
        self._during = during
        self.size = sum(map(len, pieces))

    def pieces(self):  # type: ignore[no-untyped-def]
        for number, piece in enumerate(self._pieces):
            self._during(number)
            yield piece
