"""Which lines of maps and fragments gave something to the tests that ran.

A line counts where an expression, a list or an object that holds expressions begins on it, or a literal that a `when`
chooses. It is reached when anything that begins on it gave something: so a path that no test's message has is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from config.text import At, Document


class Watch(Protocol):
    """What maps are compiled for where somebody wants to know what their places give."""

    def of(self, document: Document) -> Callable[[At], Callable[[], None]]:
        """Of a file: what makes, for a place, what is called each time the place gave something."""


@dataclass(slots=True)
class Lines:
    """The lines of one file: how often each gave something, by its number."""

    file: str
    times: dict[int, int] = field(default_factory=dict)

    @property
    def reached(self) -> int:
        return sum(times > 0 for times in self.times.values())

    @property
    def share(self) -> float:
        """Of all lines, from 0 to 1; of a file without any, 1."""
        return self.reached / len(self.times) if self.times else 1.0

    @property
    def missed(self) -> list[int]:
        return sorted(line for line, times in self.times.items() if not times)


class Coverage:
    """The lines of all files that were compiled for it."""

    def __init__(self) -> None:
        self.files: dict[str, Lines] = {}

    @property
    def share(self) -> float:
        """Of the lines of all files, from 0 to 1."""
        total = sum(len(lines.times) for lines in self.files.values())
        return sum(lines.reached for lines in self.files.values()) / total if total else 1.0

    def of(self, document: Document) -> Callable[[At], Callable[[], None]]:
        """What a compiler asks for each place of a file: something to call when the place gave something."""
        lines = self.files.setdefault(document.file, Lines(document.file))

        def place(at: At) -> Callable[[], None]:
            line, _ = document.place(at)
            lines.times.setdefault(line, 0)
            return partial(_count, lines, line)

        return place


def _count(lines: Lines, line: int) -> None:
    lines.times[line] += 1
