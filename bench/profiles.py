"""What a profile of the engine says: where its own time goes."""

from __future__ import annotations

import io
import pstats
from pathlib import Path


def top(path: Path, title: str, count: int = 40) -> str:
    """The functions with the most time of their own, in the event loop's thread."""
    text = io.StringIO()
    stats = pstats.Stats(str(path), stream=text)
    stats.strip_dirs().sort_stats("tottime").print_stats(count)
    return f"\nProfile of the engine, {title} ({path})\n{text.getvalue()}"
