"""The only clock. Everything that needs the time is handed `now_ms`, so a test can stop it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
