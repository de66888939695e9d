"""`jingluo` with a wall clock that a trial can move: `shifted.py FILE jingluo's arguments`.

At SIGUSR2 the seconds in FILE are added to what the wall clock says, from then on. Clocks that only count on are left
alone, as they are when a machine's clock is set.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

_time, _time_ns = time.time, time.time_ns
_offset_ns = 0


def shift(file: Path) -> None:
    """Sets the clock of this process by what stands in the file."""
    global _offset_ns
    _offset_ns = int(float(file.read_text()) * 1e9)


def main() -> None:
    file = Path(sys.argv.pop(1))
    time.time = lambda: _time() + _offset_ns / 1e9
    time.time_ns = lambda: _time_ns() + _offset_ns
    signal.signal(signal.SIGUSR2, lambda *_: shift(file))
    from router.cli import main as jingluo  # after the clock: nobody has taken the real one

    jingluo()


if __name__ == "__main__":
    main()
