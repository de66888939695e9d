"""A `validate:` to the `Validation` that the router runs. Mistakes are gathered, never raised."""

from __future__ import annotations

from pathlib import Path

from channels.model import ValidateText
from config.errors import Problem
from config.text import At
from schemas.base import Format
from schemas.validation.base import CODES, BadKind, Kind, Validation, not_excepted
from schemas.validation.kinds import kind_of


class Kinds:
    """What a site's channels are validated by: each made once, whoever names it."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the site's schemas."""
        self._folder = folder
        self._made: dict[str, Kind | BadKind] = {}

    def get(self, name: str) -> Kind:
        """Raises BadKind."""
        if name not in self._made:
            try:
                self._made[name] = kind_of(name, self._folder)
            except BadKind as error:
                self._made[name] = error
        found = self._made[name]
        if isinstance(found, BadKind):
            raise found
        return found


def compile_validation(
    text: ValidateText, data: object, format: Format | None, kinds: Kinds, problems: list[Problem], at: At
) -> Validation | None:
    """`data` is what the YAML says, which may be the name alone; `format` is that of what is validated, if known."""
    place: At = (*at, "as") if isinstance(data, dict) else at
    try:
        kind = kinds.get(text.as_)
    except BadKind as error:
        problems.append(Problem(place, error.code, error.text, error.hint))
        return None
    if format is not None and format.name not in kind.formats:
        what = f"{text.as_} validates {', '.join(kind.formats)}, and here are messages in {format.name}"
        problems.append(Problem(place, "JL-C074", what))
        return None
    for number, one in enumerate(text.besides):
        if wrong := not_excepted(one):
            hint = f"one of {', '.join(CODES)}" if one[:2] == "JL" else ""
            problems.append(Problem((*at, "except", number), "JL-C014", wrong, hint))
    return Validation(kind, text.then == "refuse", frozenset(text.besides), format)
