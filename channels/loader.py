"""A site's files to the channels that run, and everything that is wrong with any of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from channels.callers import idle
from channels.checks import across, alone
from channels.compile import Draft, Workshop, draft, read_tests
from channels.model import Channel
from channels.read import replaced
from channels.settling.loader import Pipeline, Pipelines, read_settlements, uncalled, unsaid
from channels.systems import Systems, read_systems
from channels.validation import Kinds
from config.callers import NOBODY, Callers
from config.callers_file import read_callers
from config.errors import ConfigError, Finding, Problem
from config.registry import Names, destinations, sources
from config.secrets import Secrets, Unneeded
from config.settings import Settings
from config.text import Document, read
from transforms.library import Library
from transforms.proving import compile_proofs
from transforms.samples import Samples
from transforms.table_tests import questions_of

MAX_CHANNELS = 5000
_HIP_SERVICES = "hip-service"
_END: dict[str, Names] = {"intake": sources, "delivery": destinations}
MAX_DOUBLED = 20  # second values that are checked too: each is one more look at the file


@dataclass(frozen=True, slots=True)
class Site:
    """What was found in a site's files. `refused` names the files whose channel does not run."""

    channels: tuple[Channel, ...]
    findings: tuple[Finding, ...]
    digest: str
    systems: Systems
    refused: tuple[str, ...] = ()
    callers: Callers = NOBODY
    settlements: Mapping[str, Pipeline] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A site's files read, before anybody says what they come to. `unread` names the channels that are no YAML."""

    drafts: list[Draft]
    workshop: Workshop
    findings: list[Finding]
    unread: list[str]
    callers: Callers
    pipelines: Pipelines


def draw(settings: Settings, env: Mapping[str, str], workshop: Workshop, findings: list[Finding]) -> Drawn:
    """Reads all channels, and of maps and tables those that they use. Never raises for a bad file. `findings` are
    those that there are already.
    """
    drafts: list[Draft] = []
    unread: list[str] = []
    for path in _files(settings, findings):
        name = shown(path, settings.site)
        try:
            drafts.append(_drafted(read(path, name, env), workshop))
        except ConfigError as error:
            findings += error.findings
            unread.append(name)
    workshop.library.note_hidden(settings.tables[:-1])
    channels = {made.channel.name: made.channel for made in drafts if made.channel is not None}
    for made in drafts:
        _tested(made, channels, workshop)
    callers = site_callers(settings, env, workshop.systems)
    across(drafts, unread, settings, callers, partial(_actions, workshop.library))
    pipelines = site_settlements(settings, env, workshop.library, workshop.samples is not None)
    uncalled(pipelines, channels.values())
    findings += unsaid(
        pipelines, ((one.document.file, one.channel) for one in drafts if one.channel is not None)
    )
    for made in drafts:
        findings += made.document.findings(made.problems)
    findings += pipelines.findings
    findings += workshop.systems.findings()
    findings += [*callers.findings, *idle(drafts, callers)]
    findings += [replace(f, file=shown(Path(f.file), settings.site)) for f in workshop.library.findings]
    return Drawn(drafts, workshop, sorted(set(findings)), unread, callers, pipelines)


def load_site(settings: Settings, env: Mapping[str, str] = os.environ) -> Site:
    """Reads, compiles and checks what runs. Never raises for a bad file: its channel is refused."""
    findings = list(settings.findings)
    systems = site_systems(settings, env, findings)
    workshop = Workshop(Library(settings.maps, settings.tables), systems, Kinds(settings.schemas))
    drawn = draw(settings, env, workshop, findings)
    drafts = drawn.drafts
    refused = [*drawn.unread, *(made.document.file for made in drafts if not made.runs)]
    channels = tuple(made.channel for made in drafts if made.channel is not None and made.runs)
    parts = [channel.digest for channel in channels] + [drawn.callers.digest] * bool(drawn.callers.digest)
    pipelines = drawn.pipelines.found
    parts += [f"{name} {one.definition.digest}" for name, one in sorted(pipelines.items())]
    whole = "\n".join(parts)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    files = tuple(sorted(refused))
    return Site(channels, tuple(drawn.findings), digest, systems, files, drawn.callers, pipelines)


def check(
    settings: Settings, env: Mapping[str, str] = os.environ, shipped: bool = False
) -> tuple[Finding, ...]:
    """Everything that is wrong with a site, its tests too, in file order: with all maps and tables of its own, and
    those of the `shipped` that it uses, or all of them.
    """
    library = Library(settings.maps, settings.tables, runs=False)
    last = None if shipped else -1  # the last of the folders are those that are shipped
    folders = [*settings.maps[:last], *settings.tables[:last]]
    library.read_all(folders)
    asked = partial(library.lies_in, folders=folders)
    return tuple(draw_tests(settings, env, library, secrets=True, chosen=asked).findings)


