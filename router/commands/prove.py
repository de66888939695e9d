"""`jingluo test`: plays, prints, and says by its exit code what the tests came to."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import structlog
import typer

from config.settings import Settings
from router.proving.runner import run_tests
from router.proving.shown import FAILED, UNPLAYED, as_text, exit_code, write_junit


class Wanted(NamedTuple):
    """What the command line asks for. `at_least`: percent of all map lines."""

    names: tuple[str, ...] = ()
    update: bool = False
    coverage: bool = False
    at_least: float = 0.0
    junit: Path | None = None


def run_command(settings: Settings, wanted: Wanted) -> int:
    """Plays and prints. Returns the exit code."""
    began = time.perf_counter()
    try:
        with _quiet():
            report = run_tests(
                settings, os.environ, wanted.names, update=wanted.update, coverage=wanted.coverage
            )
        if wanted.junit is not None:
            write_junit(report, wanted.junit)
    except OSError as error:
        typer.echo(f"{error.filename}: cannot be written: {error.strerror}", err=True)
        return UNPLAYED
    typer.echo(as_text(report, settings, time.perf_counter() - began))
    code = exit_code(report)
    if report.coverage is not None and 100 * report.coverage.share < wanted.at_least:
        text = (
            f"{100 * report.coverage.share:.1f} % of all map lines are reached, wanted {wanted.at_least:g} %"
        )
        typer.echo(text)
        return code or FAILED
    return code


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the engine would log while it does the same is not what a test prints."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
