"""A hospital's own items and the national codes they are mapped to (目录对照, 3301/3302): what is missing, ended, new.

What was uploaded is remembered item by item, so that a list may be given again and again: only what differs is sent.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from endpoints.insurance.catalogues import Catalogues
from endpoints.insurance.kinds import ITEMS, layout

ID, NAME, TYPE, CODE = "fixmedins_hilist_id", "fixmedins_hilist_name", "list_type", "med_list_codg"

# What became of an upload: done, refused by the centre, withdrawn by 3302, or nobody knows.
Became = Literal["uploaded", "refused", "withdrawn", "unknown"]
Status = Literal[
    "unmapped",  # no code 未对照
    "not found",  # no catalogue has the code 目录中无此编码
    "ended",  # its vali_flag is 0 目录已失效
    "new",  # never uploaded 新增
    "changed",  # other than what was uploaded 变更
    "remapped",  # to another code: the old mapping is withdrawn first 改对照
    "refused",  # as it stands the centre refused it 中心拒绝
    "unknown",  # the last upload got no answer 结果未知
    "same",  # uploaded as it stands 已上传
    "gone",  # uploaded, and no longer in the list 清单中已无
]
STATUS_ZH: Mapping[Status, str] = {
    "unmapped": "未对照",
    "not found": "目录无此编码",
    "ended": "目录已失效",
    "new": "新增",
    "changed": "变更",
    "remapped": "改对照",
    "refused": "中心拒绝",
    "unknown": "结果未知",
    "same": "已上传",
    "gone": "清单中已无",
}
SENT: tuple[Status, ...] = ("new", "changed", "remapped", "unknown")


class Item(Struct, frozen=True):
    """One of the hospital's items: the fields of 3301 by their names, without those that are empty."""

    facts: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.facts.get(ID, "")

    @property
    def name(self) -> str:
        return self.facts.get(NAME, "")

    @property
    def code(self) -> str:
        return self.facts.get(CODE, "")

    @property
    def digest(self) -> str:
        """By which a change is seen: SHA-256 of all fields."""
        told = msgspec.json.encode(sorted(self.facts.items()))
        return hashlib.sha256(told).hexdigest()


class Kept(Struct, frozen=True):
    """What the engine remembers of an item."""

    id: str
    code: str
    list_type: str
    digest: str
    became: Became
    text: str = ""  # the centre's words
    at_ms: int = 0


class Mappings(Protocol):
    """Blocks: call it from a thread."""

    def all(self) -> Mapping[str, Kept]:
        """By id."""

    def keep(self, kept: Sequence[Kept]) -> None:
        """Durable when it returns."""


class Judged(Struct, frozen=True):
    status: Status
    item: Item
    text: str = ""  # why, where somebody said
    before: Kept | None = None


class MappingReport(Struct, frozen=True):
    judged: Sequence[Judged]
    looked_up: bool  # False where no catalogue was imported yet: then codes were not looked for

    @property
    def counts(self) -> dict[Status, int]:
        """In the order of `Status`."""
        found = Counter(one.status for one in self.judged)
        return {status: found[status] for status in STATUS_ZH if found[status]}


def report(items: Sequence[Item], catalogues: Catalogues, kept: Mapping[str, Kept]) -> MappingReport:
    """Each item of the list, in its order, then what was uploaded and is gone from it. Blocks."""
    looked_up = any(catalogues.state(kind).rows for kind in ITEMS)
    valid = _valid(catalogues, {one.code for one in items if one.code}) if looked_up else None
    judged = [_judged(one, valid, kept.get(one.id)) for one in items]
    listed = {one.id for one in items}
    gone = (one for one in kept.values() if one.became == "uploaded" and one.id not in listed)
    judged += [
        Judged("gone", Item({ID: one.id, TYPE: one.list_type, CODE: one.code}), "", one) for one in gone
    ]
    return MappingReport(judged, looked_up)


def _valid(catalogues: Catalogues, codes: set[str]) -> Mapping[str, bool]:
    found: dict[str, bool] = {}
    wanted = sorted(codes)
    for kind in ITEMS:
        for code, valid in catalogues.known(layout(kind), wanted).items():
            found[code] = found.get(code, False) or valid
    return found


def _judged(item: Item, valid: Mapping[str, bool] | None, kept: Kept | None) -> Judged:
    if not item.code:
        return Judged("unmapped", item, "", kept)
    if valid is not None and item.code not in valid:
        return Judged("not found", item, "", kept)
    if valid is not None and not valid[item.code]:
        return Judged("ended", item, "", kept)
    if kept is None or kept.became == "withdrawn":
        return Judged("new", item, "", kept)
    if kept.became == "unknown":
        return Judged("unknown", item, kept.text, kept)
    if kept.became == "uploaded" and (kept.code, kept.list_type) != (item.code, item.facts.get(TYPE, "")):
        return Judged("remapped", item, "", kept)
    if kept.digest != item.digest:
        return Judged("changed" if kept.became == "uploaded" else "new", item, "", kept)
    return Judged("same" if kept.became == "uploaded" else "refused", item, kept.text, kept)


def table(judged: Iterable[Judged]) -> list[list[str]]:
    """For CSV: a head, and a row an item."""
    head = ["status", "状态", ID, NAME, TYPE, CODE, "text"]
    rows = (
        [
            one.status,
            STATUS_ZH[one.status],
            one.item.id,
            one.item.name,
            one.item.facts.get(TYPE, ""),
            one.item.code,
            one.text,
        ]
        for one in judged
    )
    return [head, *rows]
