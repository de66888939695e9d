"""A format as YAML names it: by its name alone, or with options: `{delimited: {separator: "|"}}`.

A format that has options is a class with `Options`, a pydantic model, and is made anew of them: `Delimited(options)`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from config import registry
from config.errors import Problem
from config.models import did_you_mean, problems_of
from config.text import At
from schemas import charsets
from schemas.base import Format


def choose(
    spec: Any, problems: list[Problem], at: At = (), code: str = "JL-C017", reads_only: bool = False
) -> Format | None:
    """The format that `spec` names; None with a problem where there is none, or its options are wrong.

    `code` is what an unknown name is called here. With `reads_only` its paths are enough: a map may leave to the
    channel what its messages look like in bytes.
    """
    if isinstance(spec, dict) and len(spec) == 1:
        ((name, options),) = spec.items()
        place: At = (*at, name)
    elif isinstance(spec, str):
        name, options, place = spec, None, at
    else:
        what = "a format is a name, or a name and its options"
        problems.append(Problem(at, "JL-C012", what, 'json, or {delimited: {separator: ";"}}'))
        return None
    try:
        found: Format = registry.formats.get(name)
    except registry.Unknown as error:
        hint = did_you_mean(error.nearest, error.known)
        problems.append(Problem(place, code, f"no format is called {name!r}", hint, on_key=place != at))
        return None
    module, extra = getattr(found, "driver", ("", ""))
    if module and not reads_only and find_spec(module) is None:
        what = f"the format {name!r} needs {module}, which is not installed"
        problems.append(
            Problem(place, "JL-C075", what, f"pip install 'jingluo[{extra}]'", on_key=place != at)
        )
        return None
    if options is not None:
        return _with_options(found, options, problems, place)
    lacks = getattr(found, "lacks", "")
    if lacks and not reads_only:
        problems.append(Problem(place, "JL-C011", f"the format {name} needs {lacks}", f"{{{name}: {{...}}}}"))
        return None
    return found


def spoken(format: Format) -> str:
    """What a message of this format is written in, where it stands as text in YAML or in a file beside it.

    JSON, FHIR and XML are read by what they say of themselves, and a text in YAML says nothing.
    """
    own = "" if format.name in ("json", "fhir", "xml") else str(getattr(format, "charset", ""))
    return own or "utf-8"


def as_bytes(format: Format, text: str) -> bytes:
    """Such a text as it would come."""
    return text.encode(charsets.codec(spoken(format)), "replace")


def _with_options(found: Format, options: Any, problems: list[Problem], at: At) -> Format | None:
    model = getattr(found, "Options", None)
    if model is None:
        problems.append(Problem(at, "JL-C010", f"the format {found.name} has no options", on_key=True))
        return None
    try:
        made: Format = type(found)(model.model_validate(options))  # type: ignore[call-arg]
        return made
    except ValidationError as error:
        problems += problems_of(error, model, at)
        return None
