"""A valid request with one thing wrong in it that its table forbids, and what a refusal must name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from schemas.nhsa.model import Field, Node, Transaction

Tree = dict[str, Any]


def spoiled(of: Transaction, tree: Tree) -> tuple[Any, str]:
    """The first that can be done: a field that must be there is not; a number or a day is none; a text is too long;
    or, where the table has no fields, a text stands where an object must. And the Chinese name to be told."""
    made = copy.deepcopy(tree)
    found = list(_fields(of, made))
    for node, field in found:
        if field.required and not field.status and field.type != "node":
            del node[field.name]
            return made, field.name_zh
    for node, field in found:
        if field.type in ("number", "date", "datetime"):
            node[field.name] = "不是"
            return made, field.name_zh
    for node, field in found:
        if field.type == "text" and 0 < field.length < 10_000:
            node[field.name] = "长" * (field.length + 1)
            return made, field.name_zh
    return "不是", "对象"


def _fields(of: Transaction, tree: Tree) -> Iterator[tuple[Tree, Field]]:
    """Those that stand in the tree, with the object that they stand in."""
    for node in of.input:
        for place in _places(tree, node):
            yield from ((place, field) for field in node.fields if field.name in place)


def _places(tree: Any, node: Node) -> list[Tree]:
    places = [tree]
    for name in node.name.split(".") if node.name else ():
        found = [place.get(name) for place in places if isinstance(place, dict)]
        places = [each for one in found for each in (one if isinstance(one, list) else [one])]
    return [place for place in places if isinstance(place, dict)]
