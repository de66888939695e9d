"""`jingluo validate`: files by a standard's or the site's definition, the faults on the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from config.errors import BadMessage
from config.registry import formats
from schemas.hl7v2 import split_batch
from schemas.validation.base import BadKind, Fault, Kind
from schemas.validation.kinds import kind_of

_MLLP = b"\x0b\x1c"  # what a file of frames has around its messages


def validate_files(files: list[Path], name: str, folder: Path, charset: str, as_json: bool) -> int:
    """0 where nothing was found, 1 where something was, 2 where nothing could be looked at."""
    try:
        kind = _kind(name, folder)
    except BadKind as error:
        hint = f"; {error.hint}" if error.hint else ""
        typer.echo(f"{error.code}: {error.text}{hint}", err=True)
        return 2
    found: list[tuple[str, Fault]] = []
    for file in files:
        try:
            body = file.read_bytes()
        except OSError as error:
            typer.echo(f"{file}: {error.strerror}", err=True)
            return 2
        for where, message in _messages(file, body, kind.formats[0]):
            found += [(where, fault) for fault in _faults(message, kind, charset)]
    if as_json:
        rows: list[dict[str, Any]] = [{"file": where} | fault._asdict() for where, fault in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for where, fault in found:
            typer.echo(f"{where}: {fault.path or '-'}: {fault.code}: {fault.text}")
        typer.echo(f"{len(found)} faults" if found else "valid 合格")
    return 1 if found else 0


def _kind(name: str, folder: Path) -> Kind:
    """A schema may also be named by its path."""
    given = Path(name)
    return kind_of(given.name, given.parent) if given.suffix and given.is_file() else kind_of(name, folder)


def _messages(file: Path, body: bytes, format: str) -> list[tuple[str, bytes]]:
    if format != "hl7v2":
        return [(str(file), body)]
    several = split_batch(body.strip(_MLLP))
    return [
        (f"{file}#{n}" if len(several) > 1 else str(file), message) for n, message in enumerate(several, 1)
    ]


def _faults(body: bytes, kind: Kind, charset: str) -> list[Fault]:
    try:
        return kind.validator(formats.get(kind.formats[0]).decode(body, charset))
    except BadMessage as error:
        return [Fault(error.path, error.text.removeprefix(f"{error.path}: "), error.code)]
