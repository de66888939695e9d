"""A site's settlements: `channels/settlements/*.yaml` to definitions, and what is wrong with any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from channels.model import Channel
from channels.settling.cases import Case, read_cases
from channels.settling.compile import compile_settlement
from channels.settling.model import Definition
from channels.settling.shared import with_maps
from config.errors import ConfigError, Finding, Problem
from config.text import Document, read
from transforms.library import Library

FOLDER = "settlements"  # within the site's channels
MAX_SETTLEMENTS = 500


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A settlement's file: compiled, and its data, by which it is compiled again long after the file changed."""

    definition: Definition
    data: Any
    file: str


@dataclass(frozen=True, slots=True)
class Tested:
    """A settlement's tests, and the file that they stand in."""

    definition: Definition
    document: Document
    cases: list[Case]


@dataclass(slots=True)
class Pipelines:
    """By name. `findings` are in file order."""

    found: dict[str, Pipeline] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    tested: list[Tested] = field(default_factory=list)


def read_settlements(
    channels: Path,
    shown: Callable[[Path], str],
    library: Library,
    env: Mapping[str, str],
    tests: bool = False,
) -> Pipelines:
    """`shown` says how a path stands in findings; with `tests` they are read too. Never raises for a bad file: it does
    not run.
    """
    made = Pipelines()
    folder = channels / FOLDER
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if len(paths) > MAX_SETTLEMENTS:
        text = f"too large: more than {MAX_SETTLEMENTS} settlements"
        made.findings.append(Finding(shown(folder), 1, 1, "JL-C008", text))
    for path in paths[:MAX_SETTLEMENTS]:
        try:
            document = read(path, shown(path), env)
        except ConfigError as error:
            made.findings += error.findings
            continue
        _enter(made, document, path.stem, library, tests)
    return made


def _enter(made: Pipelines, document: Document, stem: str, library: Library, tests: bool) -> None:
    problems = list(document.problems)
    document = replace(document, data=with_maps(document.data, library, problems))
    definition = compile_settlement(document, library, problems)
    if definition is not None:
        if definition.name in made.found:
            problems.append(
                Problem(("settlement",), "JL-C021", f"{definition.name}: another file has this name")
            )
        elif definition.name != stem:
            hint = f"call the file {definition.name}.yaml"
            problems.append(Problem(("settlement",), "JL-C022", "not called like its file", hint, "warning"))
    if definition is not None and not any(problem.severity == "error" for problem in problems):
        made.found[definition.name] = Pipeline(definition, document.data, document.file)
        if tests:
            cases, wrong = read_cases(document, definition, library)
            problems += wrong
            made.tested.append(Tested(definition, document, cases))
    made.findings += document.findings(problems)


def uncalled(made: Pipelines, channels: Iterable[Channel]) -> None:
    """Notes each system that no channel takes calls of: such a settlement would only wait."""
    taken = {channel.options.of for channel in channels if channel.kind == "calls"}
    for pipeline in made.found.values():
        for system in sorted(_systems(pipeline.definition) - taken):
            text = f"no channel takes calls of {system!r}"
            hint = f"add one with `from: {{calls: {system}}}`"
            made.findings.append(Finding(pipeline.file, 1, 1, "JL-C207", text, hint))


def unsaid(made: Pipelines, channels: Iterable[tuple[str, Channel]]) -> list[Finding]:
    """A warning for each channel, by its file, whose event no settlement has."""
    said = {step.emit for pipeline in made.found.values() for step in pipeline.definition.steps}
    unknown = [(file, one) for file, one in channels if one.kind == "events" and one.options.of not in said]
    return [
        Finding(file, 1, 1, "JL-C209", f"no settlement says {one.options.of!r} (`emit`)", severity="warning")
        for file, one in unknown
    ]


def _systems(definition: Definition) -> set[str]:
    """Those that its steps ask something of."""
    operations = (each for s in definition.steps for each in (s.do, s.ask, s.undo, s.reverse))
    return {operation.system for operation in operations if operation is not None}


def compiled(data: Any, library: Library) -> Definition:
    """Of data that was kept. Raises ValueError where this engine cannot read it any more."""
    problems: list[Problem] = []
    definition = compile_settlement(Document("kept", data), library, problems)
    if definition is None:
        raise ValueError("; ".join(problem.message for problem in problems[:3]))
    return definition
