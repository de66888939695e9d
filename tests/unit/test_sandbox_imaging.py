"""The example hospital's imaging: what is ordered is done, stored and kept in Chinese, and every image has its book."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from deploy.sandbox import demo
from deploy.sandbox.hospital import Hospital
from deploy.sandbox.pacs import WORKLIST, Modality, image_of
from deploy.sandbox.traffic import plan

CT = "1.2.840.10008.5.1.4.1.1.2"


async def test_the_pacs_has_the_patients_of_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    hospitals: list[Hospital] = []

    def seen(*args: Any) -> Hospital:
        hospitals.append(Hospital(*args))
        return hospitals[-1]

    monkeypatch.setattr(demo, "Hospital", seen)
    assert await demo.run_demo(count=200, seed=3) == 0
    imaging = hospitals[0].imaging
    assert imaging is not None
    ordered = {
        letter.control: letter.text.split("PID|", 1)[1].split("|")[4] for _, letter in plan(200, 3).exams
    }
    wanted = {number: "".join(name.split("^")[:2]) for number, name in ordered.items()}
    assert len(wanted) == 5
    assert {number: name.replace("^", "") for number, name in imaging.pacs.names.items()} == wanted
    assert sorted(imaging.pacs.received) == sorted(imaging.modality.sent.accepted)


def step(number: str = "I1") -> Dataset:
    made, planned = Dataset(), Dataset()
    made.SpecificCharacterSet, made.PatientName, made.PatientID = "GB18030", "欧阳^小明", "P1"
    made.AccessionNumber, made.StudyInstanceUID = number, "2.25.1"
    planned.Modality = "CT"
    made.ScheduledProcedureStepSequence = [planned]
    return made


@pytest.fixture
def busy_engine() -> Iterator[tuple[int, list[str]]]:
    """A worklist of two steps, and a store that has no room for the first image that comes: its port, and what came."""
    came: list[str] = []

    def store(event: Any) -> int:
        came.append(str(event.request.AffectedSOPInstanceUID))
        return 0xA700 if len(came) == 1 else 0x0000

    entity = AE(ae_title="JINGLUO")
    for kind in (WORKLIST, CT):
        entity.add_supported_context(kind, ExplicitVRLittleEndian)
    handlers = [
        (evt.EVT_C_FIND, lambda event: iter([(0xFF00, step("I1")), (0xFF00, step("I2"))])),
        (evt.EVT_C_STORE, store),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield server.server_address[1], came
    server.shutdown()


async def test_an_image_that_was_not_taken_is_sent_again(busy_engine: tuple[int, list[str]]) -> None:
    port, came = busy_engine
    modality, told = Modality(), []
    await modality.work(2, port, lambda: told.append(1))
    first, second = (str(image_of(step(number)).SOPInstanceUID) for number in ("I1", "I2"))
    assert came == [first, second, first]
    assert (modality.found, modality.sent.accepted, len(told)) == (["I1", "I2"], [first, second], 2)
    assert modality.sent.repeated == 1
