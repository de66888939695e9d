"""Framings of plain TCP protocols: by what ends a message, or by its length before it."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.errors import Refused
from endpoints.base import HEAD_SIZE
from endpoints.wire.framing import Frame

MAX_MARK = 16  # bytes of what begins or ends a message
_NOISE = b"\r\n\t \0"  # between messages: nobody need hear of it
_DIGITS = frozenset(b"0123456789")


def _unescaped(value: Any) -> Any:
    r"""`"\x02"` of a YAML text in single quotes or none says what it says in double quotes."""
    if not isinstance(value, str):
        return value
    made = (
        codecs.decode(value.encode("latin-1", "backslashreplace"), "unicode_escape")
        if "\\" in value
        else value
    )
    if not made.isascii() and any(ord(mark) > 255 for mark in made):
        raise ValueError("bytes are meant: \\x00 to \\xff")
    if len(made) > MAX_MARK:
        raise ValueError(f"{MAX_MARK} bytes at most")
    return made


Mark = Annotated[str, BeforeValidator(_unescaped)]


class FramingText(BaseModel):
    """How messages are told apart: `{end: "\\n"}`, `{begin: "\\x02", end: "\\x03"}`, `{length: 4}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    begin: Mark = Field(
        default="", description="bytes before each message; what comes before them is skipped"
    )
    end: Mark = Field(default="", description=r"bytes behind each message, as `\n`, `\x03`, `\r\n`")
    length: int = Field(
        default=0,
        ge=0,
        le=20,
        description="how many bytes before each message hold its length, without an `end`",
    )
    kind: Literal["big", "little", "digits"] = Field(
        default="big",
        description="a number of 1, 2, 4 or 8 bytes, its high or its low byte first; or decimal digits",
    )
    whole: bool = Field(default=False, description="true: the length counts itself too")

    @model_validator(mode="after")
    def _one_way(self) -> FramingText:
        if bool(self.end) == bool(self.length):
            raise ValueError("either `end` or `length`")
        if self.length and self.begin:
            raise ValueError("`begin` goes with `end`")
        if self.length and self.kind != "digits" and self.length not in (1, 2, 4, 8):
            raise ValueError(f"no number has {self.length} bytes; 1, 2, 4 or 8, or `kind: digits`")
        return self


class _Framer:
    """What both have in common: the bytes that came and are in no frame yet."""

    hanging = False

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._held = bytearray()
        self._lost = False  # the open frame is too large, and said so
        self.stray = 0

    def flush(self) -> list[Frame]:
        return []

    def _too_large(self, frames: list[Frame]) -> None:
        if not self._lost:
            frames.append(Frame(bytes(self._held[: min(self._max_size, HEAD_SIZE)]), "too_large"))
            self._lost = True


class _Ended(_Framer):
    """By what ends a message. A message that is too large is told at once, and the rest of it read away."""

    def __init__(self, max_size: int, begin: bytes, end: bytes) -> None:
        super().__init__(max_size)
        self._begin, self._end = begin, end
        self._looked = 0
        self._inside = not begin

    @property
    def open(self) -> bool:
        return self._lost or (self._inside and bool(self._held))

    def feed(self, data: bytes) -> list[Frame]:
        self._held += data
        frames: list[Frame] = []
        while self._inside or self._begun():
            at = self._held.find(self._end, self._looked)
            if at < 0:
                self._looked = max(len(self._held) - len(self._end) + 1, 0)
                if len(self._held) > self._max_size + len(self._end):
                    self._too_large(frames)
                    del self._held[: self._looked]
                    self._looked = 0
                break
            self._complete(at, frames)
        return frames

    def rest(self) -> bytes:
        return b"" if self._lost or not self._inside else bytes(self._held[:HEAD_SIZE])

    def _begun(self) -> bool:
        """Skips what stands before the next beginning."""
        at = self._held.find(self._begin)
        skipped = at if at >= 0 else max(len(self._held) - len(self._begin) + 1, 0)
        self.stray += len(self._held[:skipped].translate(None, _NOISE))
        del self._held[: skipped + (len(self._begin) if at >= 0 else 0)]
        self._inside, self._looked = at >= 0, 0
        return self._inside

    def _complete(self, at: int, frames: list[Frame]) -> None:
        if at > self._max_size:
            self._too_large(frames)
        if at and not self._lost:  # nothing between two ends is a keep-alive
            frames.append(Frame(bytes(self._held[:at])))
        del self._held[: at + len(self._end)]
        self._looked, self._lost, self._inside, self.stray = 0, False, not self._begin, 0


class _Counted(_Framer):
    """By the length before it. What is no length cannot be recovered from: all that follows is stray.

    Of a message that is too large nothing is kept: it is told before the first byte of it is there.
    """

    def __init__(self, max_size: int, width: int, read: Callable[[bytes], int]) -> None:
        super().__init__(max_size)
        self._width, self._read = width, read
        self._left = 0  # bytes of a message that is too large, to be read away
        self._mad = False

    @property
    def open(self) -> bool:
        return bool(self._held or self._left)

    def feed(self, data: bytes) -> list[Frame]:
        self._held += data
        frames: list[Frame] = []
        while not self._mad and self._skip() and len(self._held) >= self._width:
            size = self._read(bytes(self._held[: self._width]))
            if size < 0:
                self._mad = True
            elif size > self._max_size:
                frames.append(Frame(b"", "too_large"))
                self._left = self._width + size
            elif len(self._held) < self._width + size:
                break
            else:
                body = bytes(self._held[self._width : self._width + size])
                del self._held[: self._width + size]
                frames += [Frame(body)] if body else []
        if self._mad:
            self.stray += len(self._held)
            self._held.clear()
        return frames

    def rest(self) -> bytes:
        return b"" if self._left else bytes(self._held[self._width :][:HEAD_SIZE])

    def _skip(self) -> bool:
        """Reads away; True where all of it is gone."""
        gone = min(self._left, len(self._held))
        del self._held[:gone]
        self._left -= gone
        return not self._left


@dataclass(frozen=True, slots=True)
class Ended:
    """Messages with an end, and perhaps a beginning."""

    begin: bytes
    end: bytes

    def framer(self, max_size: int, piece: int = 0) -> _Ended:
        return _Ended(max_size, self.begin, self.end)

    def edges(self, size: int) -> tuple[bytes, bytes]:
        return self.begin, self.end

    def check(self, piece: bytes, before: bytes = b"") -> None:
        sent = before + piece
        if (sent + self.end).find(self.end) < len(sent):
            raise Refused("JL-E115", f"the message holds {self.end!r}, which ends a message")


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages with their length before them: `width` bytes of `kind`; `own` bytes of it count themselves."""

    width: int
    kind: Literal["big", "little", "digits"]
    own: int

    def framer(self, max_size: int, piece: int = 0) -> _Counted:
        return _Counted(max_size, self.width, self._size)

    def edges(self, size: int) -> tuple[bytes, bytes]:
        """Raises Refused where so large a number has no room."""
        try:
            return self._written(size + self.own), b""
        except OverflowError:
            text = f"the message has {size} bytes, which {self.width} bytes of length cannot say"
            raise Refused("JL-E115", text) from None

    def check(self, piece: bytes, before: bytes = b"") -> None:
        """Any bytes can be counted."""

    def _written(self, number: int) -> bytes:
        if self.kind != "digits":
            return number.to_bytes(self.width, self.kind)
        if len(digits := str(number)) > self.width:
            raise OverflowError(number)
        return digits.zfill(self.width).encode()

    def _size(self, written: bytes) -> int:
        """-1 where it is no length."""
        if self.kind != "digits":
            return max(int.from_bytes(written, self.kind) - self.own, -1)
        digits = written.strip(b" ")
        return max(int(digits) - self.own, -1) if digits and _DIGITS.issuperset(digits) else -1


def framing_of(text: FramingText) -> Ended | Counted:
    """A message is told by its end where there is one."""
    if text.end:
        return Ended(text.begin.encode("latin-1"), text.end.encode("latin-1"))
    return Counted(text.length, text.kind, text.length if text.whole else 0)
