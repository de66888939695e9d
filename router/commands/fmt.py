"""`jingluo fmt`: the canonical form of YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from channels.order import files_of, order_of
from config.canonical import Unformattable, canonical
from config.errors import ConfigError
from config.settings import ROOT

CLEAN, WOULD_CHANGE, UNREADABLE = 0, 1, 2


def run_fmt(site: Path | None, files: Sequence[Path], check: bool) -> int:
    """Exit code 1: `check` found what is not canonical; 2: a file could not be read, and stays as it is."""
    chosen = files or files_of(site or ROOT, site is not None)
    return max((_one(path, check) for path in chosen), default=CLEAN)


def _one(path: Path, check: bool) -> int:
    try:
        text = path.read_text(encoding="utf-8")
        made = canonical(text, order_of(path.resolve()))
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"{path}: cannot be read: {error}", err=True)
        return UNREADABLE
    except ConfigError as error:
        typer.echo(
            f"{path}: stays as it is: {error.findings[0].message} (jingluo check says where)", err=True
        )
        return UNREADABLE
    except Unformattable as error:
        typer.echo(f"{path}: stays as it is: {error}", err=True)
        return CLEAN
    if made == text:
        return CLEAN
    if check:
        typer.echo(f"{path}: not in canonical form; run `jingluo fmt {path}`")
        return WOULD_CHANGE
    path.write_text(made, encoding="utf-8")
    typer.echo(f"{path}: written")
    return CLEAN
