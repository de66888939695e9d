"""A statement as an integrator writes it: what its parameters are called, and whether anything else could come in.

Values come as parameters only, `:name`. There is no way to make a text into SQL, and what looks like one is refused
before it runs: it would not work, and where it did, it would let in whoever wrote the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from config.registry import nearest

MAX_STATEMENT = 20_000  # characters

_TOKEN = re.compile(
    r"""
    (?P<quoted>'(?:[^']|'')*'|"[^"]*"|`[^`]*`|--[^\n]*|/\*.*?\*/)
  | (?P<cast>::)
  | (?<![:\w\\]):(?P<name>[A-Za-z_]\w*)
  | (?P<strange>%\(\w+\)s|%s|\?|\$\{[^}]*\}|\{\w*\}|\$\d+|\$[./][\w.\[\]/@-]*|\$[A-Z][A-Z0-9]{2}-[\w.\[\]]*)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
# A parameter or a placeholder that stands in quotes: there it is text.
_IN_QUOTES = re.compile(r"'(?:%?:[A-Za-z_]\w*%?|%s|%\(\w+\)s|\$\{[^}]*\}|\{\w+\}|\$[A-Z][A-Z0-9]{2}-[^']*)'")
_BLOCK = re.compile(r"\s*(?:begin|declare)\b", re.IGNORECASE)
_READS = re.compile(r"\s*(?:select|with|values|\()\b", re.IGNORECASE)
_LAST_NAME = re.compile(r"""(?:\bas\s+|\.|^|\s)["`\[]?(\w+)["`\]]?\s*$""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` as SQLAlchemy's `text()` reads it; `names` are its parameters."""

    text: str
    names: frozenset[str]

    @property
    def reads(self) -> bool:
        """Whether it is a query, by its first word."""
        return _READS.match(self.text) is not None


def statement(written: Any) -> Statement:
    """Raises PydanticCustomError (JL-C152), and ValueError where it is none at all.

    >>> sorted(statement("update t set done = 1 where id = :id and at > ':x:'").names)
    ['id']
    """
    if isinstance(written, Statement):
        return written
    if not isinstance(written, str) or not written.strip() or len(written) > MAX_STATEMENT:
        raise ValueError(f"a statement is SQL text of at most {MAX_STATEMENT} characters")
    names, parts, at = set(), [], 0
    sql = written.strip().rstrip(";").rstrip()
    for found in _TOKEN.finditer(sql):
        parts.append(sql[at : found.start()])
        at, token = found.end(), found[0]
        if found["quoted"]:
            if _IN_QUOTES.fullmatch(token):
                raise _unsafe(f"{token} is a text and no parameter", _hint(token))
            token = token.replace(":", "\\:")
        elif found["name"]:
            names.add(found["name"])
        elif found["strange"]:
            raise _unsafe(f"{token} is no parameter", _hint(token))
        elif found["end"] and not _BLOCK.match(sql):
            raise _unsafe(
                "a second statement after `;`", "write one statement, or a procedure of the database"
            )
        parts.append(token)
    parts.append(sql[at:])
    return Statement("".join(parts), frozenset(names))


def columns_of(query: Statement) -> frozenset[str] | None:
    """The columns of a plain `select a, t.b, f(c) as d from ...`; None where only the database knows.

    >>> sorted(columns_of(statement("select a, t.b, max(c, 1) as d from t where x > :after")))
    ['a', 'b', 'd']
    >>> columns_of(statement("select * from t")) is None
    True
    """
    plain = re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", query.text, flags=re.DOTALL)
    head = re.match(r"\s*select\s+(?:distinct\s+|all\s+|top\s*\(?\s*[:\w]+\s*\)?\s+)*", plain, re.IGNORECASE)
    if head is None:
        return None
    names, item, depth = [], "", 0
    for piece in re.findall(r"\bfrom\b|[(),]|[^(),]+?(?=\bfrom\b|[(),]|$)", plain[head.end() :], re.I | re.S):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        ends = piece.lower() == "from"
        if depth == 0 and (piece == "," or ends):
            names.append(_LAST_NAME.search(item.rstrip()))
            item = ""
            if ends:
                return frozenset(n[1].lower() for n in names if n) if all(names) else None
        else:
            item += piece
    return None


def unknown(names: Collection[str], known: Collection[str], what: str) -> PydanticCustomError | None:
    """The error for a parameter that nothing gives (JL-C153). Capitals count for nothing."""
    given = {name.lower() for name in known}
    for name in sorted(names):
        if name.lower() not in given:
            near = nearest(name, known)
            hint = (
                f"did you mean :{near}?" if near else f"known are {', '.join(f':{n}' for n in sorted(known))}"
            )
            return custom("JL-C153", f"nothing gives the parameter :{name} of {what}", hint)
    return None


def custom(code: str, text: str, hint: str = "") -> PydanticCustomError:
    """An error of an option with a code of its own."""
    return PydanticCustomError(code, "{said}", {"said": f"{text}; {hint}" if hint else text})


def _unsafe(text: str, hint: str) -> PydanticCustomError:
    return custom("JL-C152", text, hint)


def _hint(token: str) -> str:
    name = re.sub(r"\W+", "_", token).strip("_").lower()
    name = "id" if not re.match(r"[a-z_]", name) or name == "s" else name
    return f"write :{name}, without quotes"
