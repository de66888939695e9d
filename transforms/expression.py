"""Expressions: `$` + a path in the message's own path language, then pipes. Compiled once, to closures.

A closure takes the node at hand and the environment of one run: a list that holds the whole message, its
envelope, what was kept, what functions found out, and after these what `let` named. Slots are numbered when a map
is compiled, so nothing is looked up by name later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from config import registry
from config.errors import BadMessage, Problem
from schemas.base import BadPath, Cell, Format, Path
from schemas.choice import choose
from schemas.envelope import ALL, DOOR, ENVELOPE, Enveloped
from transforms import functions  # noqa: F401  (they register themselves)
from transforms.pipes import Argument, BadPipe, Stage, Unusable, Whole, bind, text_of
from transforms.syntax import split_pipes, words
from transforms.tables import Table

At = tuple[str | int, ...]
Env = list[Any]
Value = Callable[[Any, Env], Any]

ROOT, MESSAGE, KEPT, WHOLE, FIRST_LET = 0, 1, 2, 3, 4
MAX_EXPRESSION = 2_000  # characters
MAX_PIPES = 20


class Tables(Protocol):
    """What an expression needs of a library."""

    def table(self, name: str) -> Table | None: ...

    def table_names(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What can be named at one place of a text, and where complaints about it go."""

    format: Format
    tables: Tables
    problems: list[Problem]
    where: Callable[[At], str]  # the file and line of a place, for messages that fail there
    envelope: Collection[str] = ALL  # what `$@` may name
    nested: bool = False  # the node at hand is an item, not the whole message
    names_only: bool = False  # a fragment for any message, which has no paths
    lets: Mapping[str, int] = field(default_factory=dict)
    literals: Mapping[int, Any] = field(default_factory=dict)  # by slot: the names that stand for a literal
    position: int = 0  # the slot of `$#`
    slots: list[str] = field(default_factory=lambda: [""] * FIRST_LET)  # the names; the first are not `let`
    numbered: set[int] = field(default_factory=set)  # those that somebody reads `$#` from
    seen: Callable[[At], Callable[[], None]] | None = None  # makes what is called when a place gave something

    def path(self, text: str) -> Path:
        """Raises BadPath."""
        if self.names_only:
            raise BadPath("a fragment from any reads only what `let` named around it")
        return self.format.path(text)

    def problem(self, at: At, code: str, message: str, hint: str = "", on_key: bool = False) -> None:
        self.problems.append(Problem(at, code, message, hint, on_key=on_key))

    def slot(self, name: str) -> int:
        """Where a name's value is kept: the same place for all that never live at the same time."""
        taken = self.lets.get(name)
        for number, known in enumerate(self.slots):
            if known == name and number != taken:
                return number
        self.slots.append(name)
        return len(self.slots) - 1


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression compiled: where its value comes from (`read`, `slot` or `other`), then its pipes.

    `read` takes the node at hand, or the root with `of_root`; `cell` and `steps` say the same for generated code.
    `path` and `where` are for complaints.
    """

    read: Callable[[Any], Any] | None = None
    cell: Cell | None = None
    steps: tuple[str | int, ...] = ()
    of_root: bool = False
    slot: int | None = None
    other: Value | None = None
    stages: tuple[Stage, ...] = ()
    path: str = ""
    where: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the value is a text wherever it is something."""
        texts = all(stage.takes == "text" and stage.gives_text for stage in self.stages)
        return self.cell is not None and texts

    @property
    def is_sure(self) -> bool:
        """Whether the value is None where it is nothing; a pipe may give an empty text or list, and so may a node."""
        return self.slot is None and not self.stages and self.read is not _itself

    @property
    def plain(self) -> Callable[[Any], Any] | None:
        """What reads the node at hand, where the expression is that and nothing else."""
        return self.read if not (self.of_root or self.stages) else None

    def closure(self) -> Value:
        """The expression as one callable."""
        source = self._source()
        if not self.stages:
            return source
        pipes = pipes_of(self)
        return lambda node, env: pipes(source(node, env), env)

    def _source(self) -> Value:
        if self.slot is not None:
            slot = self.slot
            return lambda node, env: env[slot]
        if self.read is None:
            assert self.other is not None
            return self.other
        read = self.read
        if self.of_root:
            return lambda node, env: read(env[ROOT])
        return lambda node, env: read(node)


