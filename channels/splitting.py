"""`split: $.items[]`: one message as several. What a path comes to is the format's; here it is put to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from config.errors import BadMessage, Problem
from config.text import At
from schemas.base import BadPath, Format
from transforms.expression import is_expression
from transforms.syntax import split_pipes

MAX_ITEMS = 100_000  # of one message


@dataclass(frozen=True, slots=True)
class Split:
    """How the messages of a destination are divided. `text` is the path as the channel has it."""

    text: str
    format: Format
    items: Callable[[Any], list[Any]]

    def parts(self, body: bytes, charset: str) -> tuple[int, Iterator[bytes | BadMessage]]:
        """How many items there are, and each as a message, or why it cannot be one.

        Raises BadMessage where the message cannot be read, has nothing there (JL-M090), or too many (JL-M091).
        """
        trees = self.items(self.format.decode(body, charset))
        if len(trees) > MAX_ITEMS:
            raise BadMessage(
                "JL-M091", f"{len(trees)} items, and one message has at most {MAX_ITEMS}", self.text
            )
        return len(trees), map(self._written, trees, [charset] * len(trees))

    def _written(self, tree: Any, charset: str) -> bytes | BadMessage:
        """HL7 v2 says itself what it is written in, and stays so."""
        try:
            return self.format.encode(tree, "" if self.format.name == "hl7v2" else charset)
        except BadMessage as error:
            return error


def compile_split(text: str, format: Format | None, problems: list[Problem], at: At) -> Split | None:
    """None where it is wrong, or nobody knows the format."""

    def wrong(code: str, what: str, hint: str = "") -> None:
        problems.append(Problem(at, code, what, hint))

    if not is_expression(text):
        wrong("JL-C100", f"{text!r} is no path; it begins with $", "such as $.items[], $OBR, $//item")
        return None
    try:
        path, *pipes = split_pipes(text)
    except ValueError as error:
        wrong("JL-C100", str(error))
        return None
    if pipes or path.startswith("$@"):
        wrong("JL-C055", "split takes a path into the message, and no pipes", "change the items in a map")
        return None
    if format is None:
        return None
    divided = getattr(format, "items", None)
    if divided is None:
        wrong(
            "JL-C055",
            f"a message of format {format.name} has no items",
            "a map in between makes a list of it",
        )
        return None
    try:
        return Split(path, format, divided(path[1:]))
    except BadPath as error:
        near = f"did you mean ${error.nearest}?" if error.nearest else ""
        wrong("JL-C101", str(error), near)
        return None
