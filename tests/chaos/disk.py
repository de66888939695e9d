"""A small disk of the trial's own that can be full: a tmpfs, which root may mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE_MB = 96
_BLOCK = b"\0" * 65_536


def missing() -> str:
    """Why there is none; empty where there can be."""
    return "" if os.geteuid() == 0 else "a disk that can be full is a tmpfs, and only root mounts one"


class SmallDisk:
    """Mounted at `folder`, which exists. `unmount` ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        options = f"size={SIZE_MB}m,mode=0700"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            raise OSError(f"no tmpfs: {done.stderr.strip()}")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is free within."""
        ballast = self._folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            _fill(file.fileno(), _BLOCK)
            _fill(file.fileno(), b"\0")
        try:
            yield
        finally:
            ballast.unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)


def _fill(fd: int, block: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            os.write(fd, block)
