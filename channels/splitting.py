"""One message as several: `split: $.items[]` and `batch: hl7`. What an item is, the format says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from config.errors import BadMessage, Problem
from config.text import At
from schemas.base import BadPath, Format
from schemas.hl7.batch import holds_several, unwrapped
from transforms.expression import is_expression
from transforms.syntax import split_pipes

MAX_ITEMS = 100_000  # of one message


Parts = tuple[int, Iterator[bytes | BadMessage]]


class Split(Protocol):
    """How a message is divided; `text` says what an item is one of. One that `streams` can do it piece by piece."""

    @property
    def text(self) -> str: ...
    @property
    def streams(self) -> bool: ...

    def parts(self, body: bytes, charset: str) -> Parts:
        """How many items there are, and each as a message, or why it cannot be one. Raises BadMessage."""

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same of a body that comes in pieces, for one that `streams`."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items at a path, `split: $.items[]`. `text` is the path as the channel has it."""

    text: str
    format: Format
    items: Callable[[Any], list[Any]]
    writes: Format  # what an item is written in
    streams: ClassVar[bool] = False

    def parts(self, body: bytes, charset: str) -> Parts:
        """Raises BadMessage where the message cannot be read, has nothing there (JL-M090), or too many (JL-M091)."""
        trees = self.items(self.format.decode(body, charset))
        if len(trees) > MAX_ITEMS:
            raise BadMessage(
                "JL-M091", f"{len(trees)} items, and one message has at most {MAX_ITEMS}", self.text
            )
        return len(trees), map(self._written, trees, [charset] * len(trees))

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        raise AssertionError("a path is found in whole messages")

    def _written(self, tree: Any, charset: str) -> bytes | BadMessage:
        """HL7 v2 says itself what it is written in, and stays so."""
        try:
            return self.writes.encode(tree, "" if self.format.name == "hl7v2" else charset)
        except BadMessage as error:
            return error


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of a batch of HL7 v2, `batch: hl7`, each as its bytes stand."""

    text: ClassVar[str] = "the batch"
    streams: ClassVar[bool] = True

    def holds(self, body: bytes) -> bool:
        """Whether a message is a batch, or several; of a large one the beginning tells."""
        return holds_several(body)

    def parts(self, body: bytes, charset: str) -> Parts:
        messages = list(unwrapped([body]))
        return len(messages), iter(messages)

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Raises BadMessage (JL-M009) where its trailers count otherwise; by then all messages came."""
        return unwrapped(pieces)


def compile_split(text: str, format: Format | None, problems: list[Problem], at: At) -> Items | None:
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
        return Items(path, format, divided(path[1:]), getattr(format, "items_as", format))
    except BadPath as error:
        near = f"did you mean ${error.nearest}?" if error.nearest else ""
        wrong("JL-C101", str(error), near)
        return None
