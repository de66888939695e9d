"""What is wrong with a channel as a whole, and with several channels together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from channels import fhir_checks
from channels.alerts import alerts_of
from channels.between import behind, between
from channels.callers import callers_of
from channels.compile import Draft
from channels.loops import folder_of, loops
from channels.model import LONGEST_SEND_S, BranchText, ChannelText, Retry, RetryText
from channels.services import services
from config.callers import Callers
from config.errors import Problem
from config.registry import nearest
from config.settings import Settings
from config.text import At
from transforms.conditions import literals

_EVERYWHERE = {"0.0.0.0", "::", ""}
_ENGINES_OWN = (
    "/api",
    "/health",
    "/metrics",
    "/openapi.json",
    "/soap",
    "/fhir",
)  # answered before any channel
# Of web doors the option that is its path, and how that begins.
_BEGINS = {
    "http": ("path", "begin it with /v1"),
    "soap": ("path", "begin it with /soap"),
    "fhir": ("base", "`base: /fhir`, or leave it out"),
}
_NO_SOURCE: tuple[str, Any] = ("", None)


def alone(made: Draft) -> None:
    """Adds what one channel's parts say of one another."""
    text = made.text
    if text is None:
        return
    problems = made.problems
    stem = Path(made.document.file).stem
    if stem != text.channel and ("channel",) not in made.absent:
        what = f"the channel {text.channel!r} stands in a file called {stem!r}"
        problems.append(Problem(("channel",), "JL-C022", what, f"call it {text.channel}.yaml", "warning"))
    if not text.to and ("to",) not in made.absent:
        what = "no destination: what comes in is kept, and goes nowhere"
        problems.append(Problem(("channel",), "JL-C033", what, "add `to:`", "warning"))
    if text.order and text.order.lanes == 1:
        what = "one lane delivers one message at a time, whatever its key"
        problems.append(
            Problem(("order", "lanes"), "JL-C029", what, "more lanes keep the order of a key", "warning")
        )
    if made.absent.isdisjoint({("reply",), ("to",)}):
        _reply(text, problems)
    _own_path(made)
    _made_here(made)
    fhir_checks.alone(made)
    _sends(made)
    for name, branch in text.to.items():
        _retry(branch.retry, ("to", name, "retry"), made)
        lane = text.order is not None or branch.collect is not None
        if branch.retry.then == "hold" and not lane and ("order",) not in made.absent:
            what = "only a lane can be held, and this channel has none"
            hint = "say `order: {by, lanes}`, or leave `then` out"
            problems.append(Problem(("to", name, "retry", "then"), "JL-C045", what, hint))
        _reached(text, name, branch, problems)


def across(
    drafts: list[Draft],
    unread: Collection[str],
    settings: Settings,
    callers: Callers,
    actions: Callable[[], Collection[str]] = tuple,
) -> None:
    """Adds what two channels say of each other: the later file is the one that does not run.

    `unread` are the files that are no YAML, `actions` those of the platform's services.
    """
    _once(drafts, "JL-C021", ("channel",), "name", _name)
    _ports(drafts, settings)
    _once(drafts, "JL-C024", ("from", "http", "path"), "method and path", _route)
    for kind in ("file", "sftp", "ftp", "s3"):
        folder = partial(_folder, kind=kind, site=settings.site)
        _once(drafts, "JL-C025", ("from", kind, "folder"), "folder", folder)
    fhir_checks.claims(drafts)
    services(drafts, actions)
    loops(drafts, settings)
    between(drafts, unread)
    for made in drafts:
        callers_of(made, settings, callers)
        alerts_of(made, settings)
        _keep(made, settings, drafts)


def _reply(text: ChannelText, problems: list[Problem]) -> None:
    choices = ["accepted", "none", *text.to]
    if text.reply not in choices:
        near = nearest(text.reply, choices)
        hint = f"did you mean {near!r}?" if near else f"one of {', '.join(choices)}"
        problems.append(Problem(("reply",), "JL-C026", f"no destination is called {text.reply!r}", hint))
    for name, branch in text.to.items():
        if branch.reply_map and name != text.reply and text.reply in choices:
            what = f"the answer of {name!r} is not the reply, so this map is never used"
            problems.append(
                Problem(("to", name, "reply_map"), "JL-C042", what, f"write `reply: {name}`", "warning")
            )


def _retry(retry: RetryText, at: At, made: Draft) -> None:
    wrong = {key for key in ("first", "max", "for") if (*at, key) in made.absent}
    if "first" in wrong:
        return
    if retry.first <= 0:
        made.problems.append(Problem((*at, "first"), "JL-C030", "first must be more than nothing"))
    if retry.first > retry.max and "max" not in wrong:
        what = "the longest wait is shorter than the first one"
        made.problems.append(Problem((*at, "max"), "JL-C030", what))
    if retry.for_ < retry.first and "for" not in wrong:
        made.problems.append(Problem((*at, "for"), "JL-C030", "retrying ends before the first wait is over"))


