"""The gateway without an engine around it: kind `nhsa` with real records on SQLite, and the centre of the sandbox."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.errors import Refused, Unreachable
from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.settings import HOSPITAL, PHARMACY
from router.store.insurance_records import InsuranceRecords
from schemas.nhsa.profile import profile
from tests.gateway_parts import Gateway, records_at
from tests.insurance.desk import Desk, Told
from tests.insurance.provinces import CENTRES, write_profiles

TRIES = 30  # of what changes nothing, as a channel's retry would


class Institution:
    """A hospital's or a pharmacy's gateway. Meets `Party`."""

    def __init__(self, centre: Centre, records: InsuranceRecords, code: str, **options: Any) -> None:
        self.centre = centre
        self.records = records
        self.gateway = Gateway(centre, records, fixmedins_code=code, **options)

    async def ask(self, infno: str, tree: Any, key: str = "", **fields: str) -> Told:
        """What a channel would come to: what changes nothing is asked again where there was no answer."""
        fields = {"insuplc_admdvs": self._place(tree), **fields}
        return await self.send(infno, {"input": tree, **fields}, key)

    async def send(self, name: str, body: Mapping[str, Any], key: str = "") -> Told:
        """A transaction with its envelope's fields, or an operation."""
        key = key or uuid.uuid4().hex
        for left in reversed(range(TRIES)):
            try:
                said = await self.gateway.send(name, dict(body), key)
                break
            except (Unreachable, Refused) as error:  # a sign-in that is refused: nothing was sent
                if not left or (isinstance(error, Refused) and error.code != "JL-N017"):
                    raise
        names = ("outcome", "msgid", "output", "err_msg")
        return Told(name, *(said.get(one) or "" for one in names), tuple(said.get("warnings") or ()), said)

    def wait(self) -> None:
        """What was on its way, when a gateway died, counts as lost after a while: the clock goes on."""
        self.gateway.later_s += 30

    def _place(self, tree: Any) -> str:
        """Where whom it is about is insured, as 1101 told the HIS."""
        text = str(tree)
        persons = self.centre.persons
        found = next((one for one in persons if one.psn_no in text or one.certno in text), persons[0])
        return found.insuplc_admdvs


@asynccontextmanager
async def desks(site: Path, province: str = "national", **options: Any) -> AsyncIterator[tuple[Desk, Desk]]:
    """A hospital and a pharmacy at one centre that has the province's ways."""
    write_profiles(site)
    centre = Centre(settings=CENTRES[province])
    await centre.start()
    records = records_at(f"sqlite:///{site / 'journal.db'}")
    store = {"store": str(site / "statements")}
    told = {"province": province, "site": str(site), "statement": store, **options}
    parties: list[Institution] = []
    try:
        parties += [Institution(centre, records, code, **told) for code in (HOSPITAL, PHARMACY)]
        of = profile(province, site / "profiles")
        hospital, pharmacy = (Desk(party, centre, of.money, of.discharge) for party in parties)
        yield hospital, pharmacy
    finally:
        for party in parties:
            await party.gateway.stop()
        records.close()
        await centre.stop()
