"""A map: one message's tree to another format's tree, by a YAML file that looks like what it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from config.errors import BadMessage, Problem
from config.models import meant
from config.registry import nearest
from config.text import Document
from schemas.base import Format
from schemas.choice import choose
from schemas.message import Message
from transforms.expression import FIRST_LET, At, Env, Scope, Value, begin
from transforms.generate import generate
from transforms.plans import Keep, Kept, Part, Plan, holds
from transforms.shapes import Place, compile_shape, without

if TYPE_CHECKING:
    from transforms.library import Library

MAP_KEYS = ("map", "title", "from", "to", "start", "let", "when", "make", "tests")
ANY = "any"  # what a fragment reads that reads only names
FRAGMENT_KEYS = ("fragment", "title", "from", "let", "when", "keep", "make", "else")


@dataclass(frozen=True, slots=True)
class Map:
    """A compiled map. `tree` and `run` raise BadMessage and change nothing."""

    name: str
    source: Format
    target: Format
    make: Value
    empty: tuple[None, ...]  # what `let` and `each` fill
    plan: Plan  # what `make` was generated from
    overlay: bool = False

    @property
    def source_format(self) -> str:
        return self.source.name

    @property
    def target_format(self) -> str:
        return self.target.name

    def tree(self, source_tree: Any, message: Message | None = None) -> Any:
        """What the map makes, as a tree of the target format. Constant parts are shared: do not change it."""
        made = self.make(source_tree, self.env(source_tree, message))
        if made is None and not self.overlay:
            raise BadMessage("JL-M053", f"the map {self.name} makes nothing of this message")
        return self.target.build(made, source_tree if self.overlay else None)

    def env(self, source_tree: Any, message: Message | None = None) -> Env:
        """What one run begins with: the message, its envelope, nothing kept and nothing named."""
        return [*begin(source_tree, message), *self.empty]

    def run(self, source_tree: Any, message: Message | None = None) -> bytes:
        """The same, encoded."""
        return self.target.encode(self.tree(source_tree, message))


class Compiler:
    """Compiles the text of one map, and the fragments that it uses, each complaining about its own file."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.files: set[FilePath] = set()
        self._parts: dict[tuple[Any, ...], Part] = {}

    def _seen(self, document: Document | None) -> Any:
        coverage = self.library.coverage
        return None if coverage is None or document is None else coverage.of(document)

    def table(self, name: str) -> Any:
        found = self.library.table(name)
        if found is not None:
            self.files.add(found.file)
        return found

    def table_names(self) -> list[str]:
        return self.library.table_names()

    def map(self, spec: Any, problems: list[Problem], at: At, document: Document | None) -> Map | None:
        before = len(problems)
        if not isinstance(spec, Mapping):
            problems.append(Problem(at, "JL-C117", "a map has from, to and make"))
            return None
        _check_keys(spec, MAP_KEYS, ("from", "to", "make"), "map", problems, at)
        source = _format(spec, "from", problems, at)
        target = _format(spec, "to", problems, at)
        if source is None or target is None or "make" not in spec:
            return None
        overlay = _overlay(spec, source, target, problems, at)
        scope = Scope(source, self, problems, _where(document), seen=self._seen(document))
        plan = compile_shape(_kept(spec, MAP_KEYS), Place(scope, self._fragment), at)
        if holds(plan, Keep) and not holds(plan, Kept):
            hint = "write - {kept: true} at the end of the list that shall have it"
            problems.append(Problem((*at, "make"), "JL-C108", "what is kept stands nowhere", hint))
        if any(problem.severity == "error" for problem in problems[before:]):
            return None
        name = str(spec.get("map", ""))
        return Map(
            name,
            source,
            target,
            generate(plan) if self.library.runs else _never,
            (None,) * (len(scope.slots) - FIRST_LET),
            plan,
            overlay,
        )

    def _fragment(self, name: str, place: Place, at: At) -> Plan | None:
        """A fragment as if its text stood here, except that it sees its own file's lines."""
        scope = place.scope
        document = self.library.fragment(name)
        if name in place.inside:
            round_ = " -> ".join((*place.inside, name))
            scope.problem(at, "JL-C107", f"the fragment uses itself: {round_}")
            return None
        if document is None:
            known = self.library.fragment_names()
            near = nearest(name, known)
            if name in known:
                scope.problem(at, "JL-C105", f"the fragment {name} cannot be read")
            else:
                hint = f"did you mean {near}?" if near else ""
                scope.problem(at, "JL-C105", f"no fragment is called {name!r}", hint)
            return None
        key = (name, scope.names_only, scope.nested, scope.position, *self._known_to(name, scope))
        if key in self._parts:
            return self._parts[key]
        self.files.add(FilePath(document.file))
        problems: list[Problem] = []
        inner = replace(scope, problems=problems, where=_where(document), seen=self._seen(document))
        inside = replace(place, scope=inner, inside=(*place.inside, name))
        plan = self._fragment_plan(document.data, scope, inside, at)
        self.library.complain(document, problems)
        if any(problem.severity == "error" for problem in problems):
            scope.problem(at, "JL-C105", f"the fragment {name} has mistakes", f"see {document.file}")
        elif plan is not None:
            return self._parts.setdefault(key, Part(name, plan))
        return None

    def _known_to(self, name: str, scope: Scope) -> Iterator[tuple[Any, ...]]:
        """What a fragment can see of the names around it: where that is the same, it makes the same."""
        for each in sorted(self.library.names_in(name) & scope.lets.keys()):
            slot = scope.lets[each]
            yield each, slot, repr(scope.literals[slot]) if slot in scope.literals else ""

    def _fragment_plan(self, spec: Any, outer: Scope, inner: Place, at: At) -> Plan | None:
        problems = inner.scope.problems
        if not isinstance(spec, Mapping):
            problems.append(Problem((), "JL-C117", "a fragment has from and make"))
            return None
        _check_keys(spec, FRAGMENT_KEYS, ("from", "make"), "fragment", problems, ())
        wanted = spec.get("from")
        if wanted == ANY:
            inner = replace(inner, scope=replace(inner.scope, names_only=True))
        elif wanted != outer.format.name:
            outer.problem(
                at, "JL-C113", f"this fragment reads {wanted}, but the map reads {outer.format.name}"
            )
            return None
        return compile_shape(_kept(spec, FRAGMENT_KEYS), inner, ()) if "make" in spec else None


