"""What every code of the engine means and what to do about it: the rows of `codes.md`, which people read as it is."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("codes.md")
_ROW = re.compile(r"\| (JL\-[A-Z]\d{3}) \| (.+) \| (.+) \|")
_BAR = "\\|"


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    family: str  # Configuration, Messages ...
    means: str
    do: str


@functools.cache
def codes() -> dict[str, Code]:
    """All of them, in the order of the file."""
    found: dict[str, Code] = {}
    family = ""
    for line in FILE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            family = line[3:]
        elif row := _ROW.fullmatch(line):
            code, means, do = (cell.replace(_BAR, "|") for cell in row.groups())
            found[code] = Code(code, family, means, do)
    return found
