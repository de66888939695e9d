"""What the tables of the interface demand of an input, looked up by hand: a node or a field that must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import Call, Desk, No
from schemas.nhsa.catalogue import transaction


def demand(desk: Desk, call: Call) -> None:
    """Refuses the first that is missing, by its Chinese name."""
    for node in transaction(call.infno).input:
        name = desk.called(call, node.name)
        found = list(_found(call.input, name))
        if not found and node.required and "." not in name:
            raise No(f"输入节点[{name}]不能为空")
        for item in found:
            for field in node.fields:
                if (
                    field.required
                    and not field.status
                    and field.type != "node"
                    and _empty(item.get(field.name))
                ):
                    raise No(f"{field.name_zh or field.name}[{field.name}]不能为空")


def _found(tree: Any, path: str) -> Iterator[Row]:
    """All objects of a node, however deep it stands."""
    if not path:
        yield tree
        return
    head, _, rest = path.partition(".")
    below = tree.get(head)
    for item in below if isinstance(below, list) else [below]:
        if isinstance(item, Mapping):
            yield from _found(item, rest)


def _empty(value: Any) -> bool:
    return value is None or value == ""
