"""A site's files as they lie there now: which they are, and whether somebody is just writing to them.

A file that was half written when it was read may be whole YAML all the same. So what is read counts only where nothing
moved meanwhile and nobody had a file open for writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from config.settings import Settings
from transforms.library import table_folders

Stamp = Mapping[Path, tuple[int, int, int]]

_OF_A_SITE = (".yaml", ".csv")


def folders(settings: Settings) -> list[Path]:
    """Where files of a site may lie; those that are there. What the engine writes itself is in none of them."""
    own = settings.site
    maps = (own / "maps", *settings.maps)
    tables = (own / "tables", *settings.tables)
    places = [
        settings.systems.parent,
        settings.channels,
        *maps,
        *(folder / "types" for folder in maps),
        *(place for folder in tables for place in table_folders(folder)),
    ]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def is_one(name: str) -> bool:
    """Whether a name is a site file's: not an editor's copy of one, `.a.yaml.swp`, `a.yaml~`, `.#a.yaml`."""
    return name.endswith(_OF_A_SITE) and not name.startswith(".")


def stamp(settings: Settings) -> Stamp:
    """Size, time of the last change (ns) and inode of every file: another stamp is another content."""
    found: dict[Path, tuple[int, int, int]] = {}
    for folder in folders(settings):
        for path in folder.iterdir():
            if is_one(path.name):
                with contextlib.suppress(FileNotFoundError):
                    facts = path.stat()
                    found[path] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return found


def being_written(settings: Settings) -> Path | None:
    """A file that somebody has open for writing, as far as the file system tells."""
    return next((path for path in stamp(settings) if _is_written(path)), None)


def _is_written(path: Path) -> bool:
    """Linux gives a read lease on a local file of ours only while nobody has it open for writing."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Who opens the file in this moment makes the kernel send us a signal: one that does nothing.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False
