"""What is wrong between a channel that sends to another (`send: {channel: ...}`) and the one that is sent to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.compile import Draft, Handed
from channels.model import BranchText, ChannelText
from config.errors import Problem
from config.models import did_you_mean
from config.registry import nearest
from config.text import At

_HARMLESS = {
    "charset",
    "namespaces",
    "multipart",
}  # options that may differ: what is written is read all the same


def between(drafts: list[Draft], unread: Collection[str]) -> None:
    """Notes it at the one that sends. `unread` are the files that are no YAML: nobody knows what they would be."""
    named = {text.channel: made for made in drafts if (text := _text_of(made)) is not None}
    fed: set[str] = set()
    for made in drafts:
        for name, handed in made.handed.items():
            target = handed.channel
            fed.add(target)
            at: At = ("to", name, "send", "channel")
            if target in named:
                _pair(made, at, handed, named[target])
            elif f"{target}.yaml" not in {file.rpartition("/")[2] for file in unread}:
                hint = did_you_mean(nearest(target, named), sorted(named))
                made.problems.append(Problem(at, "JL-C051", f"no channel is called {target!r}", hint))
        _reply(made)
    for name, made in named.items():
        if made.source is not None and made.source[0] == "channel" and name not in fed and not unread:
            what = "no channel sends to this one, and it has no door"
            hint = f"`send: {{channel: {name}}}` in another"
            made.problems.append(Problem(("from",), "JL-C054", what, hint, "warning"))


def behind(made: Draft, drafts: list[Draft], seen: frozenset[str] = frozenset()) -> float:
    """For how long what comes to a channel may have waited before in others (seconds)."""
    text = _text_of(made)
    if text is None or text.channel in seen:
        return 0.0
    waits = [
        behind(other, drafts, seen | {text.channel}) + _waits(other.text.to[name])
        for other in drafts
        for name, handed in other.handed.items()
        if handed.channel == text.channel and other is not made and other.text is not None
    ]
    return max(waits, default=0.0)


def _waits(branch: BranchText) -> float:
    collect = branch.collect
    return branch.retry.for_ + (collect.within or 0.0 if collect is not None else 0.0)


def _text_of(made: Draft) -> ChannelText | None:
    return made.text if made.text is not None and ("channel",) not in made.absent else None


def _pair(made: Draft, at: At, handed: Handed, other: Draft) -> None:
    assert made.text is not None
    assert other.text is not None
    name, writes, reads = other.text.channel, handed.writes, other.format
    harmless = (
        _HARMLESS | {"message"} if handed.rows else _HARMLESS
    )  # a row by itself is a message that is one row
    if writes is not None and reads is not None and _written(writes, harmless) != _written(reads, harmless):
        one, two = writes.name, reads.name
        what = f"what is sent is {one}, the messages of the channel {name!r} are {two}"
        if one == two:
            what = f"what is sent is {one} with other options than the messages of the channel {name!r} have"
        made.problems.append(Problem(at, "JL-C039", what, "a map in between makes what that channel reads"))
    if handed.batch and other.text.batch != "whole" and reads is not None and reads.name == "hl7v2":
        what = f"what is gathered is a batch, and the channel {name!r} reads single messages"
        hint = (
            "`as: $OBR` joins them at a segment; or `batch: whole` in that channel, which then reads nothing"
        )
        made.problems.append(Problem((*at[:2], "collect"), "JL-C057", what, hint))
    orders = made.text.order is None and ("order",) not in made.absent
    if other.text.order is not None and orders and made is not other:
        what = f"the channel {name!r} keeps an order, and this one has none: what it sends there may overtake"
        made.problems.append(Problem(at, "JL-C053", what, "say `order: {by: ...}` here too", "warning"))


def _written(format: Any, harmless: set[str]) -> tuple[Any, ...]:
    """What two formats must have in common, so that one reads what the other wrote."""
    options = getattr(format, "options", None)
    return format.name, getattr(format, "version", ""), options and options.model_dump(exclude=harmless)


def _reply(made: Draft) -> None:
    """A channel takes, and that is all it says."""
    text = made.text
    if text is None:
        return
    if text.reply in made.handed:
        what = f"{text.reply!r} sends to a channel, which gives no answer to wait for"
        made.problems.append(Problem(("reply",), "JL-C052", what, "write `reply: accepted`"))
    elif made.source is not None and made.source[0] == "channel" and text.reply != "accepted":
        what = "only other channels send here, and they wait for no reply"
        made.problems.append(Problem(("reply",), "JL-C052", what, "leave it out", "warning"))
