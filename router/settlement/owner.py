"""The name under which a process has settlements, and how others on this machine see that it is gone.

It holds a lock on a file of its name, which the system takes away when it ends, however it ends: whoever can have the
lock knows that it did, and frees its settlements at once instead of a minute later. Nothing rests on this proof but
time: what a process had begun is found out by the rules of all, and what it should still write the fence refuses.
"""

from __future__ import annotations

import fcntl
import os
import socket
import uuid
from pathlib import Path

from config.private import make_folder


class Owner:
    """`folder` is of this site; made at first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._machine = socket.gethostname()
        self.name = f"{self._machine}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._held: int | None = None

    def hold(self) -> None:
        """From now on others see that it lives. Raises OSError."""
        if self._held is not None:
            return
        make_folder(self._folder)
        made = self._folder / f".{self.name}"
        held = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made.rename(self._folder / self.name)  # nobody finds it before it is locked
        except OSError:
            os.close(held)
            raise
        self._held = held

    def gone(self) -> list[str]:
        """Names of this machine's processes that have ended. Raises OSError."""
        if not self._folder.is_dir():
            return []
        files = sorted(self._folder.glob(f"{self._machine}:*"))
        return [file.name for file in files if file.name != self.name and _is_free(file)]

    def forget(self, name: str) -> None:
        """One that is gone, and has nothing left."""
        (self._folder / name).unlink(missing_ok=True)

    def let_go(self) -> None:
        """At the end, once it has nothing left."""
        if self._held is not None:
            self.forget(self.name)
            os.close(self._held)
            self._held = None


def _is_free(file: Path) -> bool:
    try:
        tried = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(tried, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(tried)
    return True
