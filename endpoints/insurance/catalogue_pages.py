"""The paged catalogues: 1304, 1312, 1316–1319. JSON pages since a time (updt_time), each durable before the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from config.errors import JingluoError, Refused
from endpoints.insurance.catalogue_import import Way, again
from endpoints.insurance.catalogues import Layout, Load
from endpoints.insurance.files import Answer, Centre, nothing, settled
from endpoints.insurance.lines import Value

PAGE = 100  # rows: a page_size that every centre takes
SINCE = "2000-01-01"  # an updt_time before all of the platform
MOST_PAGES = 100_000
_MOST_ROWS = 10_000  # of one page
_AGAIN = 2  # times that all pages are read anew, because rows moved between them meanwhile
_MISPRINTS = {"vail_flag": "vali_flag"}  # so in one table of 1304

Thread = Callable[[Callable[[], Any]], Awaitable[Any]]


class Page(NamedTuple):
    rows: Sequence[Mapping[str, Any]]
    total: int  # recordCounts; 0 where the centre does not say
    last: bool


async def read_pages(
    way: Way, centre: Centre, layout: Layout, load: Load, thread: Thread, size: int, given: Mapping[str, Any]
) -> Load:
    """All pages that are not there yet. Raises Unreachable JL-N112 where `way.stop` said so, and as `call` does."""
    before: Sequence[Mapping[str, Any]] = ()
    while True:
        try:
            page = await _page(centre, layout, load, size, given)
            if page.rows and page.rows == before:
                raise Refused(
                    "JL-N113", f"{layout.kind}: the centre answers each page with the same 各页内容相同"
                )
        except JingluoError:
            at = load
            await thread(lambda: way.store.leave(at))  # noqa: B023 it is awaited here
            raise
        before = page.rows
        load = await thread(_adding(way, layout, load, page))
        way.tell(load, min(load.part * size / load.total, 1.0) if load.total else 0.0)
        if page.last or not page.rows:
            if not page.total or page.total == load.total or load.lines >= _AGAIN:
                return load
            load = replace(load, part=0, total=page.total, lines=load.lines + 1)
        elif load.part >= MOST_PAGES:
            raise Refused("JL-N113", f"{layout.kind}: {MOST_PAGES:,} pages, and the centre has ever more")
        if way.stop():
            kept = load
            await thread(lambda: way.store.leave(way.store.turn(layout, kept)))  # noqa: B023
            raise again(layout.kind)


async def _page(centre: Centre, layout: Layout, load: Load, size: int, given: Mapping[str, Any]) -> Page:
    asked = {**given, "updt_time": load.ver or SINCE, "page_num": load.part + 1, "page_size": size}
    answer = await centre.call(layout.kind, {"data": asked})
    if nothing(answer):
        return Page((), 0, True)
    return page_of(settled(answer, layout.kind), load.part + 1, size)


def page_of(answer: Answer, number: int, size: int) -> Page:
    """Where the rows stand, and whether they are the last: centres say it in several ways. Raises Refused JL-N113."""
    said: Any = answer.output
    if isinstance(said, Mapping) and isinstance(said.get("data"), Mapping):
        said = said["data"]
    rows = said.get("data") if isinstance(said, Mapping) else said
    rows = [] if rows is None else rows
    if (
        not isinstance(rows, list)
        or len(rows) > _MOST_ROWS
        or not all(isinstance(one, Mapping) for one in rows)
    ):
        raise Refused("JL-N113", f"page {number}: not a list of up to {_MOST_ROWS:,} rows 应答不是分页数据")
    facts = said if isinstance(said, Mapping) else {}
    pages, total = _number(facts.get("pages")), _number(facts.get("recordCounts"))
    last = facts.get("lastPage") in (True, "true", 1, "1")
    return Page(rows, total, last or (number >= pages if pages else len(rows) < size))


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def _adding(way: Way, layout: Layout, load: Load, page: Page) -> Callable[[], Load]:
    def work() -> Load:
        rows = [values(layout, row) for row in page.rows]
        rid, updated = layout.at("rid"), layout.at("updt_time")
        if any(not row[rid] for row in rows):
            raise Refused(
                "JL-N104", f"{layout.kind}: page {load.part + 1} has a row without a rid 缺少唯一记录号"
            )
        reached = max([load.reached, *(day(row[updated]) for row in rows)])
        total = load.total or page.total
        more = replace(load, part=load.part + 1, rows=load.rows + len(rows), reached=reached, total=total)
        way.store.append(layout, more, rows)
        return more

    return work


def values(layout: Layout, row: Mapping[str, Any]) -> list[Value]:
    """A row of JSON by the layout's columns; what it has more of is kept as JSON behind them."""
    names = _MISPRINTS | dict(layout.aliases)
    facts = {names.get(name.lower(), name.lower()): value for name, value in row.items()}
    found = [_text(facts.pop(name, None)) for name in layout.columns]
    more = {name: value for name, value in facts.items() if value not in (None, "")}
    return [*found, msgspec.json.encode(more).decode()] if more else found


def _text(value: Any) -> Value:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | Decimal):
        return str(value)
    return msgspec.json.encode(value).decode()


def day(value: Value) -> str:
    """yyyy-MM-dd of a time as centres write it: with or without the hour, or Unix milliseconds (China's time); ''."""
    text = value or ""
    if text.isdecimal() and len(text) == 13:
        return (datetime.fromtimestamp(int(text) / 1000, UTC) + timedelta(hours=8)).strftime("%Y-%m-%d")
    return text[:10] if len(text) >= 10 and text[4] == text[7] == "-" else ""
