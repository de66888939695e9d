"""`jingluo test`: plays, prints, and says by its exit code what the tests came to."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
import typer

from config.settings import Settings
from router.proving.runner import run_tests
from router.proving.shown import UNPLAYED, as_text, exit_code, write_junit


def run_command(
    settings: Settings, names: Sequence[str], *, update: bool, coverage: bool, junit: Path | None
) -> int:
    """What the engine would log while it does the same is not what a test prints."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.perf_counter()
    try:
        report = run_tests(settings, os.environ, names, update=update, coverage=coverage)
        if junit is not None:
            write_junit(report, junit)
    except OSError as error:
        typer.echo(f"{error.filename}: cannot be written: {error.strerror}", err=True)
        return UNPLAYED
    typer.echo(as_text(report, settings, time.perf_counter() - began))
    return exit_code(report)
