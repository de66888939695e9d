"""From `| table gender default unknown` to a callable, checked against the function's signature.

A pipe function is any Python function registered by `config.registry.function`. Its first parameter takes
the value, and its annotation says what it wants to be given: `str` (text; lists go through item by item),
`list[...]` (every match of the path), `Any` (as it is). `... | None` means that it is also asked when there
is nothing. The keyword-only parameters are its arguments in YAML, of type str, int, bool, Decimal, Literal,
`re.Pattern[str]`, `Table` or a kind of `Word`; one of type `Whole` is no argument, but the message around the value.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from config import registry
from schemas.hl7.nodes import Piece
from transforms.tables import Table

MAX_PATTERN = 200  # characters
MAX_MATCHED = 4_000  # characters of a value that a plain pattern may look at
MAX_DIGITS = 60  # before or behind the point of a number
MAX_REMEMBERED = 1_000  # values that a function remembers
MAX_KNOWN = 200  # characters of such a value
MAX_STEPS = 20_000_000  # of the matcher, some tenths of a second
_ESCAPED = re.compile(r"\\(?![1-9]).|\[\^?\]?[^\]]*\]")
_GROUP = re.compile(r"\(\?(?::|P<\w+>)")
_NESTED = re.compile(r"[+*}]\)?[+*{]|\([^()]*[+*}?][^()]*\)[+*{]|\([^()]*\|[^()]*\)[+*{]|\\[1-9]|\(\?P=")
_REPEATED = re.compile(r"[*+]|\{\d*,\d*\}")
_OPTIONAL = re.compile(r"(?<![*+?}])\?")

T = TypeVar("T")
FindTable = Callable[[str], "Table | None"]


class Unusable(ValueError):
    """A pipe function's complaint. Its text is shown to operators: it must not hold the value itself."""

    code = "JL-M051"


class Missing(Unusable):
    code = "JL-M050"


