"""The modality worklist: kind `worklist`. What orders say is to be done is kept; `from: {dicom: ...}` answers from it.

A body is a JSON object: `control`, an order's (HL7 table 0119), and `steps`, each an object of DICOM keywords. The
shipped map `order-to-worklist` makes one of ORM O01 and OMI O23.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from config import registry
from config.errors import BadMessage, Refused, Unreachable
from config.units import Seconds
from endpoints.base import Ground, Options
from endpoints.imaging.matching import DATE, STEPS
from endpoints.imaging.options import STORE
from endpoints.imaging.steps import Step, Steps
from schemas.json import Json
from schemas.message import Message, Receipt

# HL7 table 0119: what takes an order off the list.
_CANCELS = {"CA", "OC", "CR", "DC", "OD", "DR"}
_MOST_STEPS = 100


class DestinationOptions(Options):
    """`send: {worklist: {}}`."""

    store: str = Field(
        STORE, description="the file, relative to the site; the dicom source that answers names it too"
    )
    keep: Seconds = Field(7 * 86400.0, gt=0, description="how long a step stays on the list after its day")


@registry.destination("worklist")
class WorklistDestination:
    """The last order of an accession number is what counts: sent twice, it is the same."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = ""
    driver = ("pydicom", "dicom")
    streams = False
    codes = frozenset(("kept", "cancelled"))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._steps = Steps(Path(ground.base_dir, options.store))

    async def start(self) -> None:
        """What knows DICOM's words is here before the first message."""
        from schemas.imaging import library  # noqa: F401

    async def stop(self) -> None:
        """Nothing stays open."""

    async def send(self, message: Message) -> Receipt:
        return await asyncio.to_thread(self._keep, message.body)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        control, _ = _read(message.body)
        return Receipt("cancelled" if control in _CANCELS else "kept")

    def _keep(self, body: bytes) -> Receipt:
        control, steps = _read(body)
        now = self.ground.now()
        try:
            if control in _CANCELS:
                for one in steps:
                    self._steps.cancel(one.accession, "" if one.number == one.accession else one.number)
            else:
                self._steps.replace(sorted({one.accession for one in steps}), steps, now)
            oldest = datetime.fromtimestamp(now, UTC) - timedelta(seconds=self.options.keep)
            self._steps.drop_before(oldest.strftime("%Y%m%d"), oldest.timestamp())
        except OSError as error:
            raise Unreachable("JL-E840", str(error)) from None
        return Receipt("cancelled" if control in _CANCELS else "kept")


def _read(body: bytes) -> tuple[str, list[Step]]:
    """Raises Refused (JL-E839)."""
    try:
        tree = Json().decode(body)
        control, items = (tree.get("control"), tree.get("steps")) if isinstance(tree, dict) else (None, None)
        if not isinstance(control, str) or not isinstance(items, list) or not 0 < len(items) <= _MOST_STEPS:
            raise BadMessage(
                "JL-E839", f"an object with `control` and `steps`, 1 to {_MOST_STEPS} of them, is wanted"
            )
        return control, [_step(item, f"$.steps[{n}]") for n, item in enumerate(items)]
    except BadMessage as error:
        raise Refused("JL-E839", error.text) from None


def _step(item: Any, at: str) -> Step:
    """With what a device must have and an order may lack (PS3.4 table K.6-1). Raises BadMessage."""
    from schemas.imaging.writing import dataset_of

    accession = str(item.get("AccessionNumber") or "") if isinstance(item, dict) else ""
    if not accession:
        raise BadMessage("JL-E839", "a step has an AccessionNumber, by which it is changed and cancelled", at)
    planned = item.get(STEPS) or [{}]
    if not isinstance(planned, list) or len(planned) != 1 or not isinstance(planned[0], dict):
        raise BadMessage("JL-E839", "each of `steps` has one ScheduledProcedureStepSequence item", at)
    number = str(planned[0].get("ScheduledProcedureStepID") or accession)
    tree = {
        "StudyInstanceUID": f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, accession).int}",
        "RequestedProcedureID": accession,
        **{keyword: value for keyword, value in item.items() if value is not None},
        STEPS: [{**planned[0], "ScheduledProcedureStepID": number}],
    }
    dataset_of(tree)
    return Step(accession, number, str(planned[0].get(DATE) or "")[:8], tree)
