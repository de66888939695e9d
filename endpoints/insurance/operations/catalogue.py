"""`insurance.catalogue`: catalogues brought up to date, by a timer say. The answer has a report for each that changed.

A message is `{"codes": ["1301", "1305"]}`, without codes all of 1301–1319; `full` (one code only) reads it all anew,
`faults` is how many rows of a file may be left out, `given` has further fields for the paged ones (`insu_admdvs`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from config.errors import BadMessage, JingluoError, Refused, Unreachable
from endpoints.insurance.catalogue import update
from endpoints.insurance.catalogue_pages import PAGE
from endpoints.insurance.catalogues import Report
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.kinds import KINDS, layout
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only, tables_of, texts, way_of
from schemas.message import Message, Receipt


@operation("catalogue")
async def catalogue(party: Party, message: Message) -> Receipt:
    """One that fails does not hold the others; then Refused (JL-N114) with the report of all."""
    tree = body_of(message, party.options.max_input)
    only(tree, "codes", "full", "faults", "given", "page")
    codes, full = texts(tree, "codes") or list(KINDS), tree.get("full") is True
    if full and len(codes) != 1:
        raise Refused("JL-N115", "full is for one catalogue at a time 全量更新每次一个目录")
    way = way_of(party, faults=_number(tree, "faults", 0))
    centre, reports, failed = PartyCentre(party), list[Report](), dict[str, JingluoError]()
    for code in codes:
        try:
            one = layout(code)
            reports += await update(
                way,
                centre,
                one,
                tables_of(party).folder,
                full=full,
                page=_number(tree, "page", PAGE) or PAGE,
                given=_given(tree),
            )
        except (Refused, BadMessage) as error:
            failed[code] = error
        except Unreachable as error:
            if error.code != "JL-N110":  # somebody else is at this one; the others are not his
                raise
            failed[code] = error
    told = _told(reports, failed)
    if failed:
        text = "; ".join(f"{code}: {error}" for code, error in failed.items())
        raise Refused("JL-N114", text[:2000], answer=receipt("REJECTED", told).answer)
    return receipt("OK", told)


def _told(reports: list[Report], failed: dict[str, JingluoError]) -> dict[str, Any]:
    return {
        "outcome": "REJECTED" if failed else "OK",
        "catalogues": [msgspec.to_builtins(one) for one in reports],
        "failed": [{"kind": kind, "code": e.code, "text": e.text} for kind, e in failed.items()],
    }


def _number(tree: dict[str, Any], name: str, default: int) -> int:
    said = tree.get(name, default)
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said <= 1_000_000:
        raise Refused("JL-N115", f"{name} must be a number")
    return said


def _given(tree: dict[str, Any]) -> dict[str, Any]:
    said = tree.get("given", {})
    if not isinstance(said, dict):
        raise Refused("JL-N115", "given must be an object of fields")
    return said
