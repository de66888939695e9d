"""JSON. Numbers with a fraction are Decimal, never float; a key twice is an error; paths are JMESPath.

Reading is the standard library's: with its hook that sees every object (for keys that stand twice) it is
quicker than a faster parser and a second walk. Writing is msgspec's, which keeps a Decimal a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from json import JSONDecodeError, JSONDecoder
from typing import Any

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from config import registry
from config.errors import BadMessage
from schemas import charsets
from schemas.base import BadPath, Gather, Path, one_way

MAX_BYTES = 100_000_000
MAX_DEPTH = 100
MAX_PATH = 1_000  # characters
_PLAIN = re.compile(r"(?:(?:^|\.)[^\W\d]\w*|\[-?[0-9]{1,9}\])+")
_ONE = re.compile(r"\[-?[0-9]+\]$")  # one of a list
_STEP = re.compile(r"[^\W\d]\w*|\[-?[0-9]+\]")
_NAMES = re.compile(r"(?:(?:^|\.)[^\W\d]\w*|\[(?:-?[0-9]{1,9}|\*)?\])+")  # plain, but for `[]` and `[*]`
_WORD = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)|[^\W\d]\w*""")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Json:
    """Format `json`. Trees are dict, list, str, int, Decimal, bool and None."""

    name = "json"
    plain_items = True

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Raises BadMessage: JL-M020 not JSON, JL-M021 a key twice, JL-M022 too large or too deep."""
        if len(body) > MAX_BYTES:
            raise BadMessage("JL-M022", f"larger than {MAX_BYTES} bytes")
        text = _text(body, charset)
        try:
            tree = _DECODER.decode(text)
        except JSONDecodeError as error:
            raise BadMessage("JL-M020", f"not JSON: {error.msg}", f"character {error.pos}") from None
        except RecursionError:
            raise BadMessage("JL-M022", f"nested deeper than {MAX_DEPTH} levels") from None
        except (ValueError, InvalidOperation):
            raise BadMessage("JL-M020", "a number with too many digits") from None
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(tree)
        if _SURROGATE.search(text):
            self.encode(tree)
        return tree

    def reread(self, body: bytes, charset: str = "") -> Any:
        """What `encode` wrote, in a fifth of the time: it holds no key twice, and nothing in another charset."""
        return self.decode(body, charset) if charset else _OWN.decode(body)

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """UTF-8, unless the receiver wants something else. Raises BadMessage (JL-M023)."""
        try:
            body = _ENCODER.encode(tree)
            target = charsets.codec(charset)
            return body if target in ("", "utf-8", "ascii") else body.decode().encode(target)
        except UnicodeEncodeError as error:
            raise BadMessage("JL-M023", f"a character that {error.encoding} does not have") from None
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise BadMessage("JL-M023", f"cannot be written as JSON: {error}") from None

    def path(self, text: str) -> Path:
        """`.a.b[0]`, any JMESPath after the dot; nothing is the item at hand itself."""
        return compile_path(text)

    def items(self, text: str) -> Callable[[Any], list[Any]]:
        return items_at(text)

    def gathers(self, text: str) -> Gather:
        """A list of them."""
        return one_way(text, self.encode)

    def build(self, made: Any, start: Any = None) -> Any:
        """The shape itself; laid over `start` object by object, where lists and scalars replace."""
        return made if start is None else laid_over(start, made)

    def sniff(self, tree: Any) -> str:
        return ""


def _text(body: bytes, charset: str) -> str:
    mark, marked = charsets.byte_order_mark(body)
    for codec in (marked or "utf-8", charsets.codec(charset)):
        try:
            if codec:
                return body[len(mark) :].decode(codec)
        except UnicodeDecodeError:
            continue
    raise BadMessage("JL-M020", "not JSON: JSON is written in UTF-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadMessage("JL-M021", "the same key stands twice", f"$.{twice[:60]}")
    return made


def _no_constant(name: str) -> None:
    raise BadMessage("JL-M020", f"not JSON: {name} is no number")


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_constant)


def _plain(value: Any) -> str:
    """A node of another format, which is a string with parts, is written as the string."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


_OWN = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number")


