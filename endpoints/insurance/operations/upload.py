"""`insurance.upload`: a file to the centre (9101). The answer has its file_qury_no.

A message is `{"filename": "list.zip", "rows": [["a", null, 1.5]]}`, of which a zip with one text is made, or with
`content`, the zip itself as Base64.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

import msgspec

from config.errors import Refused
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.files import upload
from endpoints.insurance.lines import written
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only
from endpoints.insurance.zipped import zipped
from schemas.message import Message, Receipt


@operation("upload")
async def upload_file(party: Party, message: Message) -> Receipt:
    tree = body_of(message, party.options.max_input)
    only(tree, "filename", "rows", "content", "signed")
    name = tree.get("filename")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise Refused("JL-N115", "filename must be a text of up to 200 letters")
    made = await upload(PartyCentre(party), name, _content(tree, name), signed=tree.get("signed") is True)
    return receipt("OK", {"outcome": "OK", **msgspec.to_builtins(made)})


def _content(tree: dict[str, Any], name: str) -> bytes:
    rows, content = tree.get("rows"), tree.get("content")
    if isinstance(content, str):
        try:
            return b64decode(content, validate=True)
        except binascii.Error:
            raise Refused("JL-N115", "content is no Base64") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(one, list) for one in rows):
        raise Refused("JL-N115", "rows must be a list of lists; or content the zip as Base64")
    return zipped(name.rpartition(".")[0] + ".txt" if "." in name else name + ".txt", written(rows))
