"""`python -m tests.insurance --seeds 200`: random days at a misbehaving centre; the seed of each that fails is told."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.insurance.days import lived


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.insurance", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many days")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--lanes", type=int, default=6, help="patients at once")
    parser.add_argument("--each", type=int, default=3, help="visits of each")
    said = parser.parse_args()
    failed, steps, lost, died, began = [], 0, 0, 0, time.monotonic()
    for seed in range(said.first, said.first + said.seeds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                day = asyncio.run(lived(Path(folder), seed, said.lanes, said.each))
            except Exception as error:
                failed.append(seed)
                print(f"seed {seed}:", *_causes(error), sep="\n  ", flush=True)
                continue
        steps, lost, died = steps + day.steps, lost + day.lost, died + day.died
        if day.wrong:
            failed.append(seed)
            print(f"seed {seed}, {day.province}:", *day.wrong, sep="\n  ", flush=True)
    took = time.monotonic() - began
    print(
        f"{said.seeds} days in {took:.0f} s: {steps} steps, {lost} answers lost, {died} deaths, {len(failed)} failed"
    )
    if failed:
        print("again, one of them: python -m tests.insurance --seeds 1 --first", failed[0])
    return 1 if failed else 0


def _causes(error: BaseException) -> list[str]:
    """Each with the last places that it passed."""
    if isinstance(error, BaseExceptionGroup):
        return [text for one in error.exceptions for text in _causes(one)]
    places = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return [f"{type(error).__name__} at {' '.join(places[-7:])}: {str(error)[:1000]}"]


if __name__ == "__main__":
    sys.exit(main())
