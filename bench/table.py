"""Rows to a plain table, and a figure beside its target."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """One printed table. `missed` names the targets that were not reached."""

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([show(cell) for cell in cells])

    def target(self, what: str, value: float, goal: float, *, most: bool = False) -> str:
        """The cell `55 % MET` of a goal that is a least (or, with `most`, a greatest) value."""
        met = value <= goal if most else value >= goal
        if not met:
            self.missed.append(
                f"{what}: {show(value)}, wanted {'at most' if most else 'at least'} {show(goal)}"
            )
        return f"{'<=' if most else '>='} {show(goal)} {'met' if met else 'MISSED'}"

    def __str__(self) -> str:
        lines = [list(self.columns), *self.rows]
        wide = [max(_width(line[n]) for line in lines) for n in range(len(self.columns))]
        body = [_line(line, wide) for line in lines]
        rule = "  ".join("-" * w for w in wide)
        return "\n".join(
            [f"\n{self.title}", "", body[0], rule, *body[1:], *(f"  {note}" for note in self.notes)]
        )


def show(value: object) -> str:
    """Figures as a reader wants them: three digits or so, thousands parted.

    >>> [show(v) for v in (12345.6, 87.31, 3.14159, 0.0123, None, "x")]
    ['12,346', '87.3', '3.14', '0.012', '-', 'x']
    """
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        places = next((n for n, least in ((0, 1000), (1, 10), (2, 1)) if abs(value) >= least), 3)
        return f"{value:,.{places}f}"
    return str(value)


def _line(cells: Iterable[str], wide: Sequence[int]) -> str:
    """The first column to the left, figures to the right."""
    padded = [
        cell + " " * (width - _width(cell)) if n == 0 else " " * (width - _width(cell)) + cell
        for n, (cell, width) in enumerate(zip(cells, wide, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
