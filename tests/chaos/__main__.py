"""`make chaos`: seeded trials, a table, and the seeds of those that broke.

    python tests/chaos [--trials 20] [--seed 1] [--fault kill] [--stack embedded] [--messages 600]

A trial is alone again by its seed: `make chaos SEED=20031 TRIALS=1`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import children
from faults import FAULTS, STACKS, fault_of, possible, runnable
from servers import Servers
from table import Tally
from trial import Result, Trial


def main() -> int:
    """Exit code 1 when a trial broke."""
    chosen = _arguments()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a peer is gone is no news here
    stacks, reasons = possible()
    stacks = tuple(stack for stack in stacks if chosen.stack in ("", stack))
    names = runnable(stacks)
    tally = Tally()
    broken: list[tuple[int, str]] = []
    try:
        with children.none_left(), Servers() as servers:
            for seed in range(chosen.seed, chosen.seed + chosen.trials):
                fault = chosen.fault or fault_of(seed, names, stacks)
                result = _run(seed, fault, stacks, chosen.messages, servers)
                tally.add(result)
                print(_line(result), flush=True)
                broken += [(seed, result.fault)] if result.broken else []
    finally:  # also after Ctrl-C: what was tried is shown
        print(tally.table(), flush=True)
        for reason in reasons:
            print(f"  NOT TRIED: {reason}")
        for seed, fault in broken:
            print(f"BROKEN: make chaos SEED={seed} TRIALS=1 FAULT={fault}")
    return int(bool(broken))


def _run(seed: int, fault: str, stacks: tuple[str, ...], messages: int, servers: Servers) -> Result:
    """One trial in a folder of its own, which is kept where the trial broke."""
    folder = Path(mkdtemp(prefix=f"jingluo-chaos-{seed}-"))
    try:
        result = asyncio.run(Trial(seed, fault, folder, stacks, messages, long=True).run(servers))
    except BaseException:  # Ctrl-C
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if result.broken:
        servers.renew()
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
    told = "this one alone, or several with + between; else by turns: " + ", ".join(sorted(FAULTS))
    parser.add_argument("--fault", default="", help=told)
    parser.add_argument("--stack", choices=(*STACKS, "cluster"), default="", help="this one alone")
    parser.add_argument("--messages", type=int, default=600, help="at least so many are accepted in a trial")
    chosen = parser.parse_args()
    if unknown := {name for name in chosen.fault.split("+") if name} - set(FAULTS):
        parser.error(f"no fault is called {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
