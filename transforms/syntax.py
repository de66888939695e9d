"""The text of an expression: cut into its path and its pipes, and a pipe into its words."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.pipes import Argument


def split_pipes(text: str) -> list[str]:
    """Cuts at ` | ` outside quotes. Raises ValueError where a quote stays open.

    >>> split_pipes("$PID-5 | join with=' | ' | upper")
    ['$PID-5', "join with=' | '", 'upper']
    """
    parts, start, quote = [], 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[at - 1] != "\\" else quote
        elif char in "\"'`":
            quote = char
        elif char == "|" and text[at - 1].isspace() and text[at + 1 : at + 2].strip() == "":
            parts.append(text[start:at].strip())
            start = at + 1
    if quote:
        raise ValueError(f"the quote {quote} stays open")
    return [*parts, text[start:].strip()]


def words(text: str) -> Iterator[Argument]:
    """The words of a pipe. Inside quotes a backslash takes the next mark as it is (`\\n` and `\\t` as usual).

    >>> [(w.name, w.text) for w in words('join with=", "')]
    [('', 'join'), ('with', ', ')]
    """
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        name, made, quoted = "", "", False
        while at < len(text) and not text[at].isspace():
            if text[at] in "\"'":
                piece, at = _quoted(text, at)
                made, quoted = made + piece, True
                continue
            if text[at] == "=" and not name and not quoted and made.isidentifier():
                name, made = made, ""
            else:
                made += text[at]
            at += 1
        yield Argument(made, quoted, name)


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, made, at = text[at], "", at + 1
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
            made += {"n": "\n", "t": "\t"}.get(text[at], text[at])
        else:
            made += text[at]
        at += 1
    return made, at + 1
