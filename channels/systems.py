"""The outside parties by name (systems.yaml), and how `{kind: {...}}` becomes an endpoint's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from channels.sending import OPERATION
from config.errors import ConfigError, Finding, Problem
from config.models import did_you_mean, old_names, problems_of
from config.registry import Names, Unknown, destinations, nearest, sources
from config.secrets import Secrets, Unneeded, filled, inline_secrets
from config.text import At, Document, read
from config.tls import Identity
from config.tls_files import problems_of_files

BOTH = frozenset((sources.what, destinations.what))


@dataclass(slots=True)
class Systems:
    """systems.yaml as it stands. `problems` and `used` grow while channels that name its entries compile."""

    document: Document
    entries: dict[str, dict[str, Any]]
    secrets: Secrets
    here: frozenset[str] = BOTH  # which ends this process runs: of the others it needs no secrets
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unreadable: tuple[Finding, ...] = ()
    site: Path = Path()  # what files' names are relative to

    def findings(self) -> list[Finding]:
        unused = [
            Problem(("systems", name), "JL-C034", f"no channel uses the system {name!r}", "", "warning", True)
            for name in self.entries
            if name not in self.used
        ]
        return [*self.unreadable, *self.document.findings([*self.document.problems, *self.problems, *unused])]

    def broken(self, name: str) -> bool:
        """Whether an entry has a mistake of its own, so that whoever uses it cannot run."""
        problems = [*self.document.problems, *self.problems]
        return any(p.severity == "error" and p.at[:2] == ("systems", name) for p in problems)


def read_systems(path: Path, shown_as: str, secrets: Secrets, env: Mapping[str, str]) -> Systems:
    """Never raises: what is wrong is in its findings."""
    nothing = Document(shown_as, {})
    if not path.exists():
        return Systems(nothing, {}, secrets)
    try:
        document = read(path, shown_as, env)
    except ConfigError as error:
        return Systems(nothing, {}, secrets, unreadable=error.findings)
    systems = Systems(document, {}, secrets)
    data = document.data if document.data is not None else {}
    if not isinstance(data, dict) or not isinstance(data.get("systems", {}), dict):
        systems.problems.append(Problem((), "JL-C012", "must be a mapping `systems: {name: {kind: ...}}`"))
        return systems
    for key in data:
        if key != "systems":
            systems.problems.append(
                Problem((key,), "JL-C010", f"unknown key {key!r}", "known is systems", on_key=True)
            )
    kinds = sorted({*sources.known(), *destinations.known()})
    for name, entry in data.get("systems", {}).items():
        _enter(systems, str(name), entry, kinds)
    return systems


def _enter(systems: Systems, name: str, entry: Any, kinds: list[str]) -> None:
    at: At = ("systems", name)
    if not isinstance(entry, dict):
        systems.problems.append(Problem(at, "JL-C012", f"{name} must be a mapping (key: value)"))
    elif "kind" not in entry:
        systems.problems.append(Problem(at, "JL-C011", "the key 'kind' is missing"))
    else:
        if entry["kind"] not in kinds:
            hint = did_you_mean(nearest(str(entry["kind"]), kinds), kinds)
            what = f"no kind is called {entry['kind']!r}"
            systems.problems.append(Problem((*at, "kind"), "JL-C016", what, hint))
        systems.problems += inline_secrets(entry, at)
    systems.entries[name] = entry if isinstance(entry, dict) else {}


def endpoint(
    spec: dict[str, Any], names: Names, at: At, systems: Systems, problems: list[Problem]
) -> tuple[str, Any] | None:
    """`{kind: {options}}` or `{system: name, overrides}` to the kind and its Options; None where wrong.

    Where `channels.sending` made it of the short form, the key of the operation is still to be named.
    """
    if "system" in spec:
        own, here = {key: value for key, value in spec.items() if key != "system"}, at
        system, kind = spec["system"], ""
    else:
        if len(spec) != 1:
            problems.append(Problem(at, "JL-C014", "must name one kind: {kind: {options}}"))
            return None
        kind, options = next(iter(spec.items()))
        short = _short(kind, names)
        if short and isinstance(options, str):
            options = {short: options}
        if not isinstance(options, dict | None):
            what = f"{kind} must be {'text' if short else 'a mapping (key: value)'}"
            problems.append(Problem((*at, kind), "JL-C012", what))
            return None
        own, here = dict(options or {}), (*at, kind)
        system = own.pop("system", None)
    problems += inline_secrets(own, here)
    if system is not None:
        entry = _entry(system, (*here, "system"), kind, systems, problems)
        if entry is None:
            return None
        kind = kind or entry["kind"]
    found = _class(kind, names, here if system is None else (*here, "system"), problems)
    if found is None:
        return None
    if OPERATION in own and not _operation(own, kind, found, here, problems):
        return None
    secrets = systems.secrets if names.what in systems.here else Unneeded()
    made = _options(kind, found, own, system, here, systems, secrets, problems)
    return None if system is not None and systems.broken(system) else made


def _operation(own: dict[str, Any], kind: str, found: Any, at: At, problems: list[Problem]) -> bool:
    """Calls what is asked of a system what its kind calls it. False where the kind has no such option."""
    name = getattr(found.Options, "operation_field", "")
    asked = own.pop(OPERATION)
    if name:
        own[name] = asked
        return True
    what = f"the kind {kind!r} has no operations: {asked!r} cannot be asked of it"
    problems.append(Problem(at, "JL-C014", what, "name the system alone: `{system: name}`"))
    return False


def _short(kind: str, names: Names) -> str:
    """The option that may stand for all of them: `{channel: lab-results}` is `{channel: {channel: lab-results}}`."""
    try:
        return str(getattr(names.get(kind).Options, "short", ""))
    except (Unknown, ImportError):  # said where the kind is looked up
        return ""


def _entry(
    system: Any, at: At, kind: str, systems: Systems, problems: list[Problem]
) -> dict[str, Any] | None:
    if not isinstance(system, str) or system not in systems.entries:
        if not systems.unreadable:
            hint = did_you_mean(nearest(str(system), systems.entries), sorted(systems.entries))
            problems.append(Problem(at, "JL-C018", f"no system is called {system!r}", hint))
        return None
    systems.used.add(system)
    entry = systems.entries[system]
    if entry.get("kind") not in {*sources.known(), *destinations.known()}:
        return None  # which its own finding says
    if kind and entry["kind"] != kind:
        problems.append(
            Problem(at, "JL-C019", f"the system {system!r} is of kind {entry['kind']}, not {kind}")
        )
        return None
    return entry


# What other engines call a kind of ours.
_ELSEWHERE = {"rest": "http", "socket": "tcp"}


def _class(kind: str, names: Names, at: At, problems: list[Problem]) -> Any:
    code = "JL-C015" if names is sources else "JL-C016"
    try:
        found = names.get(kind)
        module, extra = getattr(found, "driver", ("", ""))
        if not module or find_spec(module) is not None:
            return found
        what = f"the kind {kind!r} needs {module}, which is not installed"
        problems.append(Problem(at, "JL-C075", what, f"pip install 'jingluo[{extra}]'", on_key=True))
    except Unknown as error:
        hint = did_you_mean(_ELSEWHERE.get(kind, error.nearest), error.known)
        problems.append(Problem(at, code, f"no {names.what} is called {kind!r}", hint, on_key=True))
    except ImportError as error:
        problems.append(
            Problem(at, code, f"the kind {kind!r} needs a part that is not installed: {error.name}")
        )
    return None


def _options(
    kind: str,
    found: Any,
    own: dict[str, Any],
    system: Any,
    at: At,
    systems: Systems,
    secrets: Secrets,
    problems: list[Problem],
) -> tuple[str, Any] | None:
    """Each mistake is put where the key stands: in the channel, or in the system's entry."""
    entry = systems.entries.get(system, {})
    some = getattr(found.Options, "of_system", None)
    shared = {k: v for k, v in entry.items() if k != "kind" and (some is None or k in some)}
    if system is not None and (name := getattr(found.Options, "system_field", "")):
        shared = {name: system, **shared}

    def note(problem: Problem) -> None:
        inside = problem.at and problem.at[0] in shared and problem.at[0] not in own
        home, start = (systems.problems, ("systems", system)) if inside else (problems, at)
        home.append(replace(problem, at=(*start, *problem.at)))

    noted: list[Problem] = [*old_names(own, found.Options)]
    answered = filled({**shared, **own}, secrets, (), noted)
    unanswered = {problem.at for problem in noted}
    options = None
    try:
        options = found.Options.model_validate(answered)
    except ValidationError as error:
        noted += [p for p in problems_of(error, found.Options) if p.at not in unanswered]
    else:
        noted += _tls_files(options, secrets, systems.site)
        options.files(systems.site, noted)
    for problem in noted:
        note(problem)
    return None if options is None or unanswered else (kind, options)


def _tls_files(options: Any, secrets: Secrets, site: Path) -> list[Problem]:
    tls = getattr(options, "tls", None)
    if not isinstance(tls, Identity) or isinstance(secrets, Unneeded):
        return []
    found = problems_of_files(tls, site, getattr(options, "host", ""))
    return [replace(problem, at=("tls", *problem.at)) for problem in found]
