"""A channel's text to the `Channel` that the router runs. Mistakes are gathered, never raised."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from channels.answers import answered_in, compile_findable, name_problems
from channels.case_text import compile_cases
from channels.cases import Case
from channels.collecting import Collect, compile_collect
from channels.describe import asked, describe
from channels.hl7_doubts import doubts, stated_version
from channels.model import (
    BATCH,
    Branch,
    BranchText,
    Channel,
    ChannelText,
    Keep,
    Retry,
    Test,
    ValidateText,
)
from channels.parameters import unmade
from channels.read import channel_text
from channels.sending import systems_in
from channels.splitting import Batch, compile_split
from channels.systems import Systems, endpoint
from channels.validation import Kinds, compile_validation
from config.errors import Problem
from config.models import old_names
from config.registry import Names, destinations, formats, sources
from config.text import At, Document
from endpoints.base import Described, WebOptions
from schemas.base import Format
from schemas.choice import choose
from schemas.validation.base import BadKind, Kind, Validation
from transforms.conditions import compile_when
from transforms.expression import compile_value
from transforms.library import Library
from transforms.mapping import Map
from transforms.never import contradictions
from transforms.samples import Samples
from transforms.tables import Table

T = TypeVar("T")

_DESTINATION = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Handed:
    """What a destination hands to another channel: which one, the format, where that is known, and how.

    `rows`: a row by itself, or a file of them; `batch`: batches of HL7 v2.
    """

    channel: str
    writes: Format | None
    rows: bool = False
    batch: bool = False


@dataclass(slots=True)
class Draft:
    """A channel file on its way. `source` is (kind, Options); `channel` is there where all of it compiled.

    `absent` are the places where `text` has a stand-in, of which nothing is to be said.
    """

    document: Document
    text: ChannelText | None = None
    absent: frozenset[At] = frozenset()
    source: tuple[str, Any] | None = None
    format: Format | None = None
    handed: dict[str, Handed] = field(default_factory=dict)  # destinations that are channels
    channel: Channel | None = None
    cases: tuple[Case, ...] = ()  # its tests
    doubles: list[tuple[At, Draft]] = field(default_factory=list)  # with the second value of a key
    problems: list[Problem] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.channel is not None and not any(p.severity == "error" for p in self.problems)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all channels of a site are made with."""

    library: Library
    systems: Systems
    kinds: Kinds
    samples: Samples | None = None  # of the tests; without it nobody looks at these
    digests: dict[Path, str] = field(default_factory=dict)

    def digest_of(self, path: Path) -> str:
        """Of a map's or a table's file, read once for all channels."""
        if path not in self.digests:
            self.digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self.digests[path]


def draft(document: Document, workshop: Workshop) -> Draft:
    """A channel file with everything that can be said of it alone, but for its tests."""
    made = Draft(document, problems=[*document.problems, *old_names(document.data, ChannelText)])
    made.text, made.absent = channel_text(document.data, made.problems)
    if made.text is not None:
        made.channel = _Compiler(made, made.text, workshop).channel()
    return made


def read_tests(made: Draft, others: Mapping[str, Channel], workshop: Workshop) -> None:
    """Its cases. `others` are all channels by name: a test may say what becomes of a message in the next one."""
    if made.text is not None and made.channel is not None and workshop.samples is not None:
        tests, library = made.text.tests, workshop.library
        made.cases = compile_cases(tests, made.channel, others, library, workshop.samples, made.problems)


