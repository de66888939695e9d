"""Images to a PACS: C-STORE, an association for each. Pixels go out as they came in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar

from config.errors import BadMessage, Refused
from endpoints.base import Ground, Options
from endpoints.imaging.options import DestinationOptions
from endpoints.imaging.status import CODES, receipt_of
from schemas.message import Message, Receipt


class DicomDestination:
    """A second copy is known by its SOP Instance UID, which is the file's."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = ""
    driver = ("pynetdicom", "dicom")
    streams = False
    codes = CODES

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground

    async def start(self) -> None:
        """What speaks DICOM is here before the first message."""
        from endpoints.imaging import library  # noqa: F401

    async def stop(self) -> None:
        """Nothing stays open."""

    async def send(self, message: Message) -> Receipt:
        return await asyncio.to_thread(self._send, message.body)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        _file(message.body)
        return receipt_of(int(code or "0000", 16))

    def _send(self, body: bytes) -> Receipt:
        from endpoints.imaging.calling import store

        return receipt_of(store(self.options, self.ground.base_dir, _file(body)))


def _file(body: bytes) -> Any:
    """A whole file, pixels too. Raises Refused (JL-E837)."""
    from schemas.imaging.reading import whole

    try:
        dataset = whole(BytesIO(body))
    except BadMessage as error:
        raise Refused("JL-E837", error.text) from None
    if not (dataset.get("SOPClassUID") and dataset.get("SOPInstanceUID")):
        raise Refused("JL-E837", "without SOPClassUID and SOPInstanceUID nothing can be stored")
    return dataset
