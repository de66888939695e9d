"""Files that only the engine's user may read: messages lie in some of them as they came."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Where there is none yet: for its owner alone."""
    if not path.exists():
        path.mkdir(0o700, parents=True, exist_ok=True)
        _give_to_owner(path)


def make_file(path: Path) -> None:
    """Empty, where there is none yet: whoever writes to it finds it there, and what SQLite puts beside is like it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    _give_to_owner(path)


def _give_to_owner(path: Path) -> None:
    """What root's command makes (a day of the journal, say) is the engine's, who goes on writing there."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
