"""`make chaos`: seeded trials, a table, and the seeds of those that broke.

    python tests/chaos [--trials 20] [--seed 1] [--jobs 1] [--fault kill] [--stack embedded] [--messages 600]

A trial is alone again by its seed: `make chaos SEED=20031 TRIALS=1`.
"""

from __future__ import annotations

import argparse
import sys

import children
import workers
from faults import FAULTS, STACKS, fault_of, possible, runnable
from table import Tally
from trial import Result


def main() -> int:
    """Exit code 1 when a trial broke."""
    chosen = _arguments()
    stacks, reasons = possible()
    stacks = tuple(stack for stack in stacks if chosen.stack in ("", stack))
    names = runnable(stacks)
    seeds = range(chosen.seed, chosen.seed + chosen.trials)
    trials = [(seed, chosen.fault or fault_of(seed, names, stacks)) for seed in seeds]
    tally = Tally()
    broken: list[tuple[int, str]] = []
    try:
        with children.none_left(), workers.Workers(chosen.jobs, stacks, chosen.messages) as playing:
            for result in playing.play(trials):
                tally.add(result)
                print(_line(result), flush=True)
                broken += [(result.seed, result.fault)] if result.broken else []
    finally:  # also after Ctrl-C: what was tried is shown
        print(tally.table(), flush=True)
        for reason in reasons:
            print(f"  NOT TRIED: {reason}")
        for seed, fault in sorted(broken):
            print(f"BROKEN: make chaos SEED={seed} TRIALS=1 FAULT={fault}")
    return int(bool(broken))


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
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    told = "this one alone, or several with + between; else by turns: " + ", ".join(sorted(FAULTS))
    parser.add_argument("--fault", default="", help=told)
    parser.add_argument("--stack", choices=(*STACKS, "cluster"), default="", help="this one alone")
    parser.add_argument("--messages", type=int, default=600, help="at least so many are accepted in a trial")
    chosen = parser.parse_args()
    if unknown := {name for name in chosen.fault.split("+") if name} - set(FAULTS):
        parser.error(f"no fault is called {', '.join(sorted(unknown))}")
    if not 1 <= chosen.jobs <= workers.MOST:
        parser.error(f"--jobs is 1 to {workers.MOST}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
