"""Several messages in one: batches (FHS, BHS; HL7 v2.5.1 section 2.10.3), or one after the other."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator

from config.errors import BadMessage
from schemas.hl7.message import decode_text

MAX_MESSAGES = 100_000
# A second byte of GB18030 is never CR or LF, so lines can be found in undecoded bytes.
_START = re.compile(
    rb"(?:\A|(?<=[\r\n]))(?:\xef\xbb\xbf)?[ \t\x0b]{0,100}(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9 ])"
)
_LONGEST_START = 110  # bytes of what `_START` finds


def split_batch(body: bytes) -> list[bytes]:
    """The messages of a batch, each as its bytes stand; headers and trailers of the batch fall away.

    What holds one message comes back as it is, and so does what holds none (`decode` says what is wrong with
    it), except that an empty batch is an empty list. What trailers count is not looked at.
    """
    return list(unwrapped([body], checked=False)) if holds_several(body) else [body]


def holds_several(body: bytes) -> bool:
    """Whether it is a batch, or more than one message. Of a large body the beginning tells."""
    if body.startswith(b"MSH") and not re.search(rb"[\r\n][ \t\x0b]{0,100}(?:MSH|BTS|FTS)", body):
        return False
    starts = _START.finditer(b"".join(_plain([body], _wide(body))))
    first = next(starts, None)
    return first is not None and (first[1] != b"MSH" or next(starts, None) is not None)


def header_of(line: bytes) -> bytes:
    """A batch's header (FHS, BHS) as that of a message, so that it can be answered: FHS-11 is its MSH-10."""
    if line[:3] not in (b"FHS", b"BHS"):
        return line
    mark = line[3:4] or b"|"
    fields = [*line.split(mark), *[b""] * 12]
    return mark.join([b"MSH", *fields[1:8], b"", fields[10], b"P", b"2.5"])


def unwrapped(pieces: Iterable[bytes], *, checked: bool = True) -> Iterator[bytes]:
    """The messages of a batch whose bytes come in `pieces`; no more than one of them is held.

    Raises BadMessage: JL-M005 too many, and where it is `checked` JL-M009 what BTS-1 or FTS-1 count is not there.
    """
    unwrapping = _Unwrapping(checked)
    coming = iter(pieces)
    first = next(coming, b"")
    codec = _wide(first)
    for piece in _plain(itertools.chain([first], coming), codec):
        for message in unwrapping.feed(piece):
            yield message.decode(errors="replace").encode(codec) if codec else message
    for message in unwrapping.end():
        yield message.decode(errors="replace").encode(codec) if codec else message


def _wide(body: bytes) -> str:
    """UTF-16, in which no line can be found, where a body that begins so is written in it; or ''."""
    begins = body[:8]
    codec = decode_text(begins)[1] if b"\0" in begins else ""
    return codec if codec.startswith("utf-16") else ""


def _plain(pieces: Iterable[bytes], codec: str) -> Iterable[bytes]:
    """In an encoding in which lines can be found. A character may be cut by the end of a piece."""
    if not codec:
        return pieces
    decoder = codecs.getincrementaldecoder(codec)("replace")
    return (decoder.decode(piece).lstrip("\ufeff").encode() for piece in pieces)


class _Unwrapping:
    """Cuts at the beginnings of messages, headers and trailers, and counts what trailers count."""

    def __init__(self, checked: bool) -> None:
        self._checked = checked
        self._rest = b""  # from the last beginning on
        self._name = b""
        self._looked = 0  # so far in it
        self._messages = self._in_batch = self._batches = 0

    def feed(self, piece: bytes) -> list[bytes]:
        self._rest += piece
        found = [
            start for start in _START.finditer(self._rest, self._looked) if start.end() < len(self._rest)
        ]
        made: list[bytes] = []
        at = 0
        for start in found:
            if start.start() or self._name:
                made += self._part(self._name, self._rest[at : start.start()])
            at, self._name = start.start(), start[1]
        self._rest = self._rest[at:]
        # What begins at 0 is not to be found again, nor one overlooked that is cut in two.
        self._looked = max(len(self._rest) - _LONGEST_START, 1 if self._name else 0)
        return made

    def end(self) -> list[bytes]:
        return self._part(self._name, self._rest)

    def _part(self, name: bytes, part: bytes) -> list[bytes]:
        if name == b"MSH":
            self._messages += 1
            self._in_batch += 1
            if self._messages > MAX_MESSAGES:
                raise BadMessage("JL-M005", f"more than {MAX_MESSAGES} messages in one batch")
            return [part]
        if name == b"BHS":
            self._batches += 1
            self._in_batch = 0
        elif name == b"BTS":
            self._check(part, "BTS-1", {self._in_batch}, "messages")
        elif name == b"FTS":  # without BHS some count the messages
            self._check(part, "FTS-1", {self._batches} if self._batches else {1, self._messages}, "batches")
        return []

    def _check(self, trailer: bytes, path: str, there: set[int], what: str) -> None:
        line = re.split(rb"[\r\n]", trailer.strip(), maxsplit=1)[0].lstrip(b"\xef\xbb\xbf \t\x0b")
        said = [*line.split(line[3:4] or b"|"), b""][1].strip()
        if self._checked and said.isdigit() and int(said[:9]) not in there:
            text = f"it says {int(said[:9])} {what}, and there are {max(there)}"
            raise BadMessage("JL-M009", text, path)
