"""Every process that a trial starts, so that none outlives it: ended by their ids, whatever happened."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ENDED_WITHIN_S = 20.0

_alive: list[subprocess.Popen[bytes]] = []


def start(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, user: str | None = None
) -> subprocess.Popen[bytes]:
    """Its output goes to the end of `log`. In a session of its own: Ctrl-C is ours, and we end it."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=env,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    _alive.append(child)
    return child


def kill(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and until it is gone. It may be stopped, or gone already."""
    child.kill()
    ended(child)


def ended(child: subprocess.Popen[bytes], within_s: float = ENDED_WITHIN_S) -> int:
    """Waits for its end; its exit code. Raises subprocess.TimeoutExpired."""
    code = child.wait(within_s)
    if child in _alive:
        _alive.remove(child)
    return code


def end_all() -> None:
    """SIGKILL to whatever of ours is still there."""
    for child in reversed(_alive.copy()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            kill(child)


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Nothing of what was started within outlives the block: not after Ctrl-C, nor after a SIGTERM to us."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        end_all()
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would break off the leaving
    raise SystemExit(128 + number)
