"""`make chaos`: seeded trials, a table, and the seeds of those that broke.

    python tests/chaos [--trials 20] [--seed 1] [--fault kill] [--messages 600]

A trial is alone again by its seed: `make chaos SEED=20031 TRIALS=1`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import children
from faults import FAULTS
from table import Tally
from trial import Result, Trial


def main() -> int:
    """Exit code 1 when a trial broke."""
    chosen = _arguments()
    tally = Tally()
    broken = []
    with children.none_left():
        for seed in range(chosen.seed, chosen.seed + chosen.trials):
            names = [chosen.fault] if chosen.fault else list(FAULTS)
            result = _run(seed, names[seed % len(names)], chosen.messages)
            tally.add(result)
            print(_line(result), flush=True)
            broken += [seed] if result.broken else []
    print(tally.table(), flush=True)
    for seed in broken:
        print(f"BROKEN: make chaos SEED={seed} TRIALS=1{f' FAULT={chosen.fault}' if chosen.fault else ''}")
    return int(bool(broken))


def _run(seed: int, fault: str, messages: int) -> Result:
    """One trial in a folder of its own, which is kept where the trial broke."""
    folder = Path(mkdtemp(prefix=f"jingluo-chaos-{seed}-"))
    try:
        result = asyncio.run(Trial(seed, fault, folder, messages).run())
    finally:
        children.end_all()
    if result.broken:
        result.broken.append(f"what it left is in {folder}")
    else:
        shutil.rmtree(folder)
    return result


def _line(result: Result) -> str:
    verdict = result.verdict
    said = (
        f"seed {result.seed}  {result.fault} ({result.what}): accepted {verdict.accepted}, lost {len(verdict.lost)}, "
        f"doubled {verdict.doubled}, inverted {len(verdict.inverted)}, outage {result.outage_s:.1f} s, "
        f"{result.took_s:.0f} s"
    )
    return "\n".join([said, *(f"    BROKEN: {line}" for line in result.broken[:10])])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/chaos", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first trial; the next has the next")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="this one alone; else by turns")
    parser.add_argument("--messages", type=int, default=600, help="at least so many are accepted in a trial")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
