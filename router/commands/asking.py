"""What the commands ask the journal: by its database, beside the running engine or without one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from config.units import seconds
from router.clock import now_ms
from router.search import BadQuery

if TYPE_CHECKING:
    from router.search import Story
    from router.store import Store

_Answer = TypeVar("_Answer")


def ask(question: Callable[[Store], _Answer]) -> _Answer:
    from router.cli import settings
    from router.store import open_journal

    store = open_journal(settings(), make=False)
    try:
        return question(store)
    finally:
        store.close()


def print_json(value: Any) -> None:
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def print_story(story: Story, *, body: bool, as_json: bool) -> None:
    """A message's whole way; with its body and answers only after a word on what they are."""
    from router.commands import tables

    if body:
        typer.echo("This shows patient data: handle with care. 以下内容含患者数据，请妥善保管。", err=True)
    if as_json:
        print_json(tables.story_facts(story, body=body))
    else:
        tables.print_story(story, body=body)


def opened(id: str) -> Callable[[Store], Story]:
    """A message to be shown whole: nobody sees it before it is written down that he did."""

    def question(store: Store) -> Story:
        story = store.show(id)
        store.note("viewed", story.message.id)
        return story

    return question


def time_ms(text: str) -> int | None:
    """`24h` ago, or a date and time in this machine's zone."""
    if not text:
        return None
    try:
        return now_ms() - int(seconds(text) * 1000)
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise BadQuery(
            "JL-J004", f"{text!r} is no time: write 30m, 24h, 7d, 2026-01-31 or 2026-01-31T08:00"
        ) from None
