"""A site's tests, chosen by name, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from channels.cases import Case
from channels.compile import Draft, Workshop, draft
from channels.loader import Drawn, draw_tests, own_maps, own_tables, shown
from channels.model import Channel
from channels.settling.cases import Case as SettlementCase
from config.errors import Finding
from config.settings import Settings
from config.text import Document
from router.proving.judge import contents, judge, without_file
from router.proving.routes import Routes
from router.proving.settling.play import proved
from router.proving.stage import Stage
from transforms.contents import as_file
from transforms.coverage import Coverage
from transforms.library import Library
from transforms.mapping import Map
from transforms.proving import Failure, Proof, compile_proofs, run
from transforms.samples import Samples
from transforms.table_tests import questions_of, unasked
from transforms.tables import Table


@dataclass(frozen=True, slots=True)
class Result:
    """One test. `of` is its channel, settlement, map or table (`kind`), `line` its place in that file."""

    kind: str
    of: str
    name: str
    file: str
    line: int
    failures: tuple[Failure, ...]
    took_s: float


class Asking(NamedTuple):
    """What the tests of a table did not ask of it, and of how many things."""

    table: Table
    missed: list[str]
    total: int


@dataclass(slots=True)
class Report:
    """What all tests came to. `findings`: the mistakes that keep tests from being played."""

    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # files of expected messages
    untested: list[str] = field(default_factory=list)  # channels, settlements, maps and tables without a test
    routes: list[Routes] = field(default_factory=list)
    tables: list[Asking] = field(default_factory=list)
    coverage: Coverage | None = None

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.failures]


def run_tests(
    settings: Settings,
    env: Mapping[str, str],
    chosen: Sequence[str] = (),
    *,
    update: bool = False,
    coverage: bool = False,
) -> Report:
    """`chosen`: names of channels, settlements, maps and tables, or `name: test`, with `*` and `?`. `update` writes
    expected messages.
    """
    report = Report(coverage=Coverage() if coverage else None)
    library = Library(settings.maps, settings.tables, report.coverage)
    drawn = draw_tests(settings, env, library, chosen=partial(_chosen, chosen))
    report.findings = [finding for finding in drawn.findings if finding.severity == "error"]
    runner = _Runner(settings, drawn, report, chosen, update)
    runner.tables(library)
    runner.maps(library)
    asyncio.run(runner.channels())
    asyncio.run(runner.settlements())
    return report


class _Runner:
    def __init__(
        self, settings: Settings, drawn: Drawn, report: Report, chosen: Sequence[str], update: bool
    ) -> None:
        self.settings, self.drawn, self.report = settings, drawn, report
        self.chosen, self.update = chosen, update
        self.samples = Samples(settings.site)
        drafts = [made for made in drawn.drafts if made.channel is not None]
        self.scenes = {_compiled(made).name: _Scenes(made, drawn.workshop, settings) for made in drafts}

    def tables(self, library: Library) -> None:
        for name in filter(partial(_chosen, self.chosen), own_tables(library, self.settings)):
            table = library.table(name)
            if table is None:
                continue
            questions, _ = questions_of(table)
            if table.tests:
                self.report.tables.append(Asking(table, unasked(table, questions), len(table.columns) + 1))
            else:
                self.report.untested.append(name)
            file = shown(table.file, self.settings.site)
            for question in questions:
                if _chosen(self.chosen, name, question.asked):
                    began = time.perf_counter()
                    wrong = question.otherwise()
                    failures = (Failure(question.asked, "the table", *wrong),) if wrong else ()
                    took_s = time.perf_counter() - began
                    self.report.results.append(
                        Result("table", name, question.asked, file, question.line, failures, took_s)
                    )

    def maps(self, library: Library) -> None:
        for name in filter(partial(_chosen, self.chosen), own_maps(library, self.settings)):
            mapped, document = library.map(name, []), library.document(name)
            if mapped is None or document is None:
                continue
            proofs = compile_proofs(
                document.data.get("tests", []), mapped, [], samples=self.samples, tables=library
            )
            if not proofs:
                self.report.untested.append(name)
            for proof in proofs:
                if _chosen(self.chosen, name, proof.name):
                    began = time.perf_counter()
                    failures = self._prove(proof, mapped)
                    self._note("map", name, document, proof, failures, began)

    async def channels(self) -> None:
        for made in self.drawn.drafts:
            channel = made.channel
            if channel is None or not _chosen(self.chosen, channel.name):
                continue
            if not made.cases:
                self.report.untested.append(channel.name)
            scenes = self.scenes[channel.name]
            routes = Routes(channel, made.document)
            self.report.routes.append(routes)
            for case in made.cases:
                if _chosen(self.chosen, channel.name, case.name):
                    began = time.perf_counter()
                    failures = await self._play(case, scenes, routes)
                    self._note("channel", channel.name, made.document, case, failures, began)

    async def settlements(self) -> None:
        for tested in self.drawn.pipelines.tested:
            definition = tested.definition
            if not _chosen(self.chosen, definition.name):
                continue
            if not tested.cases:
                self.report.untested.append(definition.name)
            for case in tested.cases:
                if _chosen(self.chosen, definition.name, case.name):
                    began = time.perf_counter()
                    failures = await proved(definition, case)
                    self._note("settlement", definition.name, tested.document, case, failures, began)

    def _note(
        self,
        kind: str,
        of: str,
        document: Document,
        test: Case | Proof | SettlementCase,
        failures: list[Failure],
        began: float,
    ) -> None:
        file, (line, _) = shown_file(document, self.settings), document.place(test.at)
        took_s = time.perf_counter() - began
        self.report.results.append(Result(kind, of, test.name, file, line, tuple(failures), took_s))

    async def _play(self, case: Case, scenes: _Scenes, routes: Routes) -> list[Failure]:
        if case.faults:
            return [Failure(case.name, "", "a test that can be played", fault) for fault in case.faults]
        for given in (case.given, *(given for given, _ in case.before)):
            if given.missing:
                return [Failure(case.name, "given", "a message", given.missing)]
        stage = scenes.stage(case)
        if stage is None:
            return [Failure(case.name, "while: tables", "a channel that compiles", None)]
        played = await stage.play(case, lambda name: self._stage(name, case))
        if self.report.coverage is not None:
            routes.note(played.envelope)
        if not self.update:
            return judge(case, played)
        shown = list(contents(case, played))
        written = [
            look.content
            for look in shown
            if self._rewritten(look.content, look.content.outdated(look.body, look.charset), look.body)
        ]
        return judge(_without(case, written), played)

    def _stage(self, name: str, case: Case) -> Stage | None:
        """Another channel's."""
        return self.scenes[name].stage(case) if name in self.scenes else None

    def _prove(self, proof: Proof, mapped: Map) -> list[Failure]:
        failures, made = run(proof, mapped)
        content = proof.content
        if not self.update or content is None or not made:
            return failures
        if not self._rewritten(content, content.outdated(made), made):
            return failures
        return run(replace(proof, content=without_file(content)), mapped)[0]

    def _rewritten(self, content: Any, outdated: bool, body: bytes) -> bool:
        if not outdated:
            return False
        self.samples.write(content.file, as_file(content.format, body))
        self.report.written.append(content.file)
        return True