def begin(tree: Any, message: Enveloped | None = None) -> Env:
    """The environment of one run, before anything is named."""
    return [tree, message, {}, None]


def whole(env: Env) -> Whole:
    """The message for a function that looks around in it: made when the first asks."""
    found = env[WHOLE]
    if found is None:
        found = env[WHOLE] = Whole(env[ROOT])
    made: Whole = found
    return made


def is_expression(text: Any) -> bool:
    return isinstance(text, str) and text.startswith("$") and not text.startswith("$$")


def literal(text: Any) -> Any:
    """`$$5` is the text `$5`."""
    return text[1:] if isinstance(text, str) and text.startswith("$$") else text


def filled(value: Any) -> bool:
    """Whether there is something: not None, "", {} or []. Zero and false are something."""
    return bool(value) or (value is not None and value == 0)


def add_text(texts: list[str], value: Any) -> None:
    texts.extend(map(text_of, value)) if isinstance(value, list) else texts.append(text_of(value))


def compile_expression(
    text: str, scope: Scope, at: At = (), every: bool = False, on_key: bool = False, there: bool = False
) -> Expression | None:
    """An expression to closures; None where it is wrong (the problem is in the scope's list, `on_key` at the key).

    With `every`, or where the first pipe takes a list, it starts from all matches of its path. With `there` it only
    has to tell whether there is something, unless it has pipes.
    """
    try:
        if len(text) > MAX_EXPRESSION:
            raise BadPipe("JL-C100", f"an expression has at most {MAX_EXPRESSION} characters")
        path, *pipes = split_pipes(text)
        if len(pipes) > MAX_PIPES:
            raise BadPipe("JL-C100", f"an expression has at most {MAX_PIPES} pipes")
        stages = [_stage(pipe, scope) for pipe in pipes]
        wants_list = every or (bool(stages) and stages[0].takes == "list")
        source = _source(path[1:], scope, wants_list, there and not stages)
    except ValueError as error:
        code, hint = (error.code, error.hint) if isinstance(error, BadPipe) else ("JL-C100", "")
        scope.problem(at, code, str(error), hint, on_key)
        return None
    return Expression(**source, stages=tuple(stages), path=path, where=scope.where(at) if stages else "")


def _stage(pipe: str, scope: Scope) -> Stage:
    name, *arguments = words(pipe) if pipe else [Argument("")]
    if not name.text:
        raise BadPipe("JL-C100", "a pipe without a function")
    try:
        return bind(name.text, arguments, scope.tables.table)
    except BadPipe as error:
        if error.code == "JL-C104":
            wrong = next((a.text for a in arguments if repr(a.text) in str(error)), "")
            near = registry.nearest(wrong, scope.tables.table_names())
            error.hint = f"did you mean {near}?" if near else ""
        raise


def _source(path: str, scope: Scope, wants_list: bool, there: bool) -> dict[str, Any]:
    """What an expression starts from. Raises BadPipe."""
    if path.startswith("@") and (path[1:] in ENVELOPE or path.startswith("@header.")):
        return {"other": _envelope(path[1:], scope)}
    if path == "":
        return {"read": _itself}
    if path == "#":
        if not scope.position:
            raise BadPipe("JL-C109", "$# is the position of an item, and this is not inside an `each`")
        scope.numbered.add(scope.position)
        return {"slot": scope.position}
    if path in scope.lets:
        return {"slot": scope.lets[path]}
    try:
        compiled = scope.path(path)
    except BadPath as error:
        raise _no_path(path, error, scope) from None
    except Exception as error:  # a library's own complaint about its path language
        raise BadPipe("JL-C101", f"{path!r} is not a path: {error}") from None
    of_root = scope.nested and not compiled.relative
    if wants_list:
        return {"read": _values(compiled.many, scope.format.path("").one), "of_root": of_root}
    if there and compiled.there:
        return {"read": compiled.there, "of_root": of_root}
    return {"read": compiled.one, "cell": compiled.cell, "steps": compiled.steps, "of_root": of_root}


def _no_path(path: str, error: BadPath, scope: Scope) -> BadPipe:
    if path.isidentifier() and path.islower():
        near = registry.nearest(path, scope.lets)
        hint = f"did you mean ${near}?" if near else "`let:` gives names to values"
        return BadPipe("JL-C109", f"nothing is called ${path} here", hint)
    return BadPipe("JL-C101", str(error), f"did you mean ${error.nearest}?" if error.nearest else "")


