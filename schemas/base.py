"""What every format offers: bytes to a tree, a tree to bytes, and paths into the tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class BadPath(ValueError):
    """A path that the format's path language does not have. `nearest` is a path that was perhaps meant."""

    def __init__(self, text: str, nearest: str = "") -> None:
        super().__init__(text)
        self.nearest = nearest


Row = Callable[[Any, Any], list[Any]]  # (node, root) to the items of a row
Parts = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Cell:
    """How a path is read by generated code, without a call for each.

    `row(width, parts)` makes what splits a node into a row: `width` items, one that nobody reads, and for each of
    `parts` (an index and a number) that part of the item. It is the same for all paths of one `key`; the path's
    item stands at `index`, or is `part` of it. What is false there is nothing. `text(item, root)` makes a value,
    or None, of it: not asked where `plain` and the item `isalnum()`; without `text` the item is the value.
    `nodes(item, root)` are the nodes of `many`.

    `bare(item, root)` are the same nodes as plain text, made much quicker, for a body that reads nothing of them
    but by cells with a `bare_row`, which is `row` for these. `mark` names an attribute of the root: the mark that
    parts an item into its bare nodes, or a bare node into the items of its row; None where there is more to it and
    the functions must be asked.
    """

    key: str
    row: Callable[[int, Parts], Row]
    index: int
    text: Callable[[Any, Any], str | None] | None
    plain: bool = False
    part: int = 0
    nodes: Callable[[Any, Any], list[Any]] | None = None
    bare: Callable[[Any, Any], Sequence[str]] | None = None
    bare_row: Callable[[int, Parts], Row] | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    `one(node)` gives the first value as a plain scalar (str, Decimal, int, bool) or, where the format has them,
    dict or list; None when there is nothing (an empty text is nothing). `many(node)` gives every node that
    matches, each usable as the `node` of a relative path. Neither raises on absent data.
    `relative` paths want the node at hand (the item of an `each`), others the root of the message.
    `there(node)` tells, where a scalar does not say it, whether there is something (True, or None): in XML a value
    is text, and an element may hold no more than attributes.
    For generated code there may be `cell`, or `steps`: the keys and indexes that lead to what `one` gives.
    """

    text: str
    one: Callable[[Any], Any]
    many: Callable[[Any], list[Any]]
    relative: bool = False
    cell: Cell | None = None
    steps: tuple[str | int, ...] = ()
    there: Callable[[Any], bool | None] | None = None


def _any(tree: Any) -> None:
    """There is nothing that it must have."""


@dataclass(frozen=True, slots=True)
class Gather:
    """How several messages are written as one. Both raise BadMessage.

    `write(trees, charset)` makes the bytes. `check(tree)` says of one by itself whether it can be among them.
    """

    write: Callable[[list[Any], str], bytes]
    check: Callable[[Any], None] = _any


def one_way(text: str, write: Callable[[list[Any], str], bytes]) -> Gather:
    """Of a format whose messages are gathered in one way. Raises BadPath where another is asked for."""
    if text:
        raise BadPath("messages of this format are gathered in one way")
    return Gather(write)


class Format(Protocol):
    """One format. Registered by `@format("name")` on a class; used as an instance without state.

    A format whose beginning can be read by itself also has `beginning(head)`: of the first bytes of a large body those
    that `decode` can take. One whose paths are as good from any dict, list or scalar as from a part of the message has
    `plain_items = True`. One that reads quicker what it wrote itself has `reread`, which is else as `decode`.

    One whose messages can hold several also has `items(text)`: for a path, what makes of a tree the trees of its items,
    each a message. It raises BadPath for a path that leads to no list; what it makes raises BadMessage (JL-M090) where
    nothing stands there. `items_as` is the format that they are written in, where it is not this one.

    One that needs an extra of the package has `driver = (module, extra)`.

    One of whose messages several can be written as one also has `gathers(text)`: the `Gather`. `text` says how, where
    there is more than one way, else it is ''; BadPath for one that there is not.
    """

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
