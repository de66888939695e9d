"""The only place where a name in YAML becomes code.

A protocol, a format or a pipe function registers itself with a decorator. Built-in protocols and formats are
found by their file name (`endpoints/mllp.py` is kind `mllp`, `schemas/hl7v2.py` is format `hl7v2`) and imported
when a channel first names them, so that a site without DICOM never pays for it. A site's own Python comes in by
the entry point group `jingluo.plugins`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

# Files in the folders that are helpers, not kinds.
_NOT_KINDS = {"base", "describing", "direct", "limits", "operations", "polling", "secure", "settling", "web"}
_NOT_FORMATS = {"message", "base", "choice", "envelope", "rows", "charsets"}


class Unknown(LookupError):
    """A name that nothing is registered under. `nearest` is the closest known name, or ''."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name = what, name
        self.known = tuple(sorted(known))
        self.nearest = nearest(name, self.known)
        super().__init__(f"no {what} is called {name!r}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to `name`, or '' when none is near.

    >>> nearest("mlpp", ["http", "mllp"])
    'mllp'
    >>> nearest("FHIR", ["fhir", "json"])
    'fhir'
    """
    names = list(known)
    found = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if not found:
        small = {known.lower(): known for known in reversed(names)}
        found = [small[near] for near in difflib.get_close_matches(str(name).lower(), small, n=1, cutoff=0.6)]
    return found[0] if found else ""


class Names:
    """Names of one kind of thing, filled by decorators and by importing `package.name` on demand."""

    def __init__(self, what: str, package: str = "", skip: Iterable[str] = ()) -> None:
        self.what = what
        self._package = package
        self._skip = frozenset(skip)
        self._things: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[T], T]:
        def note(thing: T) -> T:
            self._things[name] = thing
            return thing

        return note

    def known(self) -> list[str]:
        """Every name, without importing what is not needed yet."""
        return sorted(set(self._things) | set(self._modules()))

    def get(self, name: str) -> Any:
        """The thing called `name`. Raises `Unknown`."""
        if name not in self._things and name in self._modules():
            importlib.import_module(f"{self._package}.{name}")
        if name not in self._things:
            load_plugins()
        if name not in self._things:
            raise Unknown(self.what, name, self.known())
        return self._things[name]

    def _modules(self) -> list[str]:
        if not self._package:
            return []
        folder = importlib.import_module(self._package).__path__
        return [m.name for m in pkgutil.iter_modules(folder) if not m.ispkg and m.name not in self._skip]


sources = Names("source", "endpoints", _NOT_KINDS)
destinations = Names("destination", "endpoints", _NOT_KINDS)
formats = Names("format", "schemas", _NOT_FORMATS)
functions = Names("pipe function")

source = sources.register
destination = destinations.register
format = formats.register

_plugins_loaded = False


def function(func: T) -> T:
    """Registers a pipe function under its own name (a trailing underscore is dropped: `format_` is `format`)."""
    name: str = func.__name__.rstrip("_")  # type: ignore[attr-defined]
    return functions.register(name)(func)


def load_plugins() -> None:
    """Imports the site's own modules (entry points of group `jingluo.plugins`), once."""
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    for entry in importlib.metadata.entry_points(group="jingluo.plugins"):
        entry.load()
