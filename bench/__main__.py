"""`python -m bench [part...]`: prints a table a part, and at the end which targets were missed."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from bench.table import Table

PARTS = (
    "parse",
    "map",
    "check",
    "tests",
    "start",
    "flow",
    "rest",
    "soap",
    "calls",
    "insurance",
    "settle",
    "settled",
    "reconcile",
    "journal",
)
LONG = ("order", "steady", "restart", "sealing", "catalogue")  # only where they are named


def main() -> int:
    """Exit code 1 when a part could not run; a missed target is printed, not an error."""
    chosen = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tables: list[Table] = []
    failed = False
    began = time.perf_counter()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    for part in chosen.parts or PARTS:
        try:
            for table in _part(part, chosen)():
                print(table, flush=True)
                tables.append(table)
        except RuntimeError as error:
            print(f"\n{part}: could not run: {error}", flush=True)
            failed = True
    missed = [line for table in tables for line in table.missed]
    print(f"\n{time.perf_counter() - began:.0f} s; targets missed: {len(missed)}")
    for line in missed:
        print(f"  {line}")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=" ".join(PARTS + LONG))
    parser.add_argument(
        "--seconds", type=float, help="measured: of one row of flow or sealing (4), rest (6), of steady (600)"
    )
    parser.add_argument(
        "--messages", type=_count, help="journal: how many (10000); restart: how many wait (100000)"
    )
    parser.add_argument("--rows", type=_count, help="catalogue: of the file (1000000)")
    parser.add_argument("--pairs", type=_count, help="sealing: how many, each of a sealed and a bare run (5)")
    parser.add_argument(
        "--only",
        default="",
        help="flow, journal, order, restart, sealing, catalogue: only stacks whose name holds this",
    )
    parser.add_argument("--profile", action="store_true", help="flow: the engine under cProfile, into var/")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS + LONG):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS + LONG)}")
    return chosen


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return int(text)


def _part(name: str, chosen: argparse.Namespace) -> Callable[[], Iterable[Table]]:
    """Imported when it runs: `parse` needs no broker's libraries."""
    if name == "parse":
        from bench import parse

        return parse.run
    if name == "map":
        from bench import maps

        return maps.run
    if name in ("check", "start"):
        from bench import start

        return start.check if name == "check" else start.start
    if name == "tests":
        from bench import proving

        return proving.run
    Path("var").mkdir(exist_ok=True)
    if name in LONG:
        return _long(name, chosen)
    if name == "rest":
        from bench import rest

        return lambda: rest.run(chosen.seconds or rest.SECONDS)
    if name == "soap":
        from bench import soap

        return lambda: soap.run(chosen.seconds or soap.SECONDS)
    if name == "calls":
        from bench import calls

        return calls.run
    if name == "insurance":
        from bench import insurance

        return insurance.run
    if name == "settled":
        from bench import settled

        return settled.run
    if name == "settle":
        from bench import settle

        return settle.run
    if name == "reconcile":
        from bench import reconcile

        return reconcile.run
    if name == "journal":
        from bench import journal

        return lambda: journal.run(chosen.messages or journal.MESSAGES, chosen.only)
    from bench import flow

    return lambda: flow.run(chosen.seconds or flow.SECONDS, chosen.only, chosen.profile)


def _long(name: str, chosen: argparse.Namespace) -> Callable[[], Iterable[Table]]:
    from bench import catalogue, order, restart, sealing, steady

    if name == "catalogue":
        return lambda: catalogue.run(chosen.rows or catalogue.ROWS, chosen.only)
    if name == "order":
        return lambda: order.run(chosen.only)
    if name == "restart":
        return lambda: restart.run(chosen.messages or restart.MESSAGES, chosen.only)
    if name == "sealing":
        seconds, pairs = chosen.seconds or sealing.SECONDS, chosen.pairs or sealing.PAIRS
        return lambda: sealing.run(seconds, pairs, chosen.only)
    return lambda: steady.run(chosen.seconds or steady.SECONDS)


if __name__ == "__main__":
    sys.exit(main())