def _check_depth(tree: Any) -> None:
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadMessage("JL-M022", f"nested deeper than {MAX_DEPTH} levels")
        level = [
            inner
            for node in level
            for inner in (node.values() if isinstance(node, dict) else node)
            if isinstance(inner, dict | list)
        ]


def laid_over(start: Any, made: Any) -> Any:
    """`made` over `start`: objects one into the other, where lists and scalars replace."""
    if not (isinstance(start, Mapping) and isinstance(made, Mapping)):
        return made
    laid = {key: laid_over(start.get(key), value) for key, value in made.items() if value is not None}
    return {**start, **laid}


def compile_path(text: str) -> Path:
    """Raises BadPath. The same language from the root and from an item, so every path is relative."""
    steps, find = _compiled(text)

    def one(node: Any) -> Any:
        found = find(node)
        return found if found or found is False or found == 0 else None

    def many(node: Any) -> list[Any]:
        found = find(node)
        if isinstance(found, list):
            return [item for item in found if item is not None]
        return [] if found is None or found == "" else [found]

    return Path(text, one, many, relative=True, steps=steps)


def items_at(text: str) -> Callable[[Any], list[Any]]:
    """What gives the items of a list, none of them null. Raises BadPath; it raises BadMessage (JL-M090).

    An empty list has no items; where there is no list, nobody knows what was meant.
    """
    if _ONE.search(text):
        raise BadPath(f"{text!r} is one place, not a list", _ONE.sub("[]", text))
    _, find = _compiled(text)

    def items(tree: Any) -> list[Any]:
        found = find(tree)
        if not isinstance(found, list):
            what = "there is no list, and so no item" if found is None else "it is no list"
            raise BadMessage("JL-M090", what, f"${text}")
        return [item for item in found if item is not None]

    return items


def _compiled(text: str) -> tuple[tuple[str | int, ...], Callable[[Any], Any]]:
    """Its steps, where it has nothing but names and indexes, and what finds. Raises BadPath."""
    if text and text[0] not in ".[":
        raise BadPath(
            f"{text!r} is no JSON path; it begins with a dot", f".{text.lstrip('/').replace('/', '.')}"
        )
    if len(text) > MAX_PATH:
        raise BadPath(f"a path of more than {MAX_PATH} characters")
    expression = text.removeprefix(".")
    if expression.startswith("."):
        raise BadPath(f"{text!r} is no JSON path: it begins with one dot", f".{expression.lstrip('.')}")
    steps = _steps(expression) if _PLAIN.fullmatch(expression) else ()
    return steps, _along(steps) if steps else _search(expression)


def names_of(text: str) -> list[str]:
    """The names in a path that has nothing but names and indexes; of any other path none.

    >>> names_of(".rows[0].name"), names_of(".rows[?a=='b']")
    (['rows', 'name'], [])
    """
    expression = text.removeprefix(".")
    return (
        [step for step in _STEP.findall(expression) if step[0] != "["] if _NAMES.fullmatch(expression) else []
    )


def _steps(expression: str) -> tuple[str | int, ...]:
    return tuple(int(step[1:-1]) if step[0] == "[" else step for step in _STEP.findall(expression))


def _along(steps: tuple[str | int, ...]) -> Callable[[Any], Any]:
    """Names and indexes only: what JMESPath gives, without its tree walk."""

    def find(node: Any) -> Any:
        for step in steps:
            if node.__class__ is dict:
                node = node.get(step)
            elif node.__class__ is list and step.__class__ is int and -len(node) <= step < len(node):
                node = node[step]
            else:
                return None
        return node

    return find


def _search(expression: str) -> Callable[[Any], Any]:
    if not expression:
        return lambda node: node
    try:
        search = jmespath.compile(_WORD.sub(_word, expression)).search
    except JMESPathError as error:
        raise BadPath(f"not JMESPath: {' '.join(str(error).split())}") from None

    def find(node: Any) -> Any:
        try:
            return search(node)
        except JMESPathError:  # a function met a value of another type: there is nothing to find
            return None

    return find


def _word(match: re.Match[str]) -> str:
    """JMESPath wants names in other letters than ASCII's in quotes; here `$.bills[].金额` does without."""
    return match[0] if match[1] or match[0].isascii() else f'"{match[0]}"'


registry.format("json")(Json())