def draw_tests(
    settings: Settings,
    env: Mapping[str, str],
    library: Library,
    secrets: bool = False,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Drawn:
    """A site with its tests, and those of its own maps and tables that are `chosen`. Without `secrets` nobody is
    asked for any.
    """
    findings = list(settings.findings)
    systems = site_systems(settings, env, findings if secrets else [])
    if not secrets:
        systems.here = frozenset()
    samples = Samples(settings.site)
    for name in filter(chosen, own_maps(library, settings)):
        problems: list[Problem] = []
        mapped, document = library.map(name, problems), library.document(name)
        if mapped is not None and document is not None:
            tests = document.data.get("tests", [])
            compile_proofs(tests, mapped, problems, samples=samples, tables=library)
            library.complain(document, problems)
    for name in filter(chosen, own_tables(library, settings)):
        table = library.table(name)
        if table is not None:
            library.note(questions_of(table)[1])
    return draw(settings, env, Workshop(library, systems, Kinds(settings.schemas), samples), findings)


def _actions(library: Library) -> Collection[str]:
    """Those of the hospital platform's services."""
    table = library.table(_HIP_SERVICES)
    return set(table.column("action").values()) if table is not None else ()


def own_maps(library: Library, settings: Settings) -> list[str]:
    """The names of the maps that lie in the site itself."""
    return [name for name in library.map_names() if library.map_file(name).is_relative_to(settings.site)]


def own_tables(library: Library, settings: Settings) -> list[str]:
    """The names of the tables that lie in the site itself."""
    return [name for name in library.table_names() if library.table_file(name).is_relative_to(settings.site)]


def shown(path: Path, site: Path) -> str:
    """A path as a finding shows it: relative to the site where it lies in it."""
    return str(path.relative_to(site)) if path.is_relative_to(site) else str(path)


def _drafted(document: Document, workshop: Workshop) -> Draft:
    """A file's draft without its tests. Of a key that stands twice the first value counts, but both are checked."""
    made = draft(document, workshop)
    alone(made)
    for at, value in document.doubled[:MAX_DOUBLED]:
        first = at[:-1]
        data = replaced(document.data, first, value)
        if data is None:  # inside another second value
            continue
        other = draft(replace(document, data=data, problems=()), workshop)
        alone(other)
        made.doubles.append((at, other))
    return made


def _tested(made: Draft, channels: Mapping[str, Channel], workshop: Workshop) -> None:
    """Its tests, and then all that is wrong with second values of its keys."""
    read_tests(made, channels, workshop)
    for at, other in made.doubles:
        read_tests(other, channels, workshop)
        first = at[:-1]
        made.problems += [
            replace(problem, at=(*at, *problem.at[len(first) :]))
            for problem in other.problems
            if problem.at[: len(first)] == first
        ]


def site_systems(settings: Settings, env: Mapping[str, str], findings: list[Finding]) -> Systems:
    name = shown(settings.systems, settings.site)
    try:
        secrets = settings.open_secrets(env)
    except ConfigError as error:
        findings += error.findings
        secrets = Secrets("a place that cannot be read")
    systems = read_systems(settings.systems, name, secrets, env)
    systems.site = settings.site
    systems.here = frozenset(_END[role].what for role in settings.roles if role in _END)
    return systems


def site_callers(settings: Settings, env: Mapping[str, str], systems: Systems) -> Callers:
    """Who is not asked for the doors' secrets has no use for the callers' either."""
    secrets = systems.secrets if sources.what in systems.here else Unneeded()
    path = settings.systems.with_name("callers.yaml")
    return read_callers(path, shown(path, settings.site), settings.site, secrets, env)


def site_settlements(
    settings: Settings, env: Mapping[str, str], library: Library, tests: bool = False
) -> Pipelines:
    return read_settlements(settings.channels, lambda path: shown(path, settings.site), library, env, tests)


def _files(settings: Settings, findings: list[Finding]) -> list[Path]:
    folder = shown(settings.channels, settings.site)
    if not settings.channels.is_dir():
        findings.append(Finding(folder, 1, 1, "JL-C001", "cannot be read: no such folder"))
        return []
    paths = sorted(settings.channels.glob("*.yaml"))
    if len(paths) > MAX_CHANNELS:
        findings.append(Finding(folder, 1, 1, "JL-C008", f"too large: more than {MAX_CHANNELS} channels"))
    return paths[:MAX_CHANNELS]
