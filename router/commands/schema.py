"""`jingluo schema`: what an editor asks to complete and underline the files of a site."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from channels.schema import FILES, schema_of
from config.registry import nearest


def show(name: str) -> int:
    if name not in FILES:
        near = nearest(name, FILES)
        typer.echo(f"no file is called {name!r}; did you mean {near or ', '.join(FILES)}?", err=True)
        return 2
    typer.echo(_text(name), nl=False)
    return 0


def write_all(folder: Path) -> int:
    """A file each, and the setting of VS Code's YAML extension that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / f"{name}.json").write_text(_text(name), encoding="utf-8")
    wanted = {f"{folder}/{name}.json": pattern for name, (pattern, _) in FILES.items()}
    typer.echo(".vscode/settings.json:")
    typer.echo(json.dumps({"yaml.schemas": wanted}, ensure_ascii=False, indent=2))
    return 0


def _text(name: str) -> str:
    return json.dumps(schema_of(name), ensure_ascii=False, indent=2) + "\n"
