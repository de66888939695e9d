"""What `jingluo test` prints, and the JUnit file that build servers read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from lxml import etree

from channels.loader import shown
from config.settings import Settings
from router.proving.runner import Report, Result, lines_of

PASSED, FAILED, UNPLAYED = 0, 1, 2


def exit_code(report: Report) -> int:
    """0: all hold; 1: some do not; 2: files have mistakes, or nothing is called as was asked for."""
    if report.findings or not report.results:
        return UNPLAYED
    return FAILED if report.failed else PASSED


def as_text(report: Report, settings: Settings, took_s: float) -> str:
    """A line for each channel and map and one for all tables, the failures with their places, and what it comes
    to.
    """
    lines = [str(finding) for finding in report.findings]
    for of, group in groupby(report.results, key=_heading(report)):
        results = list(group)
        failed = sum(bool(result.failures) for result in results)
        lines.append(f"{of}: {_count(len(results), 'test')}, {f'{failed} failed' if failed else 'ok'}")
        lines += [line for result in results for line in _failure(result)]
    if report.coverage is not None:
        lines += ["", *_coverage(report, settings)]
    lines += [f"written: {name}" for name in report.written]
    total, failed = len(report.results), len(report.failed)
    if not report.results:
        lines.append("no test was played")
    lines.append(f"{_count(total, 'test')}, {failed} failed, {took_s:.1f} s")
    return "\n".join(lines)


def _heading(report: Report) -> Callable[[Result], str]:
    """What a result stands under: there may be hundreds of tables, with a few tests each."""
    tables = {result.of for result in report.results if result.kind == "table"}
    together = _count(len(tables), "table")
    return lambda result: together if result.kind == "table" and len(tables) > 1 else result.of


def _failure(result: Result) -> Iterator[str]:
    if result.failures:
        yield f"  {result.file}:{result.line}: {result.name}"
    for failure in result.failures:
        yield f"    {str(failure).removeprefix(f'{failure.test}: ')}"


def _coverage(report: Report, settings: Settings) -> Iterator[str]:
    yield "coverage of routes"
    for routes in report.routes:
        total, missed = len(routes.all), routes.missed
        yield f"  {routes.channel.name}: {_share(total - len(missed), total)}"
        for route in missed:
            yield f"    {routes.document.file}:{routes.line(route)}: no test has {route.words}"
    yield "coverage of map lines"
    reached = total = 0
    for file, some, of, missed_lines in sorted(lines_of(report, settings)):
        reached, total = reached + some, total + of
        yield f"  {file}: {_share(some, of)}"
        if missed_lines:
            yield f"    nothing came of lines {_ranges(missed_lines)}"
    yield f"  all maps: {_share(reached, total)}"
    if report.tables:
        yield "coverage of tables"
        asked = wanted = 0
        for asking in report.tables:
            asked, wanted = asked + asking.total - len(asking.missed), wanted + asking.total
            for what in asking.missed:
                yield f"    {shown(asking.table.file, settings.site)}: no test asks for {what}"
        yield f"  all tables: {_share(asked, wanted)}"
    if report.untested:
        yield f"without any test: {', '.join(report.untested)}"


def _share(some: int, of: int) -> str:
    return f"{100 * some / of if of else 100:.0f} % ({some} of {of})"


def _count(number: int, what: str) -> str:
    return f"{number} {what if number == 1 else what + 's'}"


def _ranges(lines: Iterable[int]) -> str:
    """`3, 7-9`."""
    made: list[list[int]] = []
    for line in lines:
        if made and line == made[-1][1] + 1:
            made[-1][1] = line
        else:
            made.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in made)


def write_junit(report: Report, path: Path) -> None:
    """JUnit's XML: a suite for each channel, map and table. Raises OSError."""
    root = etree.Element("testsuites", tests=str(len(report.results)), failures=str(len(report.failed)))
    for (_, of), group in groupby(report.results, key=lambda result: (result.kind, result.of)):
        results = list(group)
        failed = sum(bool(result.failures) for result in results)
        suite = etree.SubElement(root, "testsuite", name=of, tests=str(len(results)), failures=str(failed))
        for result in results:
            case = etree.SubElement(
                suite,
                "testcase",
                name=_plain(result.name),
                classname=of,
                file=result.file,
                line=str(result.line),
                time=f"{result.took_s:.4f}",
            )
            if result.failures:
                text = _plain("\n".join(map(str, result.failures)))
                etree.SubElement(case, "failure", message=text.split("\n")[0]).text = text
    if report.findings:
        suite = etree.SubElement(root, "testsuite", name="check", tests="0", errors=str(len(report.findings)))
        for finding in report.findings:
            case = etree.SubElement(suite, "testcase", name=_plain(str(finding)), classname="check")
            etree.SubElement(case, "error", message=_plain(str(finding)))
    path.write_bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True))


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(char if char >= " " or char in "\t\n" else "?" for char in text)
