"""A reply of the engine as an HL7 v2 acknowledgement (HL7 v2.5.1 section 2.9)."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Callable

from config.errors import BadMessage
from endpoints.base import HEAD_SIZE
from schemas.hl7.ack import ack
from schemas.hl7.batch import header_of
from schemas.hl7.message import Hl7Message, decode
from schemas.message import Reply

# MSH-15, table 0155: which of accept, error and reject an enhanced sender wants to hear.
_WANTED = {"AL": "AER", "ER": "ER", "SU": "A", "NE": ""}
_BEGINS = re.compile(rb"MSH|FHS|BHS")
_GAP = b"\x02"  # no header has it: a control character
_HEADERS_KEPT = 1000
CODES = frozenset(("AA", "AE", "AR", "CA", "CE", "CR"))  # MSA-1, table 0008
# The family of validation's codes: an error (AE), where what cannot be read at all is rejected (AR).
_CONTENT = "V"
_LETTER = {"accepted": "A", "answered": "A", "pending": "A", "refused": "R", "failed": "E"}


def head(body: bytes) -> bytes:
    """The MSH line of a message, or of a batch its header as such a line: all that an answer needs of it."""
    found = None if body.startswith(b"MSH") else _BEGINS.search(body, 0, 100)
    at = found.start() if found else 0
    line = body[at : at + HEAD_SIZE].partition(b"\r")[0]
    return header_of(line.partition(b"\n")[0])


def _fields(line: bytes) -> list[bytes]:
    """A whole MSH cut at its delimiter: `fields[n - 1]` is MSH-n. [] where a delimiter may be half a character.

    That is so in GB18030 and its like; ASCII and UTF-8 never hide one.
    """
    fields = line.split(line[3:4]) if line.startswith(b"MSH") and line[3:] else []
    if len(fields) < 12:
        return []
    said = fields[17] if len(fields) > 17 else b""
    return fields if line.isascii() or said in (b"UNICODE UTF-8", b"UTF-8") else []


def control_id(body: bytes, charset: str) -> str:
    """MSH-10; '' when the message has none."""
    line = head(body)
    if fields := _fields(line):
        return fields[9].decode("utf-8", "replace").strip()  # the usual header needs no parser
    try:
        row = decode(line, charset).first("MSH")
    except BadMessage:
        return ""
    return row[9].strip() if len(row) > 9 else ""


class Answers:
    """Writes answers, each with a control id of its own. `now` gives Unix seconds."""

    def __init__(self, charset: str, now: Callable[[], float]) -> None:
        self._charset = charset
        self._now = now
        self._prefix = secrets.token_hex(4)  # MSH-10 has room for 20 characters
        self._count = itertools.count(1)
        self._second, self._time = -1, ""
        self._yes: dict[bytes, list[bytes]] = {}  # a header without time and id -> the answer around its gaps

    def write(self, head: bytes, reply: Reply) -> bytes:
        """The answer to the message that begins with `head`; b'' where its sender wants none."""
        if reply.state == "answered" and reply.body:
            return reply.body
        own_id = f"{self._prefix}{next(self._count)}"
        if reply.state == "accepted" and (fields := _fields(head)):
            return self._yes_to(fields, head[3:4], reply, own_id)
        return self._write(head, reply, self._hl7_time(), own_id)

    def _yes_to(self, fields: list[bytes], mark: bytes, reply: Reply, own_id: str) -> bytes:
        """A sender's headers differ in time and id: the answer is made once, then filled in (5 us, not 17)."""
        asked_id, fields[6], fields[9] = fields[9], b"", _GAP
        key = mark.join(fields)
        around = self._yes.get(key)
        if around is None:
            gap = _GAP.decode()
            around = self._write(key, reply, gap, gap).split(_GAP)
            if len(self._yes) < _HEADERS_KEPT:
                self._yes[key] = around
        if len(around) != 4:  # an unusual header, or no answer is wanted
            fields[9] = asked_id
            return self._write(mark.join(fields), reply, self._hl7_time(), own_id)
        filled = (around[0], self._hl7_time().encode(), around[1], own_id.encode(), around[2], asked_id)
        return b"".join((*filled, around[3]))

    def _write(self, head: bytes, reply: Reply, time: str, own_id: str) -> bytes:
        header: Hl7Message | bytes = head
        asked = ""
        try:
            header = decode(head, self._charset)
            row = header.first("MSH")
            asked = row[14].strip().upper() if len(row) > 14 else ""
        except BadMessage:
            pass  # `ack` takes from the bytes what it can
        code = _code(reply, asked)
        if not code:
            return b""
        return ack(
            header,
            code,
            time=time,
            control_id=own_id,
            text=_text(reply),
            error_code=reply.code,
            location=reply.path,
            charset=self._charset,
        )

    def _hl7_time(self) -> str:
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y%m%d%H%M%S%z", time.localtime(second))
        return self._time


def _code(reply: Reply, asked: str) -> str:
    """AA, AE, AR; where MSH-15 (`asked`) makes it the enhanced mode CA, CE, CR; '' where none is wanted."""
    letter = "E" if reply.code[3:4] == _CONTENT else _LETTER[reply.state]
    if not asked:
        return "A" + letter
    return "C" + letter if letter in _WANTED.get(asked, "AER") else ""


def _text(reply: Reply) -> str:
    if reply.state == "pending":
        return f"pending {reply.id}: kept, no answer yet, do not send it again 已收下，尚无结果，请勿重发"
    return f"{reply.code} {reply.text}".strip()
