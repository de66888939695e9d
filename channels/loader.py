"""A site's files to the channels that run, and everything that is wrong with any of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from channels.checks import across, alone
from channels.compile import Draft, Workshop, draft
from channels.model import Channel
from channels.read import replaced
from channels.systems import Systems, read_systems
from config.errors import ConfigError, Finding
from config.registry import Names, destinations, sources
from config.secrets import Secrets
from config.settings import Settings
from config.text import Document, read
from transforms.library import Library

MAX_CHANNELS = 5000
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


def load_site(settings: Settings, env: Mapping[str, str] = os.environ) -> Site:
    """Reads, compiles and checks everything. Never raises for a bad file: its channel is refused."""
    findings: list[Finding] = list(settings.findings)
    library = Library(settings.maps, settings.tables)
    systems = _systems(settings, env, findings)
    workshop = Workshop(library, systems)
    drafts: list[Draft] = []
    refused: list[str] = []
    for path in _files(settings, findings):
        name = shown(path, settings.site)
        try:
            drafts.append(_drafted(read(path, name, env), workshop))
        except ConfigError as error:
            findings += error.findings
            refused.append(name)
    across(drafts, settings)
    for made in drafts:
        findings += made.document.findings(made.problems)
        if not made.runs:
            refused.append(made.document.file)
    findings += systems.findings()
    findings += [replace(f, file=shown(Path(f.file), settings.site)) for f in library.findings]
    channels = tuple(made.channel for made in drafts if made.channel is not None and made.runs)
    whole = "\n".join(channel.digest for channel in channels)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return Site(channels, tuple(sorted(set(findings))), digest, systems, tuple(sorted(refused)))


def check(settings: Settings, env: Mapping[str, str] = os.environ) -> tuple[Finding, ...]:
    """Everything that is wrong with a site, in file order."""
    return load_site(settings, env).findings


def shown(path: Path, site: Path) -> str:
    """A path as a finding shows it: relative to the site where it lies in it."""
    return str(path.relative_to(site)) if path.is_relative_to(site) else str(path)


def _drafted(document: Document, workshop: Workshop) -> Draft:
    """A file's draft. Of a key that stands twice the first value counts, but both are checked."""
    made = draft(document, workshop)
    alone(made)
    for at, value in document.doubled[:MAX_DOUBLED]:
        first = at[:-1]
        data = replaced(document.data, first, value)
        if data is None:  # inside another second value
            continue
        other = draft(replace(document, data=data, problems=()), workshop)
        alone(other)
        made.problems += [
            replace(problem, at=(*at, *problem.at[len(first) :]))
            for problem in other.problems
            if problem.at[: len(first)] == first
        ]
    return made


def _systems(settings: Settings, env: Mapping[str, str], findings: list[Finding]) -> Systems:
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


def _files(settings: Settings, findings: list[Finding]) -> list[Path]:
    folder = shown(settings.channels, settings.site)
    if not settings.channels.is_dir():
        findings.append(Finding(folder, 1, 1, "JL-C001", "cannot be read: no such folder"))
        return []
    paths = sorted(settings.channels.glob("*.yaml"))
    if len(paths) > MAX_CHANNELS:
        findings.append(Finding(folder, 1, 1, "JL-C008", f"too large: more than {MAX_CHANNELS} channels"))
    return paths[:MAX_CHANNELS]
