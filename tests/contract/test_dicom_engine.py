"""DICOM in an engine: an order becomes a line of the worklist, and the image a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dicom_parts import NAME, picture, tool, written
from engine_parts import field, port, running, send, write_site

from schemas.dicom import Dicom

MODALITIES = """\
channel: modalities
from: {dicom: {port: 0, host: 127.0.0.1, accepts: [store, worklist]}}
format: dicom
index: {patient: $.PatientID, study: $.StudyInstanceUID}
to:
  archive: {send: {file: {folder: out, name: "{id}.dcm"}}}
"""
ORDERS = """\
channel: orders
from: {mllp: {port: 0, host: 127.0.0.1}}
format: hl7v2
to:
  list: {map: order-to-worklist, send: {worklist: {}}}
"""
ORDER = (
    "MSH|^~\\&|HIS|A|RIS|A|20260105080000||ORM^O01|1|P|2.5|||||||UNICODE UTF-8\r"
    "PID|1||P0001^^^HIS^MR||Zhang^Wei~张^伟||19800101|F\r"
    "ORC|NW|O1^HIS\r"
    "OBR|1|O1^HIS||CT01^胸部平扫^L||||||||||||||A0001|||CT01|||CT\r"
).encode()


async def test_an_order_its_question_and_its_image(tmp_path: Path) -> None:
    site = write_site(tmp_path, {"modalities": MODALITIES, "orders": ORDERS})
    async with running(site) as engine, asyncio.timeout(60):
        (answer,) = await send(port(engine, "orders"), ORDER)
        assert field(answer, "MSA", 1) == "AA"
        where = ("-v", "-aec", "JINGLUO", "127.0.0.1", str(port(engine, "modalities")))
        keys = ("-k", "0008,0050", "-k", "(0040,0100)[0].0008,0060=CT")
        while "A0001" not in (await tool("findscu", "-W", *where, *keys))[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        image = written(tmp_path, picture(pixels=1_280_000))
        assert "(Success)" in (await tool("storescu", *where, image))[1]
        while not (files := await asyncio.to_thread(lambda: list((tmp_path / "out").glob("*.dcm")))):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        tree = Dicom().decode(await asyncio.to_thread(files[0].read_bytes))
        assert (tree["PatientName"], tree["PixelData"]["bytes"]) == (NAME, 1_280_012)
