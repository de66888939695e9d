"""`insurance.dictionaries`: the centre's code lists (1901), and the small tables 1201, 5101 and 5102.

A message is `{}` for all code lists that the interface names, `{"types": ["med_type"]}` for some, or
`{"registers": ["5101", "5102"]}` for the others.
"""

from __future__ import annotations

from typing import Any

import msgspec

from config.errors import Refused
from endpoints.insurance.catalogues import Report
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.registers import DICTIONARIES, REGISTERS, Asked, dictionaries, update_register
from endpoints.insurance.steps import only, texts, way_of
from schemas.message import Message, Receipt
from schemas.nhsa.catalogue import code_list


@operation("dictionaries")
async def update_dictionaries(party: Party, message: Message) -> Receipt:
    tree = body_of(message, party.options.max_input)
    only(tree, "types", "registers", "fixmedins_type")
    types, registers = texts(tree, "types"), texts(tree, "registers")
    refused: list[dict[str, str]] = []
    reports: list[Report] = []
    if unknown := set(registers) - set(REGISTERS):
        raise Refused("JL-N115", f"no register is called {unknown.pop()[:20]!r}: {', '.join(REGISTERS)}")
    for kind in registers or [DICTIONARIES]:
        asked = questions(party, kind, types, str(tree.get("fixmedins_type") or "1"))
        reports.append(
            await update_register(
                way_of(party),
                PartyCentre(party),
                kind,
                asked,
                full=not types,
                told=lambda about, text: refused.append({"type": about, "text": text}),
            )
        )
    told: dict[str, Any] = {"outcome": "OK", "registers": [msgspec.to_builtins(one) for one in reports]}
    return receipt("OK", {**told, "refused": refused})


def questions(party: Party, kind: str, types: list[str], fixmedins_type: str = "1") -> list[Asked]:
    """What an update asks. 1201 is asked about the institution itself."""
    if kind == DICTIONARIES:
        return dictionaries(types, party.options.mdtrtarea_admvs, party.ground.now())
    if kind == "1201":
        us = {
            "fixmedins_type": fixmedins_type,
            "fixmedins_name": "",
            "fixmedins_code": party.system,
        }
        return [Asked(kind, {"medinsinfo": us})]
    if kind == "5102":  # asked by each kind of staff
        return [Asked(one, {"data": {"prac_psn_type": one}}) for one in code_list("prac_psn_type").values]
    return [Asked(kind, {"data": {}})]
