"""What a channel's test expects, read: of its destinations, its reply, the journal, and of other channels behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from channels.cases import ENDS, FILED, MAX_TRIES, REPLIES, STATES, Case, Wanted
from channels.model import Channel
from config.errors import Problem
from config.models import did_you_mean
from config.registry import Names, formats, nearest, sources
from config.text import At
from schemas.base import Format
from transforms.contents import Content, compile_content
from transforms.expression import Tables
from transforms.samples import Samples

_JOURNAL = ("state", "kind", "code", "parent", "index")
OWN = ("reply", "journal", "order")
_THEN = ("journal", "order")


class Expected:
    """Reads what must become of a message in one channel. `others` are the channels that it may send to, by name."""

    def __init__(
        self, channel: Channel, others: Mapping[str, Channel], tables: Tables, samples: Samples
    ) -> None:
        self.channel, self.others = channel, others
        self.tables, self.samples = tables, samples
        self.branches = {branch.name: branch for branch in channel.branches}
        self.problems: list[Problem] = []

    def read(self, expect: Mapping[Any, Any], at: At, beside: tuple[str, ...]) -> Case:
        """What must become of a message in this channel. `beside`: what may be named but destinations."""
        ways = {}
        for key, spec in expect.items():
            if key in self.branches:
                ways[key] = self._way(spec, key, (*at, key))
            elif key not in beside:
                self._unknown_destination(key, (*at, key), beside)
        order = expect.get("order")
        if "order" in expect and (self.channel.order_by is None or isinstance(order, Mapping | list)):
            what = "this channel has no order" if self.channel.order_by is None else "order must be text"
            self._say((*at, "order"), "JL-C086", what)
        journal = self._journal(expect["journal"], (*at, "journal")) if "journal" in expect else None
        return Case("", at, journal=journal, order=None if order is None else str(order), ways=ways)

    def _way(self, spec: Any, name: str, at: At) -> Wanted:
        """`sent`, or {state, code, tries, then, items, and the content}."""
        if not isinstance(spec, Mapping):
            return Wanted({"state": self._one_of(spec, STATES, at)})
        facts, rest = _parted(spec, ("state", "code", "tries"))
        then, items = None, None
        if "then" in rest:
            then = self._then(rest.pop("then"), name, (*at, "then"))
            facts = {"state": "sent", **facts}
        collects = self.branches[name].collect is not None
        parts = "groups" if collects else "items"
        if parts in rest:
            items = self._items(rest.pop(parts), name, (*at, parts))
            facts = facts if collects else {"state": "sent", **facts}
        facts |= {"code": str(facts["code"])} if "code" in facts else {}
        if "state" in facts:
            self._one_of(facts["state"], STATES, (*at, "state"))
        elif rest and "code" not in facts:
            facts = {"state": "sent", **facts}
        if "tries" in facts and not (isinstance(facts["tries"], int) and 0 <= facts["tries"] <= MAX_TRIES):
            self._say((*at, "tries"), "JL-C012", "tries must be a whole number")
        if rest and (collects or self.branches[name].split is not None):
            what = f"a content of what is {'gathered' if collects else 'divided'}: say it of each of the `{parts}`"
            self._say((*at, next(iter(rest))), "JL-C086", what, on_key=True)
            return Wanted(facts)
        if rest and facts.get("state") in ("filtered", "nothing"):
            what = f"a content of what is expected to be {facts['state']}: nothing goes there"
            self._say((*at, next(iter(rest))), "JL-C086", what, on_key=True)
            return Wanted(facts)
        return Wanted(facts, self._contents(rest, (self.branches[name].writes,), at), then, items)

    def _items(self, spec: Any, name: str, at: At) -> int | tuple[Wanted, ...] | None:
        """How many, or each: `sent`, `dead`, or {state, code, messages, then, and the content}."""
        branch, parts = self.branches[name], at[-1]
        if branch.split is None and branch.collect is None:
            self._say(at, "JL-C086", f"what {name!r} sends is not divided: it has no items", on_key=True)
        elif isinstance(spec, int) and not isinstance(spec, bool) and spec >= 0:
            return spec
        elif isinstance(spec, list):
            return tuple(self._item(one, name, (*at, number)) for number, one in enumerate(spec))
        else:
            self._say(at, "JL-C012", f"{parts} must be a number, or a list with what each must be")
        return None

    def _item(self, spec: Any, name: str, at: At) -> Wanted:
        if not isinstance(spec, Mapping):
            return Wanted({"state": self._one_of(spec, ENDS, at)})
        collects = self.branches[name].collect is not None
        facts, rest = _parted(spec, ("state", "code", "messages") if collects else ("state", "code"))
        if "state" in facts:
            self._one_of(facts["state"], ENDS, (*at, "state"))
        elif "code" not in facts:
            facts = {"state": "sent", **facts}
        then = self._next(rest.pop("then"), name, (*at, "then")) if "then" in rest else None
        return Wanted(facts, self._contents(rest, (self.branches[name].writes,), at), then)

    def _then(self, spec: Any, name: str, at: At) -> Case | None:
        """What becomes of it in the channel that it is handed to; None where that one cannot be read."""
        branch = self.branches[name]
        if branch.split is None and branch.collect is None:
            return self._next(spec, name, at)
        how, parts = ("divided", "items") if branch.collect is None else ("gathered", "groups")
        self._say(
            at, "JL-C086", f"what {name!r} sends is {how}: say it of each of the `{parts}`", on_key=True
        )
        return None

    def _next(self, spec: Any, name: str, at: At) -> Case | None:
        target = self.branches[name].target
        if not target:
            self._say(at, "JL-C086", f"{name!r} sends to no channel: nothing follows", on_key=True)
        elif not isinstance(spec, Mapping):
            what = f"then must be a mapping: what is expected in the channel {target!r}"
            self._say(at, "JL-C012", what)
        elif target in self.others:
            other = Expected(self.others[target], self.others, self.tables, self.samples)
            other.problems = self.problems
            return other.read(spec, at, _THEN)
        return None

    def _reply(self, spec: Any, at: At) -> Wanted:
        """A state (`accepted`), a code of the source (`AA`, 202), or {state, code, error, and the content}."""
        known = codes_of(sources, self.channel.kind)
        if not isinstance(spec, Mapping):
            said = str(spec)
            if said in REPLIES:
                return Wanted({"state": said})
            return Wanted({"code": self._one_of(said, known, at, REPLIES) if known else said})
        facts, rest = _parted(spec, ("state", "code", "error"))
        if "state" in facts:
            self._one_of(facts["state"], REPLIES, (*at, "state"))
        if "code" in facts and known:
            self._one_of(facts["code"], known, (*at, "code"))
        return Wanted(
            {key: str(fact) for key, fact in facts.items()}, self._contents(rest, self._formats(), at)
        )

    def _formats(self) -> tuple[Format, ...]:
        """What a reply may be written in: the source's own words, or a destination's."""
        channel = self.channel
        own = getattr(sources.get(channel.kind), "answers_in", "")
        found: list[Format] = [formats.get(own)] if own else []
        theirs = [branch.writes for branch in channel.branches if branch.name == channel.reply]
        if theirs or not own:
            found += [channel.format, *theirs]
        return tuple({form.name: form for form in reversed(found)}.values())

    def _journal(self, spec: Any, at: At) -> Wanted:
        if not isinstance(spec, Mapping):
            return Wanted({"state": self._one_of(spec, FILED, at)})
        self._known(spec, _JOURNAL, at)
        if "state" in spec:
            self._one_of(spec["state"], FILED, (*at, "state"))
        index = spec.get("index", {})
        if not isinstance(index, Mapping):
            self._say((*at, "index"), "JL-C012", "index must be a mapping (name: value)")
            return Wanted({})
        known = self.channel.found_by
        for name in index:
            if name not in known:
                hint = did_you_mean(nearest(str(name), known), known)
                what = f"this channel has no index {str(name)!r}"
                self._say((*at, "index", name), "JL-C085", what, hint, on_key=True)
        facts: dict[str, Any] = {key: str(value) for key, value in spec.items() if key != "index"}
        facts |= {f"index.{name}": None if value is None else str(value) for name, value in index.items()}
        return Wanted(facts)

    def _contents(self, spec: Mapping[str, Any], formats: Iterable[Format], at: At) -> dict[str, Content]:
        """In each format that it may have; a mistake is what is one in all of them."""
        made: dict[str, Content] = {}
        said: list[list[Problem]] = []
        for form in formats if spec else ():
            said.append([])
            content = compile_content(spec, form, self.tables, self.samples, said[-1], at)
            if content is not None and not any(problem.severity == "error" for problem in said[-1]):
                made[form.name] = content
        if said:
            fewest = sorted(said, key=lambda problems: len(problems))[0]
            self.problems += fewest
        return made

    # Small things.

    def _say(self, at: At, code: str, what: str, hint: str = "", on_key: bool = False) -> None:
        self.problems.append(Problem(at, code, what, hint, on_key=on_key))

    def _known(self, spec: Mapping[Any, Any], known: tuple[str, ...], at: At) -> None:
        for key in spec:
            if key not in known:
                hint = did_you_mean(nearest(str(key), known), list(known))
                self._say((*at, key), "JL-C010", f"unknown key {str(key)!r}", hint, on_key=True)

    def _unknown_destination(self, key: Any, at: At, beside: tuple[str, ...]) -> None:
        known = [*self.branches, *beside]
        hint = did_you_mean(nearest(str(key), known), known)
        self._say(at, "JL-C081", f"no destination is called {str(key)!r}", hint, on_key=True)

    def _one_of(self, said: Any, known: Iterable[str], at: At, beside: tuple[str, ...] = ()) -> str:
        choices = [*known, *beside]
        if str(said) not in choices:
            shown = choices if len(choices) < 20 else list(beside)
            self._say(at, "JL-C082", f"{said!r} cannot be", did_you_mean(nearest(str(said), choices), shown))
        return str(said)


def _parted(spec: Mapping[Any, Any], facts: tuple[str, ...]) -> tuple[dict[str, Any], dict[Any, Any]]:
    return (
        {key: value for key, value in spec.items() if key in facts},
        {key: value for key, value in spec.items() if key not in facts},
    )


def codes_of(names: Names, kind: str) -> frozenset[str]:
    found: Callable[..., Any] = names.get(kind)
    return getattr(found, "codes", frozenset())
