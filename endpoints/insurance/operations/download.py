"""`insurance.download`: a file of the centre's (9102) as rows of texts, up to the party's `max_answer`.

A message is `{"file_qury_no": "...", "filename": "...", "fixmedins_code": "plc"}`; without the last, our own.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from config.errors import BadMessage, Refused
from config.private import make_folder
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.files import FileNumber, download
from endpoints.insurance.lines import rows
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only, tables_of
from endpoints.insurance.zipped import Limits, text_of
from schemas.message import Message, Receipt


@operation("download")
async def download_file(party: Party, message: Message) -> Receipt:
    tree = body_of(message, party.options.max_input)
    only(tree, "file_qury_no", "filename", "fixmedins_code", "dld_endtime")
    said = {name: str(tree.get(name) or "") for name in ("file_qury_no", "filename", "dld_endtime")}
    file = FileNumber(said["file_qury_no"], said["filename"], said["dld_endtime"])
    if not file.number:
        raise Refused("JL-N115", "file_qury_no is missing")
    limits = Limits(packed=party.options.max_answer, unpacked=party.options.max_answer)
    folder = tables_of(party).folder
    await asyncio.to_thread(make_folder, folder)
    with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as place:
        to, owner = Path(place) / "file.zip", str(tree.get("fixmedins_code") or "")
        await download(PartyCentre(party), file, to, party.ground.now(), owner=owner, limits=limits)
        try:
            found = await asyncio.to_thread(_rows, to, limits)
        except BadMessage as error:
            raise Refused(error.code, error.text) from None
    return receipt("OK", {"outcome": "OK", "filename": file.name, "rows": found})


def _rows(file: Path, limits: Limits) -> list[Any]:
    with text_of(file, limits) as text:
        return [row.values for row in rows(text, 1, limits=limits)]
