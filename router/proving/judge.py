"""What a test wanted, beside what became of its message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from channels.cases import Case, Wanted
from router.proving.played import Handed, Played, Way
from schemas.message import Reply
from transforms.contents import Content
from transforms.proving import Failure


class Shown(NamedTuple):
    """A message that a test looks into: whose it is, and what there was."""

    of: str
    content: Content
    body: bytes
    charset: str


def judge(case: Case, played: Played) -> list[Failure]:
    """Nothing in the list means that all was as wanted."""
    found = [Failure(case.name, *fact) for fact in _facts(case, played)]
    for shown in contents(case, played):
        for diff in shown.content.differences(shown.body, shown.charset):
            found.append(Failure(case.name, f"{shown.of}: {diff.path}", diff.wanted, diff.got))
    return found


def contents(case: Case, played: Played) -> Iterator[Shown]:
    """Every message whose content the test says something of."""
    channel = played.channel
    for name, wanted in case.ways.items():
        way = played.ways.get(name)
        branch = next(branch for branch in channel.branches if branch.name == name)
        content = wanted.contents.get(branch.format)
        if content and way and way.body is not None:
            charset = played.envelope.charset if branch.map is None else branch.charset
            yield Shown(name, content, way.body, charset)
        for of, part, handed in _handed(name, wanted, way):
            if part is not wanted and (content := part.contents.get(branch.format)):
                charset = played.envelope.charset if branch.map is None else branch.charset
                yield Shown(of, content, handed.body, charset)
            if part.then and handed.played is not None:
                for shown in contents(part.then, handed.played):
                    yield shown._replace(of=f"{of}: {handed.played.channel.name}: {shown.of}")
    told = played.told
    if case.reply and case.reply.contents and told.body:
        by_format = case.reply.contents
        content = by_format.get(told.format) or next(iter(by_format.values()))
        yield Shown("reply", content, told.body, getattr(channel.options, "charset", ""))


def without_file(content: Content) -> Content:
    """What it says beside its file."""
    return replace(content, whole=None, file="", missing="")


def _facts(case: Case, played: Played) -> Iterator[tuple[str, Any, Any]]:
    """(path, wanted, got) of each fact that is otherwise."""
    branches = {branch.name: branch for branch in played.channel.branches}
    for name, wanted in case.ways.items():
        way = played.ways.get(name) or Way("nothing")
        got = {"state": way.state, "tries": way.tries, "code": way.code}
        explained = f"{way.state} ({way.code} {way.reason})" if way.reason else way.state
        yield from _otherwise(name, wanted, got, explained)
        if wanted.contents and way.body is None and wanted.facts.get("state", way.state) == way.state:
            yield name, "a message", None
        parts = "groups" if branches[name].collect else "items"
        yield from _handed_facts(f"{name}: {parts}", name, wanted, way)
    if case.reply is not None:
        yield from _reply(case.reply, played)
    if case.journal is not None:
        envelope = played.envelope
        got = {name: getattr(envelope, name) for name in ("state", "kind", "code", "parent")}
        got |= {key: played.index.get(key[6:]) for key in case.journal.facts if key.startswith("index.")}
        explained = (
            f"{envelope.state} ({envelope.code} {envelope.reason})" if envelope.reason else envelope.state
        )
        yield from _otherwise("journal", case.journal, got, explained)
    if case.order is not None and case.order != (played.order or ""):
        yield "order", case.order, played.order


def _handed(name: str, wanted: Wanted, way: Way | None) -> Iterator[tuple[str, Wanted, Handed]]:
    """What another channel was handed, beside what is said of it: (path, wanted, got)."""
    handed = way.handed if way else []
    if wanted.then and handed:
        yield name, wanted, handed[0]
    if isinstance(wanted.items, tuple):
        for one, got in zip(wanted.items, handed, strict=False):
            yield f"{name}: {'group' if got.messages else 'item'} {got.number}", one, got


def _handed_facts(parts: str, name: str, wanted: Wanted, way: Way) -> Iterator[tuple[str, Any, Any]]:
    items = len(wanted.items) if isinstance(wanted.items, tuple) else wanted.items
    if items is not None and items != len(way.handed) and way.state in ("sent", "waiting"):
        yield parts, items, len(way.handed)
    for of, part, handed in _handed(name, wanted, way):
        if part is not wanted:
            state = "sent" if handed.played is not None else "dead"
            explained = f"dead ({handed.code} {handed.reason})" if handed.code else state
            got = {"state": state, "code": handed.code, "messages": handed.messages}
            yield from _otherwise(of, part, got, explained)
        if part.then and handed.played is not None:
            for path, wished, had in _facts(part.then, handed.played):
                yield f"{of}: {handed.played.channel.name}: {path}", wished, had


def _reply(wanted: Wanted, played: Played) -> Iterator[tuple[str, Any, Any]]:
    reply, told = played.reply, played.told
    explained = f"{_reply_state(reply, played)} ({reply.code} {reply.text})" if reply.code else reply.state
    got = {"state": _reply_state(reply, played), "code": told.code, "error": reply.code}
    yield from _otherwise("reply", wanted, got, explained)
    if wanted.contents and not told.body:
        yield "reply", "an answer", None


def _reply_state(reply: Reply, played: Played) -> str:
    """`none`: the sender hears nothing."""
    return "none" if reply.silent and not played.told.body else reply.state


def _otherwise(
    of: str, wanted: Wanted, got: Mapping[str, Any], explained: str
) -> Iterator[tuple[str, Any, Any]]:
    for name, value in wanted.facts.items():
        if value != got[name]:
            shown = explained if name == "state" else got[name]
            yield (of if name == "state" else f"{of}.{name}"), value, shown
