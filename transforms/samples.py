"""Files beside the tests: messages that are given, and messages that are expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_SAMPLE = 10_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Samples:
    """The folder that the names of a test's files are relative to: the site's."""

    folder: Path = field(default_factory=Path)

    def path(self, name: str) -> Path:
        """Raises ValueError for a name that leads out of the folder."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ValueError("a test's file lies in the site's folder")
        return path

    def read(self, name: str) -> bytes:
        """Raises ValueError and OSError."""
        path = self.path(name)
        if path.stat().st_size > MAX_SAMPLE:
            raise ValueError(f"larger than {MAX_SAMPLE} bytes")
        return path.read_bytes()

    def write(self, name: str, body: bytes) -> None:
        """Raises ValueError and OSError."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def file_of(spec: Any) -> str:
    """The name in `{file: name}`; '' for anything else."""
    is_file = isinstance(spec, Mapping) and list(spec) == ["file"] and isinstance(spec["file"], str)
    return spec["file"] if is_file else ""


def files_in(spec: Any) -> Iterator[str]:
    """Every `{file: name}` in a test."""
    if isinstance(spec, Mapping):
        if isinstance(spec.get("file"), str):
            yield spec["file"]
        for value in spec.values():
            yield from files_in(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from files_in(value)