class _Compiler:
    """One channel's compilation: every part notes its own mistakes, so that all show at once."""

    def __init__(self, made: Draft, text: ChannelText, workshop: Workshop) -> None:
        self.made, self.text = made, text
        self.problems = made.problems
        self.workshop, self.systems = workshop, workshop.systems
        self.files: set[Path] = set()  # of the maps and tables that it uses
        self.format = made.format = self._format()

    def channel(self) -> Channel | None:
        """None where any part is wrong."""
        text = self.text
        source = self.made.source = self._endpoint(text.from_, sources, ("from",))
        branches = [self._branch(name, branch) for name, branch in text.to.items()]
        branches += [self._batch()] if text.batch == "hl7" else []
        if text.batch is not None:
            self._batches(text)
        when = self._when(text.when, ("when",))
        validation = self._validation(text.validate_, self.format, ("validate",))
        self.problems += name_problems(text.index, ("index",))
        index = {name: self._read(compile_value, path, ("index", name)) for name, path in text.index.items()}
        order_by = self._read(compile_value, text.order.by, ("order", "by")) if text.order else None
        duplicates = text.duplicates
        duplicates_by = self._read(compile_value, duplicates.by, ("duplicates", "by")) if duplicates else None
        web = source is not None and isinstance(source[1], WebOptions)
        response = self._response(source[1]) if source is not None and web else None
        good = [branch for branch in branches if branch is not None]
        if source is None or len(good) < len(branches) or any(p.severity == "error" for p in self.problems):
            return None
        return Channel(
            name=text.channel,
            title=text.title,
            kind=source[0],
            options=source[1],
            format=self.format,
            branches=tuple(good),
            when=when,
            validation=validation,
            index={name: read for name, read in index.items() if read is not None},
            order_by=order_by,
            lanes=text.order.lanes if text.order else 0,
            duplicates_by=duplicates_by,
            duplicates_within_s=duplicates.within if duplicates else 0.0,
            reply=text.reply,
            timeout_s=text.timeout,
            max_messages=text.limit.messages,
            max_bytes=text.limit.bytes,
            keep=Keep(text.keep.body, text.keep.rows) if text.keep else None,
            alert=text.alert,
            web=web,
            whole=text.batch == "whole",
            described=describe(text, validation.kind if validation else None, response, asked(text, good))
            if web
            else Described(),
            door="".join(map(self.workshop.digest_of, source[1].files(self.systems.site, []))),
            digest=self._digest(),
            file=self.made.document.file,
        )

    def _response(self, options: WebOptions) -> Kind | None:
        """The schema of answers, where the door names one."""
        name = getattr(options, "response", "")
        if not name.endswith(".json"):
            return None
        kind = next(iter(self.text.from_))
        try:
            return self.workshop.kinds.get(name)
        except BadKind as error:
            self.problems.append(Problem(("from", kind, "response"), error.code, error.text, error.hint))
            return None

    def _format(self) -> Any:
        return (
            None if ("format",) in self.made.absent else choose(self.text.format, self.problems, ("format",))
        )

    def _branch(self, name: str, text: BranchText) -> Branch | None:
        at: At = ("to", name)
        if not _DESTINATION.fullmatch(name) or name in ("accepted", "none"):
            hint = "small letters, digits and hyphens; not `accepted`, not `none`"
            self.problems.append(
                Problem(at, "JL-C038", f"{name!r} cannot name a destination", hint, on_key=True)
            )
        mapped = self._map(text.map, (*at, "map"))
        reply_map = self._map(text.reply_map, (*at, "reply_map"))
        self._check_formats(at, mapped, reply_map)
        when = self._when(text.when, (*at, "when"))
        sent = mapped.target if mapped else None if text.map else self.format
        validation = self._validation(text.validate_, sent, (*at, "validate"))
        found = self._endpoint(text.send, destinations, (*at, "send"))
        split = None
        if text.split is not None:
            split = compile_split(text.split, sent, self.problems, (*at, "split"))
        collect = self._collect(text, sent, at) if text.collect else None
        if found is not None and found[0] == "channel":
            whole = text.collect is not None and not text.collect.as_
            batch = whole and getattr(sent, "name", "") == "hl7v2"
            rows = text.split is not None or text.collect is not None
            self.made.handed[name] = Handed(found[1].channel, split.writes if split else sent, rows, batch)
        elif text.split is not None and found is not None:
            what = (
                "only what is sent to a channel is divided: there each item is tried, and given up, by itself"
            )
            self.problems.append(Problem((*at, "split"), "JL-C055", what, "`send: {channel: ...}`"))
        if found is not None and sent is not None:
            self._check_paths(found[1].paths(), sent, (*at, "send"))
        self.problems += unmade(found, text, self.workshop.library, at)
        findable = None
        if text.index and found is not None:
            answers = answered_in(found[0], reply_map.source if reply_map else None, sent)
            read = partial(self._read_in, answers, compile_value)
            findable = compile_findable(text.index, found[0], answers, read, self.problems, (*at, "index"))
        if found is None or (text.map and not mapped) or (text.reply_map and not reply_map):
            return None
        return Branch(
            name=name,
            kind=found[0],
            options=found[1],
            format=mapped.target_format if mapped else getattr(self.format, "name", ""),
            writes=mapped.target if mapped else self.format,
            charset=getattr(mapped.target, "charset", "") if mapped else "",
            when=when,
            map=mapped.run if mapped else None,
            validation=validation,
            split=split,
            collect=collect,
            retry=self._retry(text),
            parallel=text.parallel,
            reply_map=reply_map.run if reply_map else None,
            reply_format=reply_map.source if reply_map else None,
            findable=findable,
        )

    def _retry(self, text: BranchText) -> Retry:
        """A settlement's call is never tried again by its channel: it may have been done, and nobody asked."""
        if self.made.source is not None and self.made.source[0] == "calls":
            return Retry(for_s=0.0)
        said = text.retry
        return Retry(said.first, said.factor, said.max, said.for_, said.then)

    def _collect(self, text: BranchText, sent: Format | None, at: At) -> Collect | None:
        said = text.collect
        assert said is not None
        at = (*at, "collect")
        by = self._read(compile_value, said.by, (*at, "by")) if said.by is not None else None
        return compile_collect(said, text, by, sent, self.problems, at, self.made.absent)

    def _batch(self) -> Branch | None:
        """Where a batch goes first: back to this channel, message by message."""
        if BATCH in self.text.to:
            what = "a channel with `batch` has a destination of this name, which takes the batches apart"
            self.problems.append(Problem(("to", BATCH), "JL-C056", what, "give it another name", on_key=True))
        kind = destinations.get("channel")
        return Branch(
            name=BATCH,
            kind="channel",
            options=kind.Options(channel=self.text.channel),
            format=getattr(self.format, "name", ""),
            writes=self.format,
            split=Batch(),
        )

    def _batches(self, text: ChannelText) -> None:
        """What batches cannot be of, and what cannot be asked of one that nobody reads."""

        def wrong(at: At, what: str, hint: str) -> None:
            self.problems.append(Problem(at, "JL-C056", what, hint))

        if self.format is not None and self.format.name != "hl7v2":
            what = f"batches are known of hl7v2 alone, and the channel's messages are {self.format.name}"
            wrong(("batch",), what, "leave it out; `split` divides messages")
        if text.batch != "whole":
            return
        reads: tuple[str, ...] = ("when", "index", "order", "duplicates", "validate_")
        asked: list[At] = [(key,) for key in reads if getattr(text, key)]
        for name, branch in text.to.items():
            reads = ("when", "map", "validate_", "split", "collect")
            asked += [("to", name, key) for key in reads if getattr(branch, key) is not None]
        for at in asked:
            key = str(at[-1]).rstrip("_")
            what = f"with `batch: whole` nothing is read of a message, and `{key}` asks something of it"
            wrong((*at[:-1], key), what, "`batch: hl7` takes batches apart")

    def _validation(self, text: ValidateText | None, format: Format | None, at: At) -> Validation | None:
        if text is None or (*at, "as") in self.made.absent:
            return None
        data = self.made.document.data
        for key in at:
            data = data[key]
        found = compile_validation(text, data, format, self.workshop.kinds, self.problems, at)
        self.files |= set(found.kind.files) if found else set()
        return found

    def _check_formats(self, at: At, mapped: Map | None, reply_map: Map | None) -> None:
        if self.format is None:
            return
        own = self.format.name
        if mapped and mapped.source_format != own:
            what = f"the map {mapped.name!r} reads {mapped.source_format}, the channel's messages are {own}"
            self.problems.append(Problem((*at, "map"), "JL-C039", what))
        if reply_map and reply_map.target_format != own:
            what = f"the map {reply_map.name!r} makes {reply_map.target_format}, the channel answers in {own}"
            self.problems.append(Problem((*at, "reply_map"), "JL-C039", what))

    def _check_paths(self, paths: Sequence[str], sent: Format, at: At) -> None:
        """What a destination reads of the messages that it is sent."""
        for path in paths:
            try:
                sent.path(path.removeprefix("$"))
            except Exception as error:  # BadPath, and a library's own complaint about its path language
                self.problems.append(Problem(at, "JL-C101", f"{path!r} is not a path: {error}"))

    def _map(self, name: str | None, at: At) -> Map | None:
        if name is None:
            return None
        found = self.workshop.library.map(name, self.problems, at)
        self.files |= self.workshop.library.used(name)
        return found

    def table(self, name: str) -> Table | None:
        """What a condition's or an expression's compiler asks for."""
        found = self.workshop.library.table(name)
        if found is not None:
            self.files.add(found.file)
        return found

    def table_names(self) -> list[str]:
        return self.workshop.library.table_names()

    def _endpoint(self, spec: dict[str, Any], names: Names, at: At) -> tuple[str, Any] | None:
        if at in self.made.absent:
            return None
        found = endpoint(spec, names, at, self.systems, self.problems)
        self.files |= set(found[1].files(self.systems.site, [])) if found else set()
        return found

    def _when(self, spec: Any, at: At) -> Test | None:
        if spec is None:
            return None
        test = self._read(compile_when, spec, at)
        self.problems += contradictions(spec, at) if test else ()
        return test

    def _read(self, compiled: Callable[..., T], spec: Any, at: At) -> T | None:
        """Of the channel's messages: a condition or an expression."""
        if at not in self.made.absent and getattr(self.format, "name", "") == "hl7v2":
            self.problems.extend(doubts(spec, at, stated_version(self.text)))
        return self._read_in(self.format, compiled, spec, at)

    def _read_in(self, format: Format | None, compiled: Callable[..., T], spec: Any, at: At) -> T | None:
        """Where nobody knows the format, what all formats find wrong is wrong."""
        if at in self.made.absent:
            return None
        if format is not None:
            return compiled(spec, format, self, self.problems, at)
        said: list[list[Problem]] = []
        for name in formats.known():
            said.append([])
            compiled(spec, name, self, said[-1], at)
        self.problems += [problem for problem in said[0] if all(problem in other for other in said)]
        return None

    def _digest(self) -> str:
        """Over all that decides what the channel does, and not over its comments and tests."""
        data = {key: value for key, value in self.made.document.data.items() if key != "tests"}
        systems = {
            name: self.systems.entries[name] for name in systems_in(data) if name in self.systems.entries
        }
        files = sorted(map(self.workshop.digest_of, self.files))
        whole = json.dumps([data, systems, files], sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]
