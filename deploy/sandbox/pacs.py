"""Imaging: a device that does what the worklist says, and the archive of its images. Needs the extra `dicom`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind as WORKLIST

from deploy.sandbox.books import SentBook
from endpoints.imaging import library  # noqa: F401 - keeps pynetdicom's log quiet

_IMAGES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
}
_SIDE = 32  # pixels
_PATIENCE_S = 20.0
_WAIT_S = 0.2
# What the device asks for, and says again of each image.
_COPIED = (
    "AccessionNumber",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
)


class Modality:
    """`found` are the accession numbers on its worklist, `sent` its book of images by SOP Instance UID."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.sent = SentBook()

    async def work(self, orders: int, port: int, tell: Callable[[], object]) -> None:
        """Asks again and again, until there is an image to so many orders, or that takes too long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE_S
        while (before := len(self.sent.accepted)) < orders and loop.time() < end:
            await asyncio.to_thread(self._round, port)
            for _ in range(len(self.sent.accepted) - before):
                tell()
            await asyncio.sleep(_WAIT_S)

    def _round(self, port: int) -> None:
        """One association: the question, and an image to each step that has none yet. Blocks."""
        entity = AE(ae_title="MODALITY")
        for kind in (WORKLIST, *_IMAGES.values()):
            entity.add_requested_context(kind, ExplicitVRLittleEndian)
        link = entity.associate("127.0.0.1", port, ae_title="JINGLUO")
        if not link.is_established:
            return
        try:
            steps = [found for _, found in link.send_c_find(_question(), WORKLIST) if found is not None]
            self._do(link, steps)
        except RuntimeError:  # the association has ended: the next round is another
            pass
        finally:
            link.release()

    def _do(self, link: Any, steps: Iterable[Dataset]) -> None:
        done = set(self.sent.accepted)
        for step in steps:
            image = image_of(step)
            uid = str(image.SOPInstanceUID)
            if step.AccessionNumber not in self.found:
                self.found.append(str(step.AccessionNumber))
            if uid not in done:
                self.sent.repeated += uid in self.sent.answers
                self.sent.answers[uid] = ""
                said = link.send_c_store(image)
                self.sent.answers[uid] = f"{said.Status:04X}" if "Status" in said else ""


class Pacs:
    """`received` are the SOP Instance UIDs of what was stored, `names` its patients by accession number."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[str] = []
        self.names: dict[str, str] = {}
        self._server: Any = None

    def open(self) -> None:
        entity = AE(ae_title="PACS")
        for kind in _IMAGES.values():
            entity.add_supported_context(kind)
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]

    async def close(self) -> None:
        await asyncio.to_thread(self._server.shutdown)

    def _store(self, event: Any) -> int:
        image = event.dataset
        self.names[str(image.AccessionNumber)] = str(image.PatientName)
        self.received.append(str(image.SOPInstanceUID))
        return 0x0000


class Imaging:
    """Both together. `worklist` is the file in which the engine keeps its list."""

    def __init__(self, worklist: Path) -> None:
        self.modality, self.pacs = Modality(), Pacs()
        self._worklist = worklist

    def environment(self) -> dict[str, str]:
        """What the channels of examinations and images ask for."""
        ports = {"EXAMS_PORT": "0", "IMAGES_PORT": "0", "PACS_PORT": str(self.pacs.port)}
        return {**ports, "WORKLIST": str(self._worklist)}


def image_of(step: Dataset) -> Dataset:
    """A grey square of 2 KB. The same step has always the same image, under the same SOP Instance UID."""
    planned = step.ScheduledProcedureStepSequence[0]
    image = Dataset()
    image.SpecificCharacterSet = step.SpecificCharacterSet
    for keyword in _COPIED:
        setattr(image, keyword, step.get(keyword, ""))
    image.Modality = planned.Modality
    image.SOPClassUID = UID(_IMAGES[planned.Modality])
    image.SOPInstanceUID = UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'image {step.AccessionNumber}').int}")
    image.SeriesInstanceUID = UID(f"{step.StudyInstanceUID}.1"[:64])
    image.Rows = image.Columns = _SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelData = b"".join((n * 64).to_bytes(2, "little") for n in range(_SIDE * _SIDE))
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _question() -> Dataset:
    """All that is to be done, whoever is to do it."""
    question, planned = Dataset(), Dataset()
    question.SpecificCharacterSet = "GB18030"
    for keyword in _COPIED:
        setattr(question, keyword, "")
    planned.Modality = planned.ScheduledProcedureStepID = ""
    question.ScheduledProcedureStepSequence = [planned]
    return question
