"""An HL7 v2 message, read lazily: decoding finds out that it is one, a field is split when it is read.

The message keeps its bytes, so what nobody touched is written back as it came. Beside them stands the reading
text: segments parted by CR whatever the sender used, a line that begins no segment joined to the one before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from config.errors import BadMessage
from schemas import charsets
from schemas.hl7.escapes import ABSENT, STANDARD, Marks, unescape

MAX_BYTES = 100_000_000
MAX_SEGMENTS = 100_000
MAX_SEGMENT = 50_000_000  # characters: a scanned document in one OBX
MAX_FIELDS = 1_000  # further delimiters of one segment are text of its last field
NULL = '""'  # "delete this value" (HL7 v2.5.1 section 2.5.3): never the same as nothing

_START = b"MSH|^~\\&|"
_WIDE = {b"M\0S\0": "utf-16-le", b"\0M\0S": "utf-16-be"}
_START_TEXT = _START.decode()
_EDGE = "\ufeff \t\r\n\x0b\x1c"  # white space and what an MLLP frame may have left
_FIRST_LINE = re.compile(rb"MSH[^\r\n]{1,4000}")
_LINE_END = re.compile(r"(\r\n|\r|\n)")
_NO_ROW = [""]


class Line(NamedTuple):
    """One segment of the original text: as it is read, as it was written, and what ended it."""

    read: str
    written: str
    end: str


class Hl7Message:
    """A message for readers. Never changed: building makes a new one.

    `source` are its bytes, or the text that was built; `text` is the reading text, `codec` what decoded it,
    `guessed` whether that is not what MSH-18 declares, `hint` the charset that the channel names.
    """

    __slots__ = (
        "_codec", "_lines", "component_mark", "delimiters", "guessed", "hint", "marks", "repetition_mark", "rows",
        "source", "text",
    )  # fmt: skip

    def __init__(
        self,
        text: str,
        marks: Marks,
        source: bytes | str,
        codec: str = "",
        guessed: bool = False,
        hint: str = "",
    ) -> None:
        self.text = text
        self.marks = marks
        # Component, repetition, escape, sub-component; a plain tuple is unpacked in 14 ns, `marks` in 43.
        self.delimiters: tuple[str, ...] = marks[1:5]
        # For maps. None where something is escaped or has sub-components: asked once here, not of every repetition.
        simple = marks is STANDARD and text.find("\\", 8) < 0 and text.find("&", 8) < 0
        self.component_mark = marks[1] if simple else None
        self.repetition_mark = marks[2]
        self.source = source
        self._codec = codec
        self.guessed = guessed
        self.hint = hint
        self.rows: dict[str | int, list[str]] = {}  # segments split so far, by path (`OBX[2]`) or by place
        self._lines: list[str] | None = None

    @property
    def codec(self) -> str:
        """The Python codec of the message. Where all is ASCII, MSH-18 and the channel decide."""
        if not self._codec:
            declared = self.declared
            self._codec = charsets.codec(declared[0] if declared else self.hint) or "utf-8"
        return self._codec

    @property
    def declared(self) -> list[str]:
        """The charsets that MSH-18 names."""
        row = self.first("MSH")
        return row[17].split(self.marks.repetition) if len(row) > 17 and row[17] else []

    @property
    def lines(self) -> list[str]:
        """The segments in order, each as text."""
        if self._lines is None:
            self._lines = self.text.rstrip("\r").split("\r")
        return self._lines

    def first(self, name: str) -> list[str]:
        """The fields of the first segment called `name`, its name at 0; `[""]` when there is none."""
        return self.rows.get(name) or self.find(name, name, 1)

    def find(self, key: str, name: str, nth: int) -> list[str]:
        """The fields of the nth segment (from 1) called `name`, kept in `rows` under `key`."""
        text, field = self.text, self.marks[0]
        head = f"\r{name}{field}"
        start = (
            -1 if name == "MSH" else text.find(head)
        )  # no carriage return precedes the header, which stands once
        for _ in range(1, nth):
            start = text.find(head, start + 1) if start >= 0 else start
        if start < 0 and (nth > 1 or name != "MSH"):
            self.rows[key] = _NO_ROW
            return _NO_ROW
        end = text.find("\r", start + 1)
        row = self.rows[key] = text[start + 1 : end if end >= 0 else None].split(field, MAX_FIELDS)
        return row

    def row(self, place: int) -> list[str]:
        """The fields of the segment at a place, from 0."""
        row = self.rows.get(place)
        if row is None:
            row = self.rows[place] = self.lines[place].split(self.marks.field, MAX_FIELDS)
        return row

    def places(self, name: str, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Where the segments called `name` stand, from place `start` to before `end`."""
        head = name + self.marks.field
        lines = self.lines
        return (at for at in range(start, len(lines) if end is None else end) if lines[at].startswith(head))

    @property
    def original(self) -> str:
        """The whole text as it was written, with a byte order mark if there was one."""
        if isinstance(self.source, str):
            return self.source
        mark, _ = charsets.byte_order_mark(self.source)
        return ("\ufeff" if mark else "") + self.source[len(mark) :].decode(self.codec)

    def unescape(self, text: str) -> str:
        return unescape(text, self.marks, self.codec) if self.marks.escape in text else text


