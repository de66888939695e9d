"""Names of files: which are meant, which are safe, which are free, and what a message's file is called."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from config.errors import Refused
from schemas.base import Path
from schemas.message import Message

# What senders call a file that is not whole yet; the third is WinSCP's.
UNFINISHED = (".part", ".tmp", ".filepart")
LONGEST = 255  # bytes, as most file systems have it
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = ("id", "channel", "date", "time", "file", "stem")
_LONGEST_FIELD = 80  # characters
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")


def meant(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name (its last part) is one that a source takes.

    >>> meant("a.hl7", ["*.hl7"]), meant(".a.hl7", ["*.hl7"]), meant("a.hl7.part", ["*"])
    (True, False, False)
    """
    if name.startswith(".") or name.lower().endswith(UNFINISHED):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def safe_part(name: str) -> bool:
    """Whether a server's name for a file or folder is a name, and not a way to somewhere else."""
    return name not in ("", ".", "..") and _UNSAFE.search(name) is None


def free_names(name: str, at_s: float) -> Iterator[str]:
    """`a.hl7`, then `a.2.hl7` to `a.9.hl7`, then some with the time, Unix milliseconds.

    >>> names = free_names("done/a.hl7", 1.5)
    >>> [next(names) for _ in range(10)][-2:]
    ['done/a.9.hl7', 'done/a.1500.hl7']
    """
    yield name
    above, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:
        stem, dot, suffix = last, "", ""
    for number in (*range(2, 10), *range(round(at_s * 1000), round(at_s * 1000) + 100)):
        yield f"{above}{slash}{stem}.{number}{dot}{suffix}"


def marker_of(name: str, ready: str, there: Callable[[str], bool]) -> str:
    """The marker that says a file is whole: `a.hl7.ok` or `a.ok` for `*.ok`; '' where there is none yet."""
    above, slash, last = name.rpartition("/")
    stem = last.rpartition(".")[0] or last
    for part in (last, stem):
        marker = f"{above}{slash}{ready.replace('*', part)}"
        if marker != name and there(marker):
            return marker
    return ""


def safe(value: Any) -> str:
    """A value of a message as a part of a name: letters, digits, `-`, `_` and dots within; `_` where it has none.

    >>> safe("../etc/passwd"), safe("王 小明"), safe(None)
    ('etc_passwd', '王_小明', '_')
    """
    text = re.sub(r"[^\w.-]+", "_", "" if value is None else str(value)).strip("._-")
    return re.sub(r"\.{2,}", ".", text)[:_LONGEST_FIELD] or "_"


def fields_of(template: str) -> list[str]:
    return _FIELD.findall(template)


def checked(template: str) -> str:
    """Raises ValueError for what is no template of a name."""
    unknown = [field for field in fields_of(template) if field not in _FIELDS and not field.startswith("$")]
    rest = _FIELD.sub("", template)
    if unknown or "{" in rest or "}" in rest:
        raise ValueError("a name may hold {id}, {channel}, {date}, {time}, {file}, {stem} and {$path}")
    if _UNSAFE.search(rest) or template.startswith("."):
        raise ValueError("a name has no folder in it and does not begin with a dot")
    return template


class Template:
    """What the file of a message is called. `paths` are those of the message that it reads."""

    def __init__(self, template: str, paths: dict[str, Path]) -> None:
        self._template = template
        self._paths = paths

    def name(self, message: Message, tree: Any) -> str:
        """Raises Refused (JL-E311)."""
        came = datetime.fromtimestamp(message.received_ms / 1000, UTC)
        file = message.headers.get("file", "").rpartition("/")[2]
        known = {
            "id": message.id,
            "channel": message.channel,
            "date": f"{came:%Y%m%d}",
            "time": f"{came:%H%M%S}",
            "file": safe(file),
            "stem": safe(file.rpartition(".")[0] or file),
        }

        def value(found: re.Match[str]) -> str:
            path = self._paths.get(found[1])
            return known[found[1]] if path is None else safe(path.one(tree))

        name = _FIELD.sub(value, self._template)
        if not message.id or not safe_part(name) or name.startswith("."):
            raise Refused("JL-E311", "the message's id makes no file name")
        if len(name.encode("utf-8", "surrogateescape")) > LONGEST:
            raise Refused("JL-E311", "the file's name is too long")
        return name