class BadPipe(ValueError):
    """What is wrong with a pipe as written. `code` is JL-C102 to JL-C104 or JL-C112."""

    def __init__(self, code: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code, self.hint = code, hint


@dataclass(slots=True, eq=False)
class Whole:
    """The message that a value is of, for a function that looks elsewhere in it. A run of a map has one."""

    tree: Any
    memo: dict[Any, Any] = field(default_factory=dict)  # what functions found out about the message


class Word(str):
    """An argument that is more than any text: `zone=+08:00`. It is looked at when a map is compiled."""

    __slots__ = ()

    @classmethod
    def check(cls, text: str) -> None:
        """Raises ValueError with what is wrong."""
        raise ValueError(text)


_CHECKS: dict[Any, Callable[..., str]] = {}
# What other engines call the same.
_ELSEWHERE = {
    "substring": "cut", "substr": "cut", "slice": "cut", "left": "cut", "strip": "trim", "lookup": "table",
    "translate": "table", "append": "suffix", "concat": "join", "prepend": "prefix", "coalesce": "default",
    "len": "length", "size": "length", "int": "integer", "float": "decimal", "bool": "boolean", "md5": "hash",
    "sha256": "hash", "regex": "match", "capitalize": "title", "formatdate": "datetime", "parsedate": "datetime",
}  # fmt: skip


def checks(func: Callable[..., Any]) -> Callable[[T], T]:
    """Marks what is given the arguments of a pipe, and says in a text what is wrong with them; '' where nothing is.

    `what is wrong; what to write`, as a finding says it.
    """

    def note(check: T) -> T:
        _CHECKS[func] = check  # type: ignore[assignment]
        return check

    return note


_PREPARED: dict[Any, Callable[..., Callable[[Any], Any]]] = {}


def prepares(func: Callable[..., Any]) -> Callable[[T], T]:
    """Marks what is given the arguments of a pipe once, and makes a quicker function of the value alone."""

    def note(prepare: T) -> T:
        _PREPARED[func] = prepare  # type: ignore[assignment]
        return prepare

    return note


def remembering(call: Callable[[str], T]) -> Callable[[str], T]:
    """The same, quicker for what it was given lately: thirty results of one report name one doctor and one time."""
    known = functools.lru_cache(maxsize=MAX_REMEMBERED)(call)

    def answer(value: str) -> T:
        return known(value) if len(value) <= MAX_KNOWN else call(value)

    return answer


@dataclass(frozen=True, slots=True)
class Argument:
    """A word of a pipe: `unknown`, `"two words"` (quoted) or `with=", "` (named)."""

    text: str
    quoted: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One pipe, ready to call: with the value, and where it `looks_around` with the `Whole` too."""

    name: str
    call: Callable[..., Any]
    takes: str  # text, list, any
    asked_of_nothing: bool = False
    gives_text: bool = False
    may_give_nothing: bool = True
    looks_around: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    takes: str
    asked_of_nothing: bool
    gives_text: bool  # where it gives something
    may_give_nothing: bool
    arguments: Mapping[str, Any]  # name -> annotation
    required: frozenset[str]
    real: Mapping[str, str]  # name -> the parameter's name in Python
    around: str = ""  # the parameter that takes the message


@functools.cache
def signature(func: Callable[..., Any]) -> Signature:
    """What a pipe function wants, read from its annotations."""
    hints = get_type_hints(func)
    parameters = list(inspect.signature(func).parameters.values())
    wants, optional = _without_none(hints.get(parameters[0].name, Any))
    takes = "text" if wants is str else "list" if get_origin(wants) is list or wants is list else "any"
    named = [p for p in parameters[1:] if p.kind is p.KEYWORD_ONLY]
    around = next((p.name for p in named if hints.get(p.name) is Whole), "")
    named = [p for p in named if p.name != around]
    arguments = {p.name.rstrip("_"): _without_none(hints.get(p.name, str))[0] for p in named}
    required = frozenset(p.name.rstrip("_") for p in named if p.default is p.empty)
    gives, nothing = _without_none(hints.get("return", Any))
    real = {p.name.rstrip("_"): p.name for p in named}
    return Signature(
        takes, optional, gives is str, nothing or gives is not str, arguments, required, real, around
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return (kinds[0] if len(kinds) == 1 else Any), len(kinds) < len(get_args(hint))
    return hint, False


def bind(name: str, words: Sequence[Argument], find_table: FindTable) -> Stage:
    """A pipe by name with its arguments. Raises BadPipe."""
    try:
        func = registry.functions.get(name)
    except registry.Unknown as error:
        said = _ELSEWHERE.get(name.lower(), "")
        near = said if said in error.known else error.nearest
        hint = _did_you_mean(near)
        if name[0] in "[*.@&" or "." in name:
            hint = f"a pipe of JMESPath itself stands without spaces: |{name}"
        raise BadPipe("JL-C102", f"no pipe function is called {name!r}", hint) from None
    wants = signature(func)
    given = named(name, words, wants)
    values = {key: _convert(name, key, wants.arguments[key], text, find_table) for key, text in given.items()}
    missing = wants.required - values.keys()
    if missing:
        raise BadPipe("JL-C103", f"{name} needs {', '.join(sorted(missing))}", usage(name))
    kwargs = {wants.real[key]: value for key, value in values.items()}
    what, _, hint = _CHECKS[func](**kwargs).partition("; ") if func in _CHECKS else ("", "", "")
    if what:
        raise BadPipe("JL-C103", f"{name}: {what}", hint or usage(name))
    return Stage(
        name,
        _call(func, kwargs, wants.around),
        wants.takes,
        wants.asked_of_nothing,
        wants.gives_text,
        wants.may_give_nothing,
        bool(wants.around),
    )


def _call(func: Callable[..., Any], kwargs: dict[str, Any], around: str) -> Callable[..., Any]:
    if func in _PREPARED:
        return _PREPARED[func](**kwargs)
    if around:
        return lambda value, whole: func(value, **kwargs, **{around: whole})
    return functools.partial(func, **kwargs) if kwargs else func


def usage(name: str) -> str:
    """How a pipe function is written: `table NAME [default=] [error=] [from=] [to=]`."""
    wants = signature(registry.functions.get(name))
    words = [key.upper() if key in wants.required else f"[{key}=]" for key in wants.arguments]
    return " ".join(["write it:", name, *words])


def _did_you_mean(near: str) -> str:
    return f"did you mean {near}?" if near else ""


def named(name: str, words: Sequence[Argument], wants: Signature) -> dict[str, str]:
    """Words to parameters: `name=value`, `name value` or by order; the name of a truth value alone means
    true. Raises BadPipe.
    """
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        known = not word.quoted and not word.name and word.text in wants.arguments
        open_ = [key for key in wants.arguments if key not in given]
        if word.name:
            key, text = word.name, word.text
        elif known and wants.arguments[word.text] is bool:
            key, text = word.text, "true"
        elif known and rest:
            key, text = word.text, rest.pop(0).text
        elif open_:
            key, text = open_[0], word.text
        else:
            raise BadPipe("JL-C103", f"{name} has no place for {word.text!r}", usage(name))
        if key not in wants.arguments:
            near = registry.nearest(key, wants.arguments)
            raise BadPipe("JL-C103", f"{name} has no argument {key!r}", _did_you_mean(near) or usage(name))
        if key in given:
            raise BadPipe("JL-C103", f"{name} is given {key} twice", usage(name))
        given[key] = text
    return given


def _convert(name: str, key: str, kind: Any, text: str, find_table: FindTable) -> Any:
    if kind is Table:
        table = find_table(text)
        if table is None:
            raise BadPipe("JL-C104", f"no table is called {text!r}")
        return table
    if kind is re.Pattern or get_origin(kind) is re.Pattern:
        return pattern(text)
    if get_origin(kind) is Literal:
        if text in get_args(kind):
            return text
        hint = _did_you_mean(registry.nearest(text, get_args(kind)))
        raise BadPipe("JL-C103", f"{key} of {name} is one of {', '.join(get_args(kind))}, not {text!r}", hint)
    if isinstance(kind, type) and issubclass(kind, Word):
        return _word(name, key, kind, text)
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        if kind is int:
            return int(text)
        if kind is Decimal and abs(Decimal(text).adjusted()) <= MAX_DIGITS and Decimal(text).is_finite():
            return Decimal(text)
    except (ValueError, InvalidOperation):
        kind = bool
    if kind is Decimal:
        kind = bool
    if kind is bool:
        raise BadPipe("JL-C103", f"{key} of {name} cannot be {text!r}", usage(name))
    return text


def _word(name: str, key: str, kind: type[Word], text: str) -> Word:
    try:
        kind.check(text)
    except ValueError as error:
        raise BadPipe("JL-C103", f"{key} of {name}: {error}", usage(name)) from None
    return kind(text)


def text_of(value: Any) -> str:
    """A scalar as text: `true`, `12.50`, `2026`."""
    if value is True or value is False:
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def components(value: Any) -> list[str]:
    """The components of a field of HL7 v2, as an `each` has it or as text, each as the text of its first part."""
    if isinstance(value, Piece):
        return value.texts
    return [part.partition("&")[0].strip() for part in text_of(value).split("^")]


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression that cannot run away: short, without nested repetition or back references."""
    if len(text) > MAX_PATTERN:
        raise BadPipe("JL-C112", f"a pattern has at most {MAX_PATTERN} characters")
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise BadPipe("JL-C112", f"not a regular expression: {error}") from None
    if _NESTED.search(_bare(text)):
        said = "the pattern repeats a repetition or refers back: it could take for ever"
        raise BadPipe("JL-C112", said, "write it plainer")
    if reach(compiled) < 50:
        raise BadPipe(
            "JL-C112", "the pattern has too many repetitions: it could take for ever", "write it plainer"
        )
    return compiled


def _bare(text: str) -> str:
    """Only what repeats and groups: classes and escaped marks are one letter each."""
    return _GROUP.sub("(", _ESCAPED.sub("x", text))


@functools.lru_cache(maxsize=1_000)
def reach(compiled: re.Pattern[str], *, whole: bool = True) -> int:
    """How many characters a pattern may look at. Each repetition multiplies the work by the length, each `?` by two.

    `whole` is fullmatch; a search begins at every character.
    """
    bare = _bare(compiled.pattern)
    degree = len(_REPEATED.findall(bare)) + (not whole)
    steps = MAX_STEPS / 2 ** len(_OPTIONAL.findall(bare))
    return min(MAX_MATCHED, int((steps * math.factorial(degree)) ** (1 / max(degree, 1))))