def decode(body: bytes, charset: str = "") -> Hl7Message:
    """Bytes of one message to a tree. `charset` counts where MSH-18 is empty or wrong.

    Raises BadMessage: JL-M001 empty, JL-M002 no MSH, JL-M003 MSH cut or delimiters unusable, JL-M004 a batch
    or several messages, JL-M005 too large, JL-M006 a line that is no segment.
    """
    if len(body) > MAX_BYTES:
        raise BadMessage("JL-M005", f"larger than {MAX_BYTES} bytes")
    if body.isascii() and body.startswith(_START):
        return read(body.decode("ascii"), body, "", False, charset)
    if body.startswith(_START) and _says_utf8(body):
        with contextlib.suppress(UnicodeDecodeError):
            return read(body.decode("utf-8"), body, "utf-8", False, charset)
    text, codec, guessed = decode_text(body, charset)
    return read(text, body, codec, guessed, charset)


def _says_utf8(body: bytes) -> bool:
    """Whether MSH-18 is plainly UTF-8, in which no character hides a delimiter: the usual case, told quickly."""
    fields = body[: body.find(b"\r")].split(b"|", 18)
    return len(fields) > 17 and fields[17] in (b"UNICODE UTF-8", b"UTF-8")


def read(
    text: str, source: bytes | str, codec: str = "", guessed: bool = False, hint: str = ""
) -> Hl7Message:
    """Decoded text to a tree. Raises BadMessage as `decode` does."""
    marks = STANDARD
    if not text.startswith(_START_TEXT):
        text = text.lstrip(_EDGE)
        marks = read_marks(text)
    reading = text
    if "\n" in text:
        reading = text.replace("\r\n", "\r").replace("\n", "\r")
    if _untidy(marks.field).search(reading):
        reading = "\r".join(line.read for line in split_lines(text, marks.field))
    if len(reading) > MAX_SEGMENTS:
        _check_size(reading)
    return Hl7Message(reading, marks, source, codec, guessed, hint)


def _check_size(text: str) -> None:
    if text.count("\r") > MAX_SEGMENTS:
        raise BadMessage("JL-M005", f"more than {MAX_SEGMENTS} segments")
    if len(text) > MAX_SEGMENT and any(len(line) > MAX_SEGMENT for line in text.split("\r")):
        raise BadMessage("JL-M005", f"a segment longer than {MAX_SEGMENT} characters")


@lru_cache(maxsize=64)
def _untidy(field: str) -> re.Pattern[str]:
    """Finds what the quick way cannot read: a line that is no plain segment, or a second message."""
    return re.compile(rf"\r(?!(?!MSH)[A-Z][A-Z0-9]{{2}}{re.escape(field)}|\Z)")


