"""A channel's `tests:` to cases. Their mistakes are gathered with their places, for `jingluo check`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from channels.cases import FILED, MAX_TRIES, NO_ANSWER, REPLIES, STATES, Answer, Case, Wanted, World
from channels.model import Channel
from config.errors import Problem
from config.models import did_you_mean
from config.registry import Names, destinations, formats, nearest, sources
from config.text import At
from config.units import seconds
from schemas import charsets
from schemas.base import Format
from transforms.contents import Content, compile_content
from transforms.expression import Tables
from transforms.proving import Given, envelope_of, given_of, named_twice, test_keys
from transforms.samples import Samples

_KEYS = ("name", "given", "before", "while", "envelope", "expect")
_ENVELOPE = ("id", "source", "headers", "parent")
_JOURNAL = ("state", "kind", "code", "parent", "index")
_OWN = ("reply", "journal", "order")
_THEN = ("journal", "order")


def compile_cases(
    tests: list[Any],
    channel: Channel,
    others: Mapping[str, Channel],
    tables: Tables,
    samples: Samples,
    problems: list[Problem],
) -> tuple[Case, ...]:
    """All tests of a channel; one with mistakes has `faults`, and the mistakes are added to `problems`.

    `others` are the channels that it may send to, by name.
    """
    made = [
        _Reader(channel, others, tables, samples, ("tests", number)).case(test, problems)
        for number, test in enumerate(tests)
    ]
    named_twice([(case.name, case.at) for case in made], problems)
    return tuple(made)


class _Reader:
    """Reads one test."""

    def __init__(
        self, channel: Channel, others: Mapping[str, Channel], tables: Tables, samples: Samples, at: At
    ) -> None:
        self.channel, self.others = channel, others
        self.tables, self.samples, self.at = tables, samples, at
        self.branches = {branch.name: branch for branch in channel.branches}
        self.problems: list[Problem] = []

    def case(self, test: Any, problems: list[Problem]) -> Case:
        name = f"test {int(self.at[-1]) + 1}"
        made = Case(name, self.at)
        if test_keys(test, _KEYS, self.problems, self.at):
            made = self._read(test, str(test.get("name", name)))
        problems += self.problems
        faults = tuple(problem.message for problem in self.problems if problem.severity == "error")
        return replace(made, faults=faults)

    def _read(self, test: Mapping[str, Any], name: str) -> Case:
        expect, at = test["expect"], (*self.at, "expect")
        world = self._world(test.get("while", {}), (*self.at, "while"))
        envelope = test.get("envelope", {})
        return replace(
            self.expected(expect, at, _OWN),
            name=name,
            at=self.at,
            given=self._given(test["given"], (*self.at, "given")),
            before=self._before(test.get("before", []), (*self.at, "before")),
            world=world,
            envelope=envelope_of(envelope, _ENVELOPE, self.problems, (*self.at, "envelope")),
            reply=self._reply(expect["reply"], (*at, "reply")) if "reply" in expect else None,
        )

    def expected(self, expect: Mapping[Any, Any], at: At, beside: tuple[str, ...]) -> Case:
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

    # What comes in, and when.

    def _given(self, spec: Any, at: At) -> Given:
        given = given_of(spec, self.channel.format.name, self.samples, self.problems, at)
        if not isinstance(spec, str):
            return given
        return replace(given, body=as_sent(spec, self.channel))

    def _before(self, spec: Any, at: At) -> tuple[tuple[Given, float], ...]:
        if not isinstance(spec, list):
            self._say(at, "JL-C012", "before must be a list of messages, each as `given`, or {given, ago}")
            return ()
        made = []
        for number, item in enumerate(spec):
            here, ago = (*at, number), 0.0
            if isinstance(item, Mapping) and "given" in item:
                self._known(item, ("given", "ago"), here)
                ago = self._seconds(item["ago"], (*here, "ago")) if "ago" in item else 0.0
                item, here = item["given"], (*here, "given")
            made.append((self._given(item, here), ago))
        return tuple(made)

    # How the world behaves.

    def _world(self, spec: Any, at: At) -> World:
        if not isinstance(spec, Mapping):
            self._say(at, "JL-C012", "while must be a mapping: {destination: {answer: ...}, clock: ...}")
            return World()
        world = World()
        answers = {}
        for key, value in spec.items():
            here = (*at, key)
            if key == "clock":
                world = self._clock(world, value, here)
            elif key == "tables":
                world = replace(world, tables=self._tables(value, here))
            elif key in self.branches:
                answers[key] = self._answers(value, key, here)
            else:
                self._unknown_destination(key, here, ("clock", "tables"))
        return replace(world, answers=answers)

    def _clock(self, world: World, spec: Any, at: At) -> World:
        spec = spec if isinstance(spec, Mapping) else {"at": spec}
        self._known(spec, ("at", "passes"), at)
        if "passes" in spec:
            world = replace(world, passes_s=self._seconds(spec["passes"], (*at, "passes")))
        if "at" not in spec:
            return world
        try:
            moment = datetime.fromisoformat(str(spec["at"]))
        except ValueError:
            hint = "such as 2026-01-05T08:00:00+08:00; without a zone it is UTC"
            self._say((*at, "at") if "at" in spec else at, "JL-C014", f"{spec['at']!r} is no time", hint)
            return world
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return replace(world, clock_ms=int(moment.timestamp() * 1000))

    def _tables(self, spec: Any, at: At) -> dict[str, dict[str, str]]:
        if not isinstance(spec, Mapping) or not all(isinstance(rows, Mapping) for rows in spec.values()):
            self._say(at, "JL-C012", "tables must be a mapping: {table: {code: value}}")
            return {}
        for name in spec:
            if name not in self.tables.table_names():
                hint = did_you_mean(nearest(str(name), self.tables.table_names()), [])
                self._say((*at, name), "JL-C104", f"no table is called {str(name)!r}", hint, on_key=True)
        return {
            str(name): {str(code): str(value) for code, value in rows.items()} for name, rows in spec.items()
        }

    def _answers(self, spec: Any, name: str, at: At) -> tuple[Answer, ...]:
        """An answer, a list of them, or {answer, body, headers, after}."""
        if isinstance(spec, list):
            made = [answer for n, item in enumerate(spec) for answer in self._answers(item, name, (*at, n))]
            if not made:
                self._say(at, "JL-C012", "an empty list is no answer")
            return tuple(made)
        if not isinstance(spec, Mapping):
            return (Answer(self._code(spec, name, at)),)
        self._known(spec, ("answer", "body", "headers", "after"), at)
        said = spec.get("answer", "")
        listed = said if isinstance(said, list) else [said]
        codes = [self._code(code, name, (*at, "answer")) for code in listed]
        after_s = self._seconds(spec["after"], (*at, "after")) if "after" in spec else 0.0
        body = b""
        if "body" in spec:
            body = given_of(spec["body"], "json", self.samples, self.problems, (*at, "body")).body
        said_headers = {"headers": spec.get("headers", {})}
        headers = envelope_of(said_headers, ("headers",), self.problems, at).get("headers", {})
        return tuple(Answer(code, body, headers, after_s) for code in codes)

    def _code(self, said: Any, name: str, at: At) -> str:
        """A code that a destination of this kind may answer."""
        known = _codes(destinations, self.branches[name].kind)
        code = str(said)
        if code and code not in NO_ANSWER and known and code not in known:
            near = nearest(code, [*known, *NO_ANSWER])
            some = sorted(known) if len(known) < 10 else [min(known), "...", max(known)]
            hint = f"did you mean {near!r}?" if near else f"one of {', '.join([*some, *NO_ANSWER])}"
            what = f"no {self.branches[name].kind} answers {code!r}"
            self._say(at, "JL-C082", what, hint)
        return code

    # What is expected.

    def _way(self, spec: Any, name: str, at: At) -> Wanted:
        """`sent`, or {state, code, tries, then, and the content}."""
        if not isinstance(spec, Mapping):
            return Wanted({"state": self._one_of(spec, STATES, at)})
        facts, rest = _parted(spec, ("state", "code", "tries"))
        then = None
        if "then" in rest:
            then = self._then(rest.pop("then"), name, (*at, "then"))
            facts = {"state": "sent", **facts}
        facts |= {"code": str(facts["code"])} if "code" in facts else {}
        if "state" in facts:
            self._one_of(facts["state"], STATES, (*at, "state"))
        elif rest and "code" not in facts:
            facts = {"state": "sent", **facts}
        if "tries" in facts and not (isinstance(facts["tries"], int) and 0 <= facts["tries"] <= MAX_TRIES):
            self._say((*at, "tries"), "JL-C012", "tries must be a whole number")
        if rest and facts.get("state") in ("filtered", "nothing"):
            what = f"a content of what is expected to be {facts['state']}: nothing goes there"
            self._say((*at, next(iter(rest))), "JL-C086", what, on_key=True)
            return Wanted(facts)
        return Wanted(facts, self._contents(rest, (self.branches[name].writes,), at), then)

    def _then(self, spec: Any, name: str, at: At) -> Case | None:
        """What becomes of it in the channel that it is handed to; None where that one cannot be read."""
        target = self.branches[name].target
        if not target:
            self._say(at, "JL-C086", f"{name!r} sends to no channel: nothing follows", on_key=True)
        elif not isinstance(spec, Mapping):
            what = f"then must be a mapping: what is expected in the channel {target!r}"
            self._say(at, "JL-C012", what)
        elif target in self.others:
            other = _Reader(self.others[target], self.others, self.tables, self.samples, at)
            other.problems = self.problems
            return other.expected(spec, at, _THEN)
        return None

    def _reply(self, spec: Any, at: At) -> Wanted:
        """A state (`accepted`), a code of the source (`AA`, 202), or {state, code, error, and the content}."""
        known = _codes(sources, self.channel.kind)
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
        for name in index:
            if name not in self.channel.index:
                hint = did_you_mean(nearest(str(name), self.channel.index), sorted(self.channel.index))
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

    def _seconds(self, said: Any, at: At) -> float:
        try:
            return seconds(said)
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            self._say(at, "JL-C013", what, hint)
            return 0.0


def _parted(spec: Mapping[Any, Any], facts: tuple[str, ...]) -> tuple[dict[str, Any], dict[Any, Any]]:
    return (
        {key: value for key, value in spec.items() if key in facts},
        {key: value for key, value in spec.items() if key not in facts},
    )


def _codes(names: Names, kind: str) -> frozenset[str]:
    found: Callable[..., Any] = names.get(kind)
    return getattr(found, "codes", frozenset())


def as_sent(text: str, channel: Channel) -> bytes:
    """A message that stands in YAML, as its sender would send it: in its charset, HL7 v2 with its own line ends."""
    form, said = channel.format, ""
    if form.name in ("json", "fhir", "xml"):
        return text.encode()
    if form.name == "hl7v2":
        text = text.strip("\n").replace("\n", "\r") + "\r"
        fields = text.split("\r", 1)[0].split(text[3:4]) if len(text) > 3 else []
        said = fields[17] if len(fields) > 17 else ""
    spoken = (said, getattr(form, "charset", ""), getattr(channel.options, "charset", ""))
    codec = next(filter(None, map(charsets.codec, spoken)), "utf-8")
    return text.encode(codec, "replace")
