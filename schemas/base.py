"""What every format offers: bytes to a tree, a tree to bytes, and paths into the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class BadPath(ValueError):
    """A path that the format's path language does not have. `nearest` is a path that was perhaps meant."""

    def __init__(self, text: str, nearest: str = "") -> None:
        super().__init__(text)
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    `one(node)` gives the first value as a plain scalar (str, Decimal, int, bool) or, where the format has them,
    dict or list; None when there is nothing (an empty text is nothing). `many(node)` gives every node that
    matches, each usable as the `node` of a relative path. Neither raises on absent data.
    `relative` paths want the node at hand (the item of an `each`), others the root of the message.
    """

    text: str
    one: Callable[[Any], Any]
    many: Callable[[Any], list[Any]]
    relative: bool = False


class Format(Protocol):
    """One format. Registered by `@format("name")` on a class; used as an instance without state."""

    name: str

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Bytes to a tree. Raises BadMessage with the place; never anything else. Keep it lazy."""

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """A tree to bytes. Raises BadMessage when the tree cannot be written."""

    def path(self, text: str) -> Path:
        """Compiles a path (the part after `$`). Raises BadPath."""

    def build(self, made: Any, start: Any = None) -> Any:
        """What a map's `make` gave (plain dict, list, scalar) as a tree; `start` is a tree to lay it over."""

    def sniff(self, tree: Any) -> str:
        """A short name of the message's kind for the journal: `ADT^A01`, `Bundle`, root element."""