def _keep(made: Draft, settings: Settings, drafts: list[Draft]) -> None:
    """What may still be tried again must still be there; it lies in the day of what it was first made from."""
    text = made.text
    if text is None or ("keep",) in made.absent:
        return
    keep = text.keep or settings.journal.keep
    if keep.body is not None and keep.rows is not None and keep.body > keep.rows:
        what = "bodies cannot be kept longer than the rows they belong to"
        made.problems.append(Problem(("keep", "body") if text.keep else ("channel",), "JL-C048", what))
    longest = max((branch.retry.for_ for branch in text.to.values()), default=0.0) + behind(made, drafts)
    longest += Retry().for_s if text.batch == "hl7" else 0.0
    longest += max((b.collect.within or 0.0 for b in text.to.values() if b.collect), default=0.0)
    for name, kept in (("body", keep.body), ("rows", keep.rows)):
        if kept is not None and kept < longest:
            what = (
                f"a message may be tried again for {longest / 86400:g} days, longer than its {name} is kept"
            )
            hint = f"at least {math.ceil(longest / 86400)}d, or a shorter `retry: {{for}}`"
            if text.keep is None:
                hint += "; jingluo.yaml: `journal: {keep}`"
            at: At = ("keep", name) if text.keep else ("channel",)
            made.problems.append(Problem(at, "JL-C047", what, hint))


def _sends(made: Draft) -> None:
    for branch in made.channel.branches if made.channel else ():
        if branch.longest_send_s > LONGEST_SEND_S:
            what = f"one send may take {branch.longest_send_s:g} s, and RabbitMQ waits 30 minutes at the most"
            hint = f"timeout and connect_within together at most {LONGEST_SEND_S / 60:g}m"
            made.problems.append(Problem(("to", branch.name, "send"), "JL-C046", what, hint))


def _reached(text: ChannelText, name: str, branch: BranchText, problems: list[Problem]) -> None:
    """Two conditions that name the same path must have a value in common."""
    outer, inner = literals(text.when), literals(branch.when)
    for path in outer.keys() & inner.keys():
        if outer[path].isdisjoint(inner[path]):
            only = ", ".join(sorted(outer[path]))
            what = f"{name!r} is never reached: the channel takes only {only} here"
            problems.append(Problem(("to", name, "when", f"${path}"), "JL-C027", what, on_key=True))


def _once(
    drafts: list[Draft], code: str, at: At, what: str, claim: Callable[[Draft], tuple[str, Any] | None]
) -> None:
    """A finding for everyone who claims what an earlier file has. A claim: how it is shown, what it is."""
    first: dict[Any, Draft] = {}
    for made in drafts:
        claimed = claim(made)
        if claimed is None:
            continue
        shown, key = claimed
        owner = first.setdefault(key, made)
        if owner is not made:
            made.problems.append(Problem(at, code, f"the {what} {shown!r} is taken by {owner.document.file}"))


def _name(made: Draft) -> tuple[str, Any] | None:
    if made.text is None or ("channel",) in made.absent:
        return None
    return made.text.channel, made.text.channel


def _ports(drafts: list[Draft], settings: Settings) -> None:
    taken: list[tuple[str, int, str]] = []
    if settings.http.port:
        taken.append((settings.http.host, settings.http.port, "the engine's HTTP server"))
    for made in drafts:
        kind, options = made.source or _NO_SOURCE
        host, port = getattr(options, "host", ""), getattr(options, "port", 0)
        if kind == "http" or not port or not options.listens:
            continue
        owner = next((who for h, p, who in taken if p == port and _same_host(h, host)), "")
        if owner:
            what = f"the port {port} is taken by {owner}"
            made.problems.append(Problem(("from", kind, "port"), "JL-C023", what))
        taken.append((host, port, made.document.file))


def _same_host(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE


def _own_path(made: Draft) -> None:
    kind, options = made.source or _NO_SOURCE
    key, hint = _BEGINS.get(kind, ("", ""))
    path = getattr(options, key) if key else ""
    own = [own for own in _ENGINES_OWN if path == own or path.startswith(f"{own}/")]
    if own and own != [f"/{kind}"]:
        what = f"the engine answers {path} itself: no message would reach this channel"
        made.problems.append(Problem(("from", kind, key), "JL-C043", what, hint))


def _made_here(made: Draft) -> None:
    """A source that makes its messages itself makes them in one format."""
    kind, options = made.source or _NO_SOURCE
    makes = getattr(options, "makes", "")
    if makes and made.format is not None and made.format.name != makes:
        what = f"{kind} makes {makes}, and the channel reads {made.format.name}"
        made.problems.append(Problem(("format",), "JL-C151", what, f"write `format: {makes}`"))


def _route(made: Draft) -> tuple[str, Any] | None:
    """Parameters match alike whatever they are called."""
    kind, options = made.source or _NO_SOURCE
    if kind != "http":
        return None
    return f"{options.method} {options.path}", (options.method, re.sub(r"\{[^}]*\}", "{}", options.path))


def _folder(made: Draft, kind: str, site: Path) -> tuple[str, Any] | None:
    """With a lock, the folder is one channel's; else what it takes from there is."""
    own, options = made.source or _NO_SOURCE
    if own != kind:
        return None
    apart = () if options.claim == "lock" else options.pattern
    return options.folder, (folder_of(kind, options, site), apart)
