"""Channels that feed themselves: what goes out of one comes in at another, and round again.

By a network or a folder, a condition or a map on the way may end it: then such a loop is a warning. From channel to
channel no loop is taken: each of its messages would be the child of the one before, without end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from channels.compile import Draft
from channels.model import Branch, Channel
from config.errors import Problem
from config.settings import Settings

_HERE = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
_WIRES = {"mllp", "tcp"}  # kinds that listen on a port of their own
Address = tuple[Any, ...]
MAX_WAY = 100  # channels one behind the other


def loops(drafts: list[Draft], settings: Settings) -> None:
    """Notes every way round once, at the destination that closes it."""
    doors = {_door(made.channel, settings): made for made in drafts if made.channel is not None}
    doors.pop(None, None)
    doors |= {("channel", made.channel.name): made for made in drafts if made.channel is not None}
    done: set[str] = set()
    for made in drafts:
        _walk(made, [], doors, settings, done)


def _walk(
    made: Draft, way: list[tuple[Draft, Branch]], doors: Any, settings: Settings, done: set[str]
) -> None:
    channel = made.channel
    if channel is None or channel.name in done or len(way) > MAX_WAY:
        return
    for branch in channel.ways:
        target = doors.get(_target(branch, settings))
        if target is None:
            continue
        step = [*way, (made, branch)]
        start = next((i for i, (seen, _) in enumerate(step) if seen is target), None)
        if start is None:
            _walk(target, step, doors, settings, done)
        else:
            _note(step[start:])
    done.add(channel.name)


def _note(ring: list[tuple[Draft, Branch]]) -> None:
    made, branch = ring[-1]
    names = [seen.channel.name for seen, _ in ring if seen.channel is not None]
    inside = all(step.target for _, step in ring)
    certain = inside or all(
        seen.channel is not None and seen.channel.when is None and step.when is None and step.map is None
        for seen, step in ring
    )
    hint = "" if certain else "the conditions must end it"
    if len(ring) > 1:
        places = [f"{seen.document.file}:{_line(seen, step)}" for seen, step in ring]
        hint = "; ".join(filter(None, (hint, f"by {', '.join(places)}")))
    made.problems.append(
        Problem(
            ("to", branch.name, "send"),
            "JL-C028",
            f"a loop: {' -> '.join([*names, names[0]])}",
            hint,
            "error" if certain else "warning",
        )
    )


def _line(made: Draft, branch: Branch) -> int:
    return made.document.place(("to", branch.name, "send"))[0]


def _door(channel: Channel, settings: Settings) -> Address | None:
    """Where a channel's source takes messages in."""
    options = channel.options
    if channel.kind in _WIRES:
        return ("port", options.port)
    if channel.kind == "http":
        return ("http", settings.http.port, options.path)
    return folder_of(channel.kind, options, settings.site)


def _target(branch: Branch, settings: Settings) -> Address | None:
    """Where a destination puts messages, where that is this machine."""
    options = branch.options
    if branch.target:
        return ("channel", branch.target)
    if branch.kind in _WIRES and options.host in _HERE:
        return ("port", options.port)
    if branch.kind == "http":
        url = urlsplit(str(options.url))
        return ("http", url.port or 80, url.path) if url.hostname in _HERE else None
    return folder_of(branch.kind, options, settings.site)


def folder_of(kind: str, options: Any, site: Path) -> Address | None:
    """Which folder of files an endpoint names; None where it names none."""
    if kind == "file":
        return (kind, (site / options.folder).resolve())
    if kind in ("sftp", "ftp"):
        return (kind, options.host, options.port, options.user, options.folder)
    if kind == "s3":
        return (kind, options.url, options.bucket, options.folder)
    return None
