"""The gateway and a centre for tests: a party of kind `nhsa` at the sandbox's centre, with records of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.crypto import SiteKeys
from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.settings import AREA, HOSPITAL
from endpoints.base import Ground
from endpoints.insurance.destination import InsuranceDestination
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.party import Party
from endpoints.insurance.records import Exchange
from router.clock import now_ms
from router.store.insurance_records import InsuranceRecords, insurance_records
from schemas.message import Message

Tree = dict[str, Any]
KEYS = SiteKeys(bytes(16))


def records_at(url: str, now: Callable[[], int] = now_ms) -> InsuranceRecords:
    return insurance_records(url, lambda: KEYS, now)


def options_for(url: str, **said: Any) -> PartyOptions:
    """Of the sandbox's hospital."""
    given = {
        "url": url,
        "fixmedins_code": HOSPITAL,
        "fixmedins_name": "示例医院",
        "mdtrtarea_admvs": AREA,
        "recer_sys_code": "MBS",
        "timeout": "60s",
    }
    return PartyOptions.model_validate({**given, **said})


class Gateway:
    """The destination as the router has it, for one patient."""

    def __init__(
        self,
        centre: Centre,
        kept: InsuranceRecords,
        patient: Insured | None = None,
        site: str = ".",
        **said: Any,
    ) -> None:
        self.centre, self.kept = centre, kept
        self.patient = patient or centre.persons[0]
        self.later_s = 0.0  # how far its clock is ahead
        ground = Ground(
            "his.insurance",
            "json",
            base_dir=site,
            now=lambda: now_ms() / 1000 + self.later_s,
            insurance=kept,
        )
        self.destination = InsuranceDestination(options_for(centre.url, **said), ground)

    @property
    def party(self) -> Party:
        return self.destination.party

    async def send(self, name: str, tree: Tree, key: str = "", parent: str = "", **fields: Any) -> Tree:
        """What the caller of a transaction, or of an operation, hears."""
        if "input" not in tree and name[:1].isdigit():
            tree = {"input": tree, "insuplc_admdvs": self.patient.insuplc_admdvs, **fields}
        headers = {"param.code": name}
        body = json.dumps(tree, ensure_ascii=False, default=str).encode()
        told = await self.destination.send(
            Message(body, headers=headers, id=key, format="json", parent=parent)
        )
        made = json.loads(told.answer, parse_float=Decimal)
        assert isinstance(made, dict)
        return made

    async def done(self, name: str, tree: Tree, key: str = "", **fields: Any) -> Any:
        """The output of one that must succeed."""
        told = await self.send(name, tree, key, **fields)
        assert told["outcome"] == "OK", told
        return told["output"]

    async def row(self, msgid: str) -> Exchange:
        found = await self.kept.find(msgid)
        assert found is not None
        return found

    async def stop(self) -> None:
        await self.destination.stop()


@asynccontextmanager
async def gateway(
    folder: Path, person: int = 0, centre: Centre | None = None, **said: Any
) -> AsyncIterator[Gateway]:
    """At a centre of its own, with records in a file of `folder`."""
    at = centre or Centre()
    await at.start()
    kept = records_at(f"sqlite:///{folder}/journal.db")
    made = Gateway(at, kept, at.persons[person], **said)
    try:
        yield made
    finally:
        await made.stop()
        kept.close()
        await at.stop()
