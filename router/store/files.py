"""A file of SQLite's with those beside it: its log and the index of its log."""

from __future__ import annotations

import secrets
from pathlib import Path

import structlog

log = structlog.get_logger()

_DAY = "[0-9]" * 8


def size(path: Path) -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in _all(path) if file.exists())


def remove(path: Path) -> None:
    for file in _all(path):
        file.unlink(missing_ok=True)


def put_aside(path: Path) -> None:
    """What lies where a new day's file is to be: another journal's, perhaps. Nobody is to write into it."""
    for file in _all(path):
        if file.exists():
            log.warning("journal.file_put_aside", file=file.name)
            file.rename(file.with_name(f"{file.name}.{secrets.token_hex(4)}.old"))


def inode(path: Path) -> int:
    """0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def days_in(folder: Path) -> set[str]:
    return {file.name[:8] for file in folder.glob(f"{_DAY}.*.db")}


def _all(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
