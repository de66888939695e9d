"""The manual of the pipe functions, made from their docstrings: what each is, its arguments, examples as pipes.

An example in a docstring is Python (`cut("20260105", end=4)`); an integrator writes pipes, so it is shown as
`"20260105" | cut end=4`. The tests run it both ways.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

from config import registry
from transforms import functions
from transforms.pipes import Argument, Word, signature, text_of
from transforms.tables import Table


@dataclass(frozen=True, slots=True)
class Example:
    """`value | pipe` makes `result`; None is nothing. `tables` are those that the pipe names, `message` is what the
    value is of, where the function looks around in it.
    """

    value: Any
    pipe: str
    words: tuple[Argument, ...]
    result: Any
    tables: tuple[Table, ...] = ()
    message: Any = None


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: (
        str  # text, whole number, number, truth value, pattern, table, `a | b`, or what a Word says of itself
    )
    default: str | None  # None: it must be given


@dataclass(frozen=True, slots=True)
class Described:
    name: str
    group: str
    takes: str  # text, list, any
    says: str
    parameters: tuple[Parameter, ...]
    examples: tuple[Example, ...]

    @property
    def usage(self) -> str:
        """How it is written: `table NAME [default=""] [error]`."""
        return " ".join([self.name, *map(_written_as, self.parameters)])


def all_functions() -> list[Described]:
    """Every pipe function, in the order of the manual: group by group, as they stand in the sources."""
    registry.load_plugins()
    order = {module.__name__: at for at, module in enumerate(functions.GROUPS)}
    found = [(name, registry.functions.get(name)) for name in registry.functions.known()]

    def place(named: tuple[str, Callable[..., Any]]) -> tuple[int, str, int]:
        func = named[1]
        return order.get(func.__module__, len(order)), func.__module__, func.__code__.co_firstlineno

    return [describe(name, func) for name, func in sorted(found, key=place)]


def as_markdown() -> str:
    """The chapter "Pipe functions" of transforms/README.md."""
    lines: list[str] = []
    group = ""
    for one in all_functions():
        if one.group != group:
            group = one.group
            lines += ["", f"### {group}", "", "| function | gives | for example |", "|---|---|---|"]
        shown = "<br>".join(f"`{_cell(example)}`" for example in one.examples[:2])
        lines.append(f"| `{one.usage}` | {one.says.replace('|', chr(92) + '|')} | {shown} |")
    return "\n".join(lines).strip() + "\n"


def _cell(example: Example) -> str:
    return shown(example).replace("|", "\\|")


def shown(example: Example) -> str:
    """`"20260105" | cut end=4` gives `"2026"`, in a line."""
    return f"{plain(example.value)} | {example.pipe} → {plain(example.result)}"


def plain(value: Any) -> str:
    """A value as JSON; `nothing` where there is none. Decimals stay as they are written."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{plain(key)}: {plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(plain, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else text_of(value)


def describe(name: str, func: Callable[..., Any]) -> Described:
    text = inspect.getdoc(func) or ""
    says = " ".join(text.partition("\n\n>>>")[0].split())
    doc = inspect.getdoc(inspect.getmodule(func)) or "Other functions."
    group = re.split(r"[.:]", doc, maxsplit=1)[0]
    return Described(
        name, group, signature(func).takes, says, tuple(_parameters(func)), tuple(_examples(name, func, text))
    )


def _parameters(func: Callable[..., Any]) -> Iterator[Parameter]:
    real = inspect.signature(func).parameters
    for key, kind in signature(func).arguments.items():
        default = real[key if key in real else f"{key}_"].default
        yield Parameter(key, _kind(kind), None if default is inspect.Parameter.empty else text_of(default))


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(get_args(kind))
    if get_origin(kind) is re.Pattern:
        return "a regular expression"
    if isinstance(kind, type) and issubclass(kind, Word):
        return " ".join((inspect.getdoc(kind) or "text").split()).rstrip(".")
    names = {int: "a whole number", Decimal: "a number", bool: "true or false", Table: "the name of a table"}
    return names.get(kind, "text")


def _written_as(parameter: Parameter) -> str:
    if parameter.default is None:
        return parameter.name.upper()
    if parameter.kind == "true or false":
        return f"[{parameter.name}]"
    plain = parameter.default.lstrip("-").isalnum()
    return (
        f"[{parameter.name}={parameter.default}]"
        if plain
        else f"[{parameter.name}={quoted(parameter.default)}]"
    )


def _examples(name: str, func: Callable[..., Any], text: str) -> Iterator[Example]:
    """One for each call; several in one line stand in a tuple, as do their results. What a site's function shows
    otherwise is left out.
    """
    for example in doctest.DocTestParser().get_examples(text):
        try:
            call = ast.parse(example.source.strip(), mode="eval").body
            calls = call.elts if isinstance(call, ast.Tuple) else [call]
            want = ast.parse(example.want.strip() or "None", mode="eval").body
            wants = want.elts if isinstance(call, ast.Tuple) and isinstance(want, ast.Tuple) else [want]
            made = [_example(name, func, *pair) for pair in zip(calls, wants, strict=True)]
        except (ValueError, SyntaxError):
            continue
        yield from made


def _example(name: str, func: Callable[..., Any], call: ast.expr, result: ast.expr) -> Example:
    """Raises ValueError where it is not a call with a value and named arguments."""
    if not isinstance(call, ast.Call) or len(call.args) != 1:
        raise ValueError("not a call with a value")
    wants = signature(func)
    words, tables, message = [Argument(name)], [], None
    for keyword in call.keywords:
        key = (keyword.arg or "").rstrip("_")
        given = _value(keyword.value)
        if wants.around and keyword.arg == wants.around:
            message = given
            continue
        if isinstance(given, Table):
            tables.append(given)
            given = given.name
        words.append(_word(key, given, key in wants.required and len(words) == _place(key, wants.arguments)))
    pipe = " ".join(_written(word) for word in words)
    return Example(_value(call.args[0]), pipe, tuple(words[1:]), _value(result), tuple(tables), message)


def _place(key: str, arguments: Any) -> int:
    return list(arguments).index(key) + 1


def _word(key: str, given: Any, first: bool) -> Argument:
    text = text_of(given)
    if given is True:
        return Argument(key)
    return Argument(text, not _PLAIN.fullmatch(text), "" if first else key)


_PLAIN = re.compile(r"[^\s\"'`=|$]+")


def _written(word: Argument) -> str:
    text = quoted(word.text) if word.quoted else word.text
    return f"{word.name}={text}" if word.name else text


def quoted(text: str) -> str:
    """As an expression has it between quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _value(node: ast.expr) -> Any:
    """What an example's Python stands for: literals, Decimal, a pattern (as its text), a Table, a message."""
    if isinstance(node, ast.Call):
        args = [_value(arg) for arg in node.args]
        called = ast.unparse(node.func)
        if called == "Decimal":
            return Decimal(args[0])
        if called in ("re.compile", "Whole"):
            return args[0]
        if called == "Table":
            return Table(*args)
        raise ValueError(f"an example calls {called}")
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    return ast.literal_eval(node)
