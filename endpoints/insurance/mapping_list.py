"""The list of a hospital's items as it is given: CSV or TXT with a head, or JSON rows of a database query."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from config.errors import BadMessage
from endpoints.insurance.mapping import CODE, ID, NAME, Item
from schemas.nhsa.catalogue import transaction

MAX_ITEMS = 500_000
MAX_BYTES = 500_000_000
_NULLS = ("", "null", "NULL")


def read_items(content: bytes) -> list[Item]:
    """Columns by the names of 3301, or by their Chinese names; others are passed over. UTF-8 or GB18030.

    Raises BadMessage (JL-N120) with the row: a head without id, name or code, an id that is missing or stands twice.
    """
    if len(content) > MAX_BYTES:
        raise _bad(f"the list has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
    head = content.lstrip()[:1]
    return items_of(_json(content)) if head in (b"[", b"{") else items_of(_delimited(_text(content)))


def items_of(rows: Iterable[Mapping[str, Any]]) -> list[Item]:
    """The same of rows that are read already. Their order stays."""
    names = _names()
    items: list[Item] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        if number > MAX_ITEMS:
            raise _bad(f"more than {MAX_ITEMS:,} items")
        facts = {
            names[key.strip().lower()]: _cell(value)
            for key, value in row.items()
            if key.strip().lower() in names
        }
        if number == 1 and (missing := [one for one in (ID, NAME, CODE) if one not in facts]):
            raise _bad(f"there is no column {', '.join(missing)} 缺少列")
        item = Item({key: value for key, value in facts.items() if value})
        if not item.id:
            raise _bad(f"no {ID} 缺少定点医药机构目录编号", number)
        if item.id in seen:
            raise _bad(f"the {ID} of row {seen[item.id]} stands here again 目录编号重复", number)
        seen[item.id] = number
        items.append(item)
    return items


def _names() -> dict[str, str]:
    """Every spelling of a column, in small letters."""
    (node,) = transaction("3301").input
    found: dict[str, str] = {}
    for field in node.fields:
        for spelling in (field.name, field.name_zh, *field.aliases):
            found[spelling.lower()] = field.name
    return found


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text in _NULLS else text


def _json(content: bytes) -> list[Mapping[str, Any]]:
    try:
        said = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _bad("not JSON that can be read") from None
    if isinstance(said, dict):
        said = said.get("items", said.get("data", [said]))
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise _bad("not a list of objects")
    return said


def _text(content: bytes) -> str:
    for charset in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(charset)
        except UnicodeDecodeError:
            continue
    raise _bad("neither UTF-8 nor GB18030")


def _delimited(text: str) -> Iterable[Mapping[str, Any]]:
    head = text.partition("\n")[0]
    mark = max("\t,;", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, restkey="", restval="")
    try:
        for row in reader:
            yield {key: value for key, value in row.items() if key and isinstance(value, str)}
    except csv.Error as error:
        raise _bad(f"not a table that can be read: {error}", reader.line_num) from None


def _bad(text: str, row: int = 0) -> BadMessage:
    return BadMessage("JL-N120", text, path=f"row {row}" if row else "")
