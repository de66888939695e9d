"""A replay job on disk: its plan, written once, and how far it came.

Ahead of every few messages it is written down that they are about to be made, with the time that their ids are made
of. So after a crash it is known which are made for certain, which are not, and what the ids of the others would be.
Ids and names stand there, nothing of a patient.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from pydantic import BaseModel, ValidationError

from router.replay import Failure, Step

_KEPT = 100  # jobs that are over; older ones are forgotten
_OVER = ("done", "cancelled")
_steps = msgspec.json.Decoder(list[Step])


class Progress(BaseModel):
    """Steps below `sure` are done with; those up to `begun` perhaps: their ids are made of `ids_ms` (Unix ms)."""

    id: str
    who: str
    state: str
    total: int
    to: dict[str, int]
    first: list[str]  # the first ids of the plan
    sure: int = 0
    begun: int = 0
    ids_ms: int = 0
    made: int = 0
    failed: int = 0
    begun_ms: int = 0
    ended_ms: int = 0
    failures: list[Failure] = []  # the first hundred; of an earlier process without their reasons


class JobFiles:
    """`<folder>/<id>.plan` and `<id>.json`. Blocking. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, progress: Progress, steps: list[Step]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write(f"{progress.id}.plan", msgspec.json.encode(steps))
        self.save(progress)

    def save(self, progress: Progress) -> None:
        """Durable when it returns."""
        reasonless = [failure.model_copy(update={"reason": ""}) for failure in progress.failures]
        kept = progress.model_copy(update={"failures": reasonless})
        self._write(f"{progress.id}.json", kept.model_dump_json().encode())

    def steps(self, id: str) -> list[Step]:
        return _steps.decode((self._folder / f"{id}.plan").read_bytes())

    def known(self) -> list[Progress]:
        """Oldest first. What is too old is deleted; what cannot be read is left out."""
        found: list[Progress] = []
        for file in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(ValidationError):
                found.append(Progress.model_validate_json(file.read_bytes()))
        found.sort(key=lambda progress: progress.begun_ms)
        for old in [progress for progress in found if progress.state in _OVER][:-_KEPT]:
            found.remove(old)
            for ending in ("json", "plan"):
                (self._folder / f"{old.id}.{ending}").unlink(missing_ok=True)
        return found

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        new = path.with_suffix(path.suffix + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
