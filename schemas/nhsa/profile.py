"""The profiles of provinces by name.

`profile("guangdong")` is a shipped one; a site's own `profiles/<name>.yaml` wins. Each is laid over another
(`based_on`), in the end over `national`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.models import problems_of
from config.registry import nearest
from config.text import Document, read
from schemas.nhsa.catalogue import Unknown
from schemas.nhsa.overlay import Profile as Profile
from schemas.nhsa.overlay import Side
from schemas.nhsa.profile_own import problems_of_own, with_own
from schemas.nhsa.profile_problems import misplaced, unknown_names
from schemas.nhsa.profile_text import ProfileText, StatementText
from schemas.nhsa.statement import FORMS, Form

SHIPPED = Path(__file__).parent / "profiles"
_DEPTH = 8  # profiles laid over one another

T = TypeVar("T")


class UnknownProfile(Unknown):
    """There is no such file. `nearest` is what was perhaps meant."""


def profile(name: str, folder: Path | None = None) -> Profile:
    """`folder`: the site's `profiles/`. Raises UnknownProfile, or ConfigError for a file with mistakes."""
    if folder is None or not folder.is_dir():
        return _kept(name)
    seen = [(path, path.stat()) for path in sorted(folder.glob("*.yaml"))]
    return _of_site(name, folder, tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in seen))


def profiles(folder: Path | None = None) -> tuple[str, ...]:
    """The names of all that there are."""
    folders = [SHIPPED] if folder is None else [SHIPPED, folder]
    return tuple(sorted({path.stem for place in folders for path in place.glob("*.yaml")}))


def national() -> Profile:
    return _kept("national")


@lru_cache(maxsize=64)
def _of_site(name: str, folder: Path, seen: tuple[tuple[Path, int, int], ...]) -> Profile:
    """Read anew once a file of the folder is another one."""
    return _made(name, folder, ())


@cache
def _kept(name: str) -> Profile:
    return _made(name, None, ())


def _made(name: str, folder: Path | None, above: tuple[Path, ...]) -> Profile:
    """`above` are the files that are laid over it."""
    known = profiles(folder)
    if name not in known:
        raise UnknownProfile("province profile", name, nearest(name, known))
    path = SHIPPED / f"{name}.yaml"
    if folder is not None and (folder / f"{name}.yaml").is_file():
        path = folder / f"{name}.yaml"
    document = read(path)
    try:
        text = ProfileText.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(document.findings(problems_of(error, ProfileText))) from None
    problems = [*document.problems, *misplaced(text, name, profiles() if text.based_on == name else known)]
    if path in above or len(above) > _DEPTH:
        problems.append(Problem(("based_on",), "JL-C014", "profiles are laid over one another in a circle"))
    _stop(document, problems)
    under = Profile(name)
    if path != SHIPPED / "national.yaml":
        # One of a shipped one's name may be laid over that.
        under = _made(text.based_on, None if text.based_on == name else folder, (*above, path))
    _stop(document, problems_of_own(text, under.own))
    made = with_own(text, under)
    _stop(document, unknown_names(text, made))
    return _laid(text, made)


def _stop(document: Document, problems: Iterable[Problem]) -> None:
    errors = [one for one in problems if one.severity == "error"]
    if errors:
        raise ConfigError(document.findings(errors))


def _laid(text: ProfileText, under: Profile) -> Profile:
    """A profile over the one it is based on: what it says goes before, what it adds is added."""
    said: dict[str, Any] = {
        key: value for key in ("discharge", "unknown_fields") if (value := getattr(text, key)) is not None
    }
    for key in ("sign_in_over", "not_found"):
        if (patterns := getattr(text, key)) is not None:
            said[key] = tuple(map(re.compile, patterns))
    if text.signature is not None:
        said["upper_signature"] = text.signature == "upper"
    if text.money is not None:
        said["money"] = text.money.rules()
    if text.statement is not None:
        said["form"] = _form(text.statement)
    said["instead"] = {**under.instead, **text.instead}
    said["oinfno"] = {**under.oinfno, **text.oinfno}
    said["nodes"] = {**under.nodes, **_sides(text, "nodes")}
    said["fields"] = {**under.fields, **_sides(text, "fields")}
    said["rules"] = _deep(under.rules, text.rules)
    said["codes"] = _deep(under.codes, text.codes)
    said["closed"] = (under.closed - set(text.opened)) | set(text.closed)
    said["opened"] = (under.opened - set(text.closed)) | set(text.opened)
    notes = text.notes if under.name == "national" else (*under.notes, *text.notes)
    about: dict[str, Any] = {"title": text.title, "sure": text.sure, "sources": text.sources, "notes": notes}
    return replace(under, name=text.profile, **about, **said)


def _form(text: StatementText) -> Form:
    said: dict[str, Any] = text.model_dump(exclude={"like"}, exclude_none=True)
    return replace(FORMS[text.like], **said)


def _sides(text: ProfileText, kind: str) -> dict[tuple[Side, str, str], str]:
    sides: tuple[tuple[Side, Any], ...] = (("in", text.input), ("out", text.output))
    return {
        (side, of, ours): theirs
        for side, said in sides
        for of, renamed in getattr(said, kind).items()
        for ours, theirs in renamed.items()
    }


def _deep(
    under: Mapping[str, Mapping[str, T]], over: Mapping[str, Mapping[str, T]]
) -> dict[str, dict[str, T]]:
    return {key: {**under.get(key, {}), **over.get(key, {})} for key in [*under, *over]}
