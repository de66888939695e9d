"""What the commands ask the journal: by its database, beside the running engine or without one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import typer

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