@lru_cache(maxsize=64)
def _heads(field: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What begins a segment, and what looks as if it wanted to."""
    end = rf"(?:{re.escape(field)}|$)"
    return re.compile(rf"[A-Za-z][A-Za-z0-9]{{2}}{end}"), re.compile(rf"[A-Za-z0-9]{{1,8}}{re.escape(field)}")


def split_lines(text: str, field: str) -> list[Line]:
    """The segments of any text. Nothing is lost: `written` and `end` of all, joined, are the text again."""
    head, nearly = _heads(field)
    pieces = _LINE_END.split(text)
    made: list[Line] = []
    lead = ""
    for number, at in enumerate(range(0, len(pieces), 2), 1):
        piece, end = pieces[at], pieces[at + 1] if at + 1 < len(pieces) else ""
        bare = piece.strip(_EDGE)
        if head.match(bare):
            read = bare[:3].upper() + (piece.lstrip(_EDGE)[3:] or field)
            if read.startswith("MSH") and made:
                raise BadMessage(
                    "JL-M004", "a second message begins; unwrap the batch first", f"line {number}"
                )
            made.append(Line(read, lead + piece, end))
            lead = ""
        elif not bare and made:
            made[-1] = made[-1]._replace(end=made[-1].end + piece + end)
        elif not bare:
            lead += piece + end
        elif nearly.match(bare) or not made:
            raise BadMessage("JL-M006", "a segment's name has three letters or digits", f"line {number}")
        else:  # a line of text that the sender broke inside a field
            last = made[-1]
            made[-1] = Line(f"{last.read}\n{piece}", last.written + last.end + piece, end)
    return made


def decode_text(body: bytes, charset: str = "") -> charsets.Decoded:
    """Bytes to text by byte order mark, MSH-18, the channel's word and trial, in this order.

    Decoding comes before splitting: the second byte of a GB18030 character may look like a delimiter.
    """
    if body.startswith(b"MSH"):
        return charsets.decode(body, _declared(body), charset)
    mark, marked = charsets.byte_order_mark(body)
    marked = marked or _WIDE.get(body[:4], "")
    declared = [marked] if marked else _declared(body)
    return charsets.decode(body[len(mark) :], declared, charset)


def _declared(body: bytes) -> list[str]:
    """MSH-18 of undecoded bytes. Chinese before it may look like a delimiter: a second try decodes first."""
    head = _FIRST_LINE.search(body)
    if head is None:
        return []
    for codec in ("latin-1", "gb18030"):
        text = head[0].decode(codec, "replace")
        fields = text.split(text[3:4], 18)
        if len(fields) > 17 and fields[17]:
            if charsets.codec(fields[17]):
                return [fields[17]]
            several = fields[17].split(text[5:6] or "~")
            if any(map(charsets.codec, several)):
                return several
    return []


def read_marks(text: str) -> Marks:
    """MSH-1 and MSH-2 of a message. Raises BadMessage (JL-M001 to JL-M004)."""
    if not text:
        raise BadMessage("JL-M001", "the message is empty")
    if not text.startswith("MSH"):
        if text[:3] in ("FHS", "BHS"):
            raise BadMessage("JL-M004", "a batch, not a message; unwrap it first", text[:3])
        raise BadMessage("JL-M002", "an HL7 v2 message begins with MSH", "line 1")
    field = text[3:4]
    if not field or field.isalnum() or field.isspace():
        raise BadMessage("JL-M003", "no field separator", "MSH-1")
    end = text.find(field, 4)
    given = text[4 : end if end >= 0 else None]
    if end < 0 or "\r" in given or "\n" in given:
        raise BadMessage("JL-M003", "the message header is cut off", "MSH-2")
    return marks_of(field, given)


@lru_cache(maxsize=64)
def marks_of(field: str, given: str) -> Marks:
    r"""The delimiters that MSH-1 and MSH-2 name; what MSH-2 leaves out, the message does not have.

    `^~\\&`, the slip of programs that escape the escape character, is read as what was meant.
    """
    if len(given) == 5 and given[2] == given[3]:
        given = given[:3] + given[4:]
    wrong = len(given) not in range(1, 6) or len({field, *given}) <= len(given)
    if wrong or any(mark.isalnum() or mark.isspace() or not mark.isprintable() for mark in given):
        raise BadMessage("JL-M003", "encoding characters must be one to five different marks", "MSH-2")
    marks = Marks(field, *given, *ABSENT * (5 - len(given)))
    return STANDARD if marks == STANDARD else marks
