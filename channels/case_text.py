"""A channel's `tests:` to cases. Their mistakes are gathered with their places, for `jingluo check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from channels.case_expect import OWN, Expected, codes_of
from channels.cases import NO_ANSWER, Answer, Case, World
from channels.model import Channel
from config.errors import Problem
from config.models import did_you_mean
from config.registry import destinations, nearest
from config.text import At
from config.units import seconds
from schemas import charsets
from transforms.expression import Tables
from transforms.proving import Given, envelope_of, given_of, named_twice, test_keys
from transforms.samples import Samples

_KEYS = ("name", "given", "before", "while", "envelope", "expect")
_ENVELOPE = ("id", "source", "headers", "parent")


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


class _Reader(Expected):
    """Reads one test."""

    def __init__(
        self, channel: Channel, others: Mapping[str, Channel], tables: Tables, samples: Samples, at: At
    ) -> None:
        super().__init__(channel, others, tables, samples)
        self.at = at

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
            self.read(expect, at, OWN),
            name=name,
            at=self.at,
            given=self._given(test["given"], (*self.at, "given")),
            before=self._before(test.get("before", []), (*self.at, "before")),
            world=world,
            envelope=envelope_of(envelope, _ENVELOPE, self.problems, (*self.at, "envelope")),
            reply=self._reply(expect["reply"], (*at, "reply")) if "reply" in expect else None,
        )

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
        known = codes_of(destinations, self.branches[name].kind)
        code = str(said)
        if code and code not in NO_ANSWER and known and code not in known:
            near = nearest(code, [*known, *NO_ANSWER])
            some = sorted(known) if len(known) < 10 else [min(known), "...", max(known)]
            hint = f"did you mean {near!r}?" if near else f"one of {', '.join([*some, *NO_ANSWER])}"
            what = f"no {self.branches[name].kind} answers {code!r}"
            self._say(at, "JL-C082", what, hint)
        return code

    def _seconds(self, said: Any, at: At) -> float:
        try:
            return seconds(said)
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            self._say(at, "JL-C013", what, hint)
            return 0.0


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
