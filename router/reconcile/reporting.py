"""What the reports of a day are made of, gathered from the books, and handed out: each export is written down first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from config.errors import Refused
from router.reconcile.books import Item
from router.reconcile.kept import Event, Kept
from router.reconcile.reports import REPORTS, Day, Story, Table
from router.reconcile.written import TYPES, as_csv, as_json, as_xlsx

_ENDED = ("explained", "resolved")


def tables_of(day: Day, name: str) -> list[Table]:
    """All, or the one of that name. Raises Refused (JL-Q037)."""
    if name and name not in REPORTS:
        raise Refused("JL-Q037", f"no report is called {name[:40]!r}: {', '.join(REPORTS)}")
    return [make(day) for one, make in REPORTS.items() if name in ("", one)]


def written(tables: Sequence[Table], form: str) -> tuple[bytes, str]:
    """Bytes and their type. Raises Refused (JL-Q036, JL-Q037)."""
    if form == "xlsx":
        return as_xlsx(tables), TYPES[form]
    if form == "csv":
        if len(tables) != 1:
            raise Refused("JL-Q037", f"CSV is one report: say which, {', '.join(REPORTS)}")
        return as_csv(tables[0]), TYPES[form]
    return as_json(tables), TYPES["json"]


async def stories(kept: Kept, items: Sequence[Item]) -> list[Story]:
    made = []
    for one in items:
        _, events = await kept.item(one.id)
        made.append(_story(one, events))
    return made


def _story(item: Item, events: Sequence[Event]) -> Story:
    found_ms = events[0].at_ms if events else 0
    ends = [one for one in events if one.what in _ENDED]
    if item.state not in ("EXPLAINED", "RESOLVED"):
        return Story(item, found_ms)
    if not ends:  # it explained itself
        return Story(item, found_ms, found_ms)
    said: dict[str, Any] = ends[-1].said
    by = ", ".join(f"{one['who']} {one['office']}" for one in said.get("by", ()))
    return Story(item, found_ms, ends[-1].at_ms, by, str(said.get("reason") or said.get("text") or ""))


async def note(kept: Kept, system: str, day: str, who: str, name: str, form: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    await kept.exported(system, day, {"who": who, "report": name or "all", "form": form, "sha256": digest})
