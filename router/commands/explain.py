"""`jingluo explain`: the way of a channel in words and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from channels.loader import load_site
from channels.picture import picture
from channels.read import channel_text
from channels.svg import svg
from channels.way import Way, way_of
from channels.words import Language, sentences
from config.registry import nearest
from config.text import read

if TYPE_CHECKING:
    from config.settings import Settings


def explain(settings: Settings, name: str, lang: Language | None, file: Path | None) -> int:
    """Prints it, and writes the picture as SVG where a file is named. 1 where there is no such channel."""
    way = _way(settings, name)
    if way is None:
        return 1
    languages: tuple[Language, ...] = (lang,) if lang else ("en", "zh")
    for language in languages:
        typer.echo("\n".join(sentences(way, language)) + "\n")
    typer.echo(picture(way, languages[0]))
    if file:
        file.write_text(svg(way, languages[0]), encoding="utf-8")
    return 0


def _way(settings: Settings, name: str) -> Way | None:
    site = load_site(settings)
    channel = next((channel for channel in site.channels if channel.name == name), None)
    if channel is not None:
        text, _ = channel_text(read(settings.site / channel.file).data, [])
        return way_of(channel, text, site.channels) if text is not None else None
    wrong = [finding for finding in site.findings if Path(finding.file).stem == name]
    for finding in wrong:
        typer.echo(str(finding), err=True)
    if not wrong:
        near = nearest(name, [channel.name for channel in site.channels])
        hint = f"; did you mean {near}?" if near else ""
        typer.echo(f"no channel is called {name!r}{hint}", err=True)
    return None
