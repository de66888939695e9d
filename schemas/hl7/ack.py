"""Acknowledgements (HL7 v2.5.1 section 2.9): answering a message, and reading a receiver's answer."""

from __future__ import annotations

import re
from typing import NamedTuple

from config.errors import BadMessage
from schemas.hl7.escapes import STANDARD, escape
from schemas.hl7.message import Hl7Message, decode, decode_text
from schemas.hl7.paths import compile_path

# HL7 table 0357, message error condition codes.
ERRORS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "198": "Non-Conformant Cardinality",
    "199": "Other HL7 Error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application error",
}
_ESC = b"\x1b"  # changes the meaning of the bytes after it (ISO 2022)
_NEGATIVE = ("AE", "AR", "CE", "CR")
_LOCATION = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?")
_HEADER = re.compile(r"MSH([^\w\s])[^\r\n]{0,4000}")
_MSA = re.compile(r"MSA([^\w\s])([^\r\n]{0,4000})")
_ERR_TEXT = [compile_path(text).one for text in ("ERR-8", "ERR-7", "ERR-3.2", "ERR-1.4.2")]


class Ack(NamedTuple):
    """MSA-1, MSA-2 and what the receiver said; all '' where there is no MSA."""

    code: str
    control_id: str
    text: str


def ack(
    message: Hl7Message | bytes,
    code: str,
    *,
    time: str,
    control_id: str,
    text: str = "",
    error_code: str = "",
    location: str = "",
    charset: str = "",
) -> bytes:
    """The answer to a message, also to one that can hardly be read.

    `code` is AA, AE, AR, CA, CE or CR, `time` the text of MSH-7, `control_id` the answer's own MSH-10. From
    v2.5 on a negative answer has an ERR segment: `error_code` of table 0357 (any other goes to ERR-5),
    `location` an HL7 path. `charset` is the channel's, for bytes.
    """
    if isinstance(message, bytes):
        message = _salvaged(message, charset)
    marks = message.marks
    row = message.first("MSH")
    old = [*row, *[""] * (18 - len(row))]  # old[n - 1] is MSH-n
    trigger = [*old[8].split(marks.component), ""][1]
    kind = marks.component.join(["ACK", trigger, "ACK"]) if trigger else "ACK"
    version = old[11] or "2.5"
    header = ["MSH", old[1], *old[4:6], *old[2:4], time, "", kind, escape(control_id, marks), old[10] or "P"]
    header += [version, "", "", "", "", "", old[17]]
    lines = [header, ["MSA", code, old[9], escape(text, marks)]]
    if code in _NEGATIVE and _has_err(version.split(marks.component)[0]):
        lines.append(_err(text, error_code, location, message))
    made = "".join(marks.field.join(line).rstrip(marks.field) + "\r" for line in lines)
    return made.encode(message.codec, "replace")


def _has_err(version: str) -> bool:
    """Before v2.5 ERR was another segment."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal() and len(part) < 4]
    return numbers >= [2, 5]


def _err(text: str, error_code: str, location: str, message: Hl7Message) -> list[str]:
    marks = message.marks
    match = _LOCATION.fullmatch(location)
    place = ""
    if match:
        name, nth, field, rep, comp, sub = match.groups(default="")
        parts = [name, nth or "1", field, rep or ("1" if field else ""), comp, sub]
        place = marks.component.join(parts).rstrip(marks.component)
    known = error_code if error_code in ERRORS else "207"
    condition = marks.component.join([known, ERRORS[known], "HL70357"])
    own = escape(error_code, marks) if error_code not in ERRORS else ""
    return ["ERR", "", place, condition, "E", own, "", "", escape(text, marks)]


def _salvaged(body: bytes, charset: str) -> Hl7Message:
    """The header, whatever else is wrong with the message."""
    try:
        return decode(body, charset)
    except BadMessage:
        text, codec, _ = decode_text(body[:100_000], charset)
    match = _HEADER.search(text)
    header = match[0] if match else ""
    try:
        return decode((header + header[3:4]).encode(codec, "replace"), codec)
    except BadMessage:
        fields = header.split(header[3:4]) if header else []
    row = ["MSH", "^~\\&", *(escape(field.strip()) for field in fields[2:])]
    return Hl7Message("|".join(row), STANDARD, b"", codec)


def read_ack(body: bytes, charset: str = "") -> Ack:
    """What a receiver answered. Never fails; without MSA everything is ''."""
    return _plain_yes(body) or _read_ack(body, charset)


def _plain_yes(body: bytes) -> Ack | None:
    """The usual short yes, without making a tree of it (1 us against 7).

    No charset that begins with a plain MSH has half a character that looks like a CR: only the row must be ASCII.
    """
    if not body.startswith(b"MSH"):
        return None
    mark = body[3:4]
    at = body.find(b"\rMSA" + mark)
    if at < 0:
        return None
    end = body.find(b"\r", at + 1)
    line = body[at + 1 : end if end >= 0 else None]
    if not line.isascii() or _ESC in line:
        return None
    row = line.decode("ascii").strip().split(mark.decode("ascii"))
    if row[1] not in ("AA", "CA") or len(row) < 3 or body[6:7].decode("latin-1") in row[2]:
        return None
    return Ack(row[1], row[2].strip(), "")


def _read_ack(body: bytes, charset: str) -> Ack:
    try:
        tree = decode(body, charset)
    except BadMessage:
        match = _MSA.search(decode_text(body[:100_000], charset).text)
        row = match[0].split(match[1]) if match else []
        code, control_id, text = [*row[1:], "", "", ""][:3]
        return Ack(code.strip().upper(), control_id.strip(), text.strip())
    row = tree.first("MSA")
    code, control_id, text = [*row[1:], "", "", ""][:3]
    said = tree.unescape(text) or next((found for one in _ERR_TEXT if (found := one(tree))), "")
    return Ack(code.strip().upper(), tree.unescape(control_id), said)