def _itself(node: Any) -> Any:
    return node


def _values(many: Callable[[Any], list[Any]], one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Every match of a path, as scalars."""

    def values(node: Any) -> list[Any] | None:
        return [value for item in many(node) if filled(value := one(item))] or None

    return values


def _envelope(name: str, scope: Scope) -> Value:
    header = name.removeprefix("header.")
    if ("header" if header != name else name) not in scope.envelope:
        hint = f"known here: {', '.join(f'$@{one}' for one in scope.envelope)}" if scope.envelope else ""
        raise BadPipe("JL-C115", f"$@{name}: the envelope cannot be read here, only in a map", hint)
    of_message = ENVELOPE.get(name) or (lambda message: message.headers.get(header.lower(), ""))

    def value(node: Any, env: Env) -> str | None:
        message: Enveloped | None = env[MESSAGE]
        return of_message(message) or None if message is not None else None

    return value


def pipes_of(expression: Expression) -> Callable[[Any, Env], Any]:
    """An expression's pipes as one callable of the value that they are given."""
    steps = [(step_of(stage), stage.asked_of_nothing, stage.looks_around) for stage in expression.stages]

    def pipes(found: Any, env: Env) -> Any:
        try:
            for step, asked_of_nothing, looks_around in steps:
                if found is not None or asked_of_nothing:
                    found = step(found, whole(env)) if looks_around else step(found)
        except (ValueError, ArithmeticError) as error:
            raise failure(error, expression.path, expression.where, expression.stages) from None
        return found

    return pipes


def step_of(stage: Stage) -> Callable[..., Any]:
    """A pipe that takes whatever came before it: numbers become text, a list goes through item by item."""
    call = stage.call
    if stage.takes == "list" and stage.looks_around:
        return lambda value, whole: call(value if isinstance(value, list) else [value], whole)
    if stage.takes == "list":
        return lambda value: call(value if value is None or isinstance(value, list) else [value])
    if stage.takes == "any" or stage.looks_around:
        return call

    def step(value: Any) -> Any:
        if value.__class__ is str:
            return call(value)
        if isinstance(value, list):
            return [made for item in value if item is not None and filled(made := step(item))]
        if isinstance(value, dict):
            raise Unusable(f"{stage.name} takes text, not an object")
        return call(value if value is None else text_of(value))

    return step


def failure(error: Exception, path: str, where: str, stages: tuple[Stage, ...]) -> BadMessage:
    """A function's own complaint is shown; of any other error only that there was one, for it may hold the
    value.
    """
    code = error.code if isinstance(error, Unusable) else "JL-M051"
    names = " | ".join(stage.name for stage in stages)
    text = str(error) if isinstance(error, Unusable) else f"the value cannot be used by {names}"
    return BadMessage(code, f"{text} ({where})", path.removeprefix("$"))


def open_scope(
    format: str | Format,
    tables: Tables,
    problems: list[Problem],
    at: At,
    where: str = "",
    envelope: Collection[str] = (),
) -> Scope | None:
    """A scope for one text on its own; None, and a problem, where nobody knows the format."""
    found = choose(format, problems, at, "JL-C116", reads_only=True) if isinstance(format, str) else format
    if found is None:
        return None

    def place(deeper: At) -> str:
        return where or ".".join(map(str, deeper)) or "expression"

    return Scope(found, tables, problems, place, envelope=envelope)


def compile_value(
    text: str, format: str | Format, library: Tables, problems: list[Problem], at: At = ()
) -> Callable[..., str | None] | None:
    """An expression for an index value or an order key: a tree to text, or to None where there is nothing.

    What is made takes the tree, and the message that it is of: without one its envelope is empty.
    """
    scope = open_scope(format, library, problems, at, envelope=DOOR)
    if scope is None:
        return None
    if not is_expression(text):
        scope.problem(at, "JL-C100", f"{text!r} is no expression", "an expression begins with $")
        return None
    expression = compile_expression(text, scope, at)
    if expression is None:
        return None
    plain, call = expression.plain, expression.closure()

    def value(tree: Any, message: Enveloped | None = None) -> str | None:
        found = plain(tree) if plain else call(tree, begin(tree, message))
        if found.__class__ is str:
            return found or None
        return text_of(found) if filled(found) else None

    return value
