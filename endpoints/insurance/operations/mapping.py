"""`insurance.mapping`: a hospital's items and the national codes they are mapped to (3301, 3302).

A message is `{"do": "report", "items": [{...}]}`, the items as rows of 3301 (a database query makes such); `upload`
sends what is new or changed, with `again` also what was refused before; `withdraw` takes back those named by `ids`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from config.errors import BadMessage, Refused
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.mapping import CODE, STATUS_ZH, TYPE, MappingReport, report
from endpoints.insurance.mapping_list import items_of
from endpoints.insurance.mapping_upload import Done, Uploading
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only, tables_of, texts, way_of
from schemas.message import Message, Receipt

_TOLD = 1_000  # items that an answer lists


@operation("mapping")
async def mapping(party: Party, message: Message) -> Receipt:
    """Refused (JL-N114) where the centre refused items, so that they are seen; the answer names them."""
    tree = body_of(message, party.options.max_input)
    only(tree, "do", "items", "again", "ids")
    tables, do = tables_of(party), str(tree.get("do") or "report")
    if do not in ("report", "upload", "withdraw"):
        raise Refused("JL-N115", f"do is report, upload or withdraw, not {do[:20]!r}")
    uploading = Uploading(way_of(party), PartyCentre(party), tables.mappings, asyncio.to_thread)
    if do == "withdraw":
        kept = await asyncio.to_thread(tables.mappings.all)
        ids = texts(tree, "ids")
        if missing := [one for one in ids if one not in kept or kept[one].became != "uploaded"]:
            raise Refused(
                "JL-N115", f"{len(missing)} of the ids were never uploaded, such as {missing[0][:40]}"
            )
        return _done(await uploading.withdraw([kept[one] for one in ids]))
    found = await asyncio.to_thread(_judged, party, tree.get("items"))
    if do == "report":
        return receipt("OK", {"outcome": "OK", **told(found)})
    return _done(await uploading.upload(found.judged, again=tree.get("again") is True))


def _judged(party: Party, rows: Any) -> MappingReport:
    if not isinstance(rows, list) or not all(isinstance(one, Mapping) for one in rows):
        raise Refused("JL-N115", "items must be a list of objects")
    tables = tables_of(party)
    try:
        return report(items_of(rows), tables, tables.mappings.all())
    except BadMessage as error:
        raise Refused(error.code, error.text) from None


def _done(done: Done) -> Receipt:
    facts: dict[str, Any] = {**msgspec.to_builtins(done), "faults": msgspec.to_builtins(done.faults[:_TOLD])}
    if not done.refused:
        return receipt("OK", {"outcome": "OK", **facts})
    answer = receipt("REJECTED", {"outcome": "REJECTED", **facts})
    raise Refused(
        "JL-N114", f"{done.refused} items were refused by the centre 中心拒绝", answer=answer.answer
    )


def told(found: MappingReport) -> dict[str, Any]:
    """Counts of all, and the items that need somebody."""
    wrong = [
        one for one in found.judged if one.status in ("unmapped", "not found", "ended", "refused", "gone")
    ]
    items = [
        {
            "status": one.status,
            "status_zh": STATUS_ZH[one.status],
            "id": one.item.id,
            "name": one.item.name,
            TYPE: one.item.facts.get(TYPE, ""),
            CODE: one.item.code,
            "text": one.text,
        }
        for one in wrong[:_TOLD]
    ]
    return {"counts": found.counts, "catalogues": found.looked_up, "items": items}