def _chosen(patterns: Sequence[str], of: str, test: str = "") -> bool:
    """Whether a channel, map or table, or one test of it, is chosen; by no pattern all are."""
    parted = [pattern.partition(": ")[::2] for pattern in patterns]
    return not parted or any(
        fnmatchcase(of, name) and (not test or not wanted or fnmatchcase(test, wanted))
        for name, wanted in parted
    )


class _Scenes:
    """A channel's stages: one, and one more for each test that changes its tables."""

    def __init__(self, made: Draft, workshop: Workshop, settings: Settings) -> None:
        self._made, self._workshop, self._site = made, workshop, settings.site
        self._stage: Stage | None = None

    def stage(self, case: Case) -> Stage | None:
        """None where the channel does not compile with the test's tables."""
        if not case.world.tables:
            self._stage = self._stage or Stage(_compiled(self._made), self._site)
            return self._stage
        library = self._workshop.library.with_tables(case.world.tables)
        other = draft(self._made.document, Workshop(library, self._workshop.systems, self._workshop.kinds))
        return Stage(other.channel, self._site) if other.channel is not None else None


def _compiled(made: Draft) -> Channel:
    assert made.channel is not None
    return made.channel


def _without(case: Case, written: list[Any]) -> Case:
    """The test without the files that were just written."""

    def changed(wanted: Any) -> Any:
        contents = {
            name: without_file(content) if any(content is one for one in written) else content
            for name, content in wanted.contents.items()
        }
        then = _without(wanted.then, written) if wanted.then else None
        items = tuple(map(changed, wanted.items)) if isinstance(wanted.items, tuple) else wanted.items
        return replace(wanted, contents=contents, then=then, items=items)

    ways = {name: changed(wanted) for name, wanted in case.ways.items()}
    return replace(case, ways=ways, reply=changed(case.reply) if case.reply else None)


def shown_file(document: Document, settings: Settings) -> str:
    return shown(Path(document.file), settings.site)


def lines_of(report: Report, settings: Settings) -> Iterator[tuple[str, int, int, list[int]]]:
    """Of each map and fragment: file, lines reached, lines, and those that were not."""
    for lines in report.coverage.files.values() if report.coverage else ():
        file = shown(Path(lines.file), settings.site)
        yield file, lines.reached, len(lines.times), lines.missed
