"""A transaction as XML, for HIS that speak nothing else: the same tree, an element for each name.

What is a list, and what a number, the transaction's own tables say. Names are the interface's: `<data><psn_no>…`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from config.errors import BadMessage
from endpoints.operations import Outlined
from schemas.json import Json
from schemas.nhsa.model import Node
from schemas.xml import Element, Xml, text_within

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,8})?")
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)
_CAPITAL = re.compile(r"[A-Z]")  # TradeCode, HospitalID: the convention's own elements
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_json, _xml = Json(), Xml()
_UNKNOWN = "结果未知，请勿重发，请查询 the outcome is unknown: do not send it again"
_WAITS = "处理中，请勿重发 under way: do not send it again"


class Shape:
    """What of an input are lists, objects and numbers."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.many: dict[str, bool] = {}  # of each node, by its path
        self.numbers: set[str] = set()  # paths of fields
        for node in nodes:
            if node.name:
                self.many[node.name] = node.many
            before = f"{node.name}." if node.name else ""
            self.numbers |= {before + field.name for field in node.fields if field.type == "number"}


def request(document: bytes, name: str, shape: Shape, envelope: Collection[str]) -> bytes:
    """`<Request><TradeCode/>…<insuplc_admdvs/><input><data>…</data></input></Request>` as JSON.

    The element `input` may be left out. Raises BadMessage where it is no XML.
    """
    root = _xml.decode(document)
    whole: dict[str, Any] = {"infno": name}
    inside: list[Element] = []
    for child in _elements(root):
        own = _local(child)
        if own == "input":
            inside += _elements(child)
        elif own in envelope:
            whole[own] = _text(child)
        elif not _CAPITAL.match(own) or own in shape.many:
            inside.append(child)
    if _local(root) in shape.many:  # the node itself, without anything around it
        inside = [root]
    whole["input"] = _members(inside, "", shape)
    return _json.encode(whole)


def plain(document: bytes, known: Collection[str]) -> bytes:
    """The elements of these names as JSON. Raises BadMessage where it is no XML."""
    root = _xml.decode(document)
    return _json.encode({_local(one): _text(one) for one in _elements(root) if _local(one) in known})


def _members(elements: Iterable[Element], at: str, shape: Shape) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for element in elements:
        name = _local(element)
        path = f"{at}.{name}" if at else name
        value = _value(element, path, shape)
        if shape.many.get(path):
            made.setdefault(name, []).append(value)
        elif name not in made:
            made[name] = value
        else:  # what the tables do not know as a list, and comes several times
            made[name] = [*(made[name] if isinstance(made[name], list) else [made[name]]), value]
    return made


def _value(element: Element, path: str, shape: Shape) -> Any:
    inside = list(_elements(element))
    if inside or path in shape.many:
        return _members(inside, path, shape)
    text = _text(element)
    return Decimal(text) if path in shape.numbers and _NUMBER.fullmatch(text) else text


def outlined(answer: bytes) -> Outlined:
    """The engine's answer of the kind `nhsa`. Raises BadMessage where it is none.

    What a probe found out is an answer whatever it is, unless nobody can say.
    """
    tree = _json.decode(answer)
    if not isinstance(tree, dict) or not {"outcome", "verdict"} & set(tree):
        raise BadMessage("JL-M020", "no answer of an insurance centre")
    outcome = str(tree.get("outcome") or ("UNKNOWN" if tree["verdict"] == "CANNOT_SAY" else "OK"))
    words = " ".join(
        filter(None, (_said(tree.get("infcode")), _said(tree.get("err_msg") or tree.get("text"))))
    )
    inside = "".join(part for name, value in tree.items() for part in _written(name, value))
    if outcome == "OK":
        return Outlined("accepted", _said(tree.get("warn_msg")) or "成功 done", inside)
    if outcome == "REJECTED":
        return Outlined("refused", words or "被拒绝 rejected", inside)
    return Outlined("pending", _WAITS if outcome == "PROCESSING" else _UNKNOWN, inside)


def _written(name: str, value: Any) -> Iterator[str]:
    """An object has elements in it, a list comes as often as it has items; a list of lists there is none."""
    if not _NAME.fullmatch(name):
        return
    if isinstance(value, list):
        of = "row" if name == "output" else name  # 5204 answers with a list
        items = "".join(part for item in value for part in _written(of, item))
        yield f"<output>{items}</output>" if name == "output" else items
    elif isinstance(value, dict):
        inside = "".join(part for key, one in value.items() for part in _written(key, one))
        yield f"<{name}>{inside}</{name}>"
    else:
        yield f"<{name}>{escape(_said(value))}</{name}>"


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _UNPRINTABLE.sub("", format(value, "f") if isinstance(value, Decimal) else str(value))


def _elements(element: Element) -> Iterator[Element]:
    return (one for one in element if isinstance(one.tag, str))


def _local(element: Element) -> str:
    return etree.QName(element).localname


def _text(element: Element) -> str:
    return text_within(element).strip()
