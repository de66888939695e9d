"""The beginning of an XML payload, read without the rest of it."""

from __future__ import annotations

import contextlib

from lxml import etree

from schemas.xml import Element

HEAD = 8_000  # bytes: headers stand at the beginning


def outline(head: bytes) -> Element | None:
    """The root, with what there is of it in the first bytes (UTF-8); None where that is no XML."""
    parser = etree.XMLPullParser(
        events=("start",), encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False
    )
    with contextlib.suppress(etree.XMLSyntaxError):  # cut in the midst of something: what came before counts
        parser.feed(head[:HEAD])
    for _, element in parser.read_events():
        return element if isinstance(element, Element) else None
    return None


def text_at(root: Element | None, path: str) -> str:
    """The text of the first element at a path such as `{*}TradeCode`; ''."""
    found = root.find(path) if root is not None else None
    return (found.text or "").strip() if found is not None else ""