def _never(node: Any, env: Any) -> Any:
    raise AssertionError("a map that was only checked is run")


def _kept(spec: Mapping[Any, Any], known: tuple[str, ...]) -> dict[Any, Any]:
    """The shape in a map's or a fragment's file: make, and what controls it."""
    kept = {key: value for key, value in spec.items() if key in known}
    return without(kept, "map", "fragment", "title", "from", "to", "start", "tests")


def _check_keys(
    spec: Mapping[Any, Any],
    known: tuple[str, ...],
    needed: tuple[str, ...],
    what: str,
    problems: list[Problem],
    at: At,
) -> None:
    for key in spec:
        if key not in known:
            near = meant(str(key), known)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            problems.append(Problem((*at, key), "JL-C117", f"a {what} has no {key!r}", hint, on_key=True))
    for key in needed:
        if key not in spec:
            problems.append(Problem(at, "JL-C117", f"the {what} has no {key!r}"))


def _format(spec: Mapping[Any, Any], key: str, problems: list[Problem], at: At) -> Format | None:
    if spec.get(key) is None:
        return None
    return choose(spec[key], problems, (*at, key), "JL-C116", reads_only=key == "from")


def _overlay(
    spec: Mapping[Any, Any], source: Format, target: Format, problems: list[Problem], at: At
) -> bool:
    if "start" not in spec:
        return False
    if spec["start"] != "$":
        problems.append(Problem((*at, "start"), "JL-C108", "start is $: the message itself is copied first"))
    if source.name != target.name:
        text = f"start: $ copies the message, but it is {source.name} and {target.name} is made"
        problems.append(Problem((*at, "start"), "JL-C113", text))
    return True


def _where(document: Document | None) -> Any:
    def where(at: At) -> str:
        if document is None:
            return "map, at " + ".".join(map(str, at))
        line, _ = document.place(at)
        return f"{document.file}:{line}"

    return where


def compile_map(spec: Any, library: Library, problems: list[Problem], at: At = ()) -> Map | None:
    """A map that stands in another text (a channel); None where it is wrong, and the problems say why."""
    return Compiler(library).map(spec, problems, at, None)
