"""What the tests of DICOM share: files, devices of dcmtk and pynetdicom, and doors."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from missing import missing

from endpoints.imaging import library  # noqa: F401 - before any peer of pynetdicom
from schemas.dicom import Dicom

CR = "1.2.840.10008.5.1.4.1.1.1"
NAME = "Zhang^Wei=张^伟"


def picture(pixels: int = 0, **more: Any) -> bytes:
    """A file with so many bytes of pixels."""
    tree = {
        "SOPClassUID": CR,
        "SOPInstanceUID": "1.2.3.4.5",
        "StudyInstanceUID": "1.2.3.4",
        "SpecificCharacterSet": "GB18030",
        "PatientName": NAME,
        "PatientID": "P0001",
        "Modality": "CR",
        **more,
    }
    body = Dicom().encode(tree)
    if pixels:
        body += b"\xe0\x7f\x10\x00OW\0\0" + pixels.to_bytes(4, "little") + bytes(range(256)) * (pixels // 256)
    return body


async def tool(name: str, *args: str) -> tuple[int, str]:
    """Runs one of dcmtk's tools: its exit code, and what it said."""
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")  # pynetdicom has tools of the same names
    if found is None:
        missing(f"needs {name} of dcmtk")
    running = await asyncio.create_subprocess_exec(
        found, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(running.communicate(), 30)
    assert running.returncode is not None
    return running.returncode, said.decode(errors="replace")


def written(folder: Path, body: bytes) -> str:
    path = folder / "image.dcm"
    path.write_bytes(body)
    return str(path)
