"""MLLP framing (release 1): `0x0B` message `0x1C 0x0D`, read tolerantly from pieces of any size.

What comes out depends on the bytes only, not on how the network cut them, but for one case: a `0x1C` that is
the last byte received may end a frame whose sender leaves out the `0x0D`. Then `hanging` is true, and the
caller says by `flush` that nothing more came.
"""

from __future__ import annotations

import re

from config.errors import Refused
from endpoints.base import HEAD_SIZE
from endpoints.wire.framing import Frame

START, END, TAIL = b"\x0b", b"\x1c", b"\r"

_AFTER_END = b"\r\n\x0b"  # a 0x1C followed by anything else is part of the message
_NOISE = b"\r\n\t \0"  # between frames: keep-alives and line ends that nobody need hear of
NEW_MESSAGE = re.compile(rb"\x0b(?=MSH|FHS|BHS)")
_PLAIN = b"\x0bMSH"
LOOKED_AT = 4  # bytes that tell a new message


def framed(body: bytes) -> bytes:
    return b"\x0b%b\x1c\r" % body


class Mllp:
    """The framing as both sides use it."""

    def framer(self, max_size: int, piece: int = 0) -> Framer:
        return Framer(max_size, piece)

    def edges(self, size: int) -> tuple[bytes, bytes]:
        return START, END + TAIL

    def check(self, piece: bytes, before: bytes = b"") -> None:
        """Raises Refused for what a receiver could take for two messages, the second of which nobody sent."""
        if END in piece:
            raise Refused("JL-E115", "the message holds the byte 0x1C, which ends a message in MLLP")
        if (START in piece or START in before) and NEW_MESSAGE.search(before + piece):
            text = "the message holds the byte 0x0B before a header, which begins a message in MLLP"
            raise Refused("JL-E115", text)


class Framer:
    """Bytes in, frames out. `stray` counts bytes that were in no frame, since the last frame.

    With a `piece` size, what is longer comes in pieces of about that size.
    """

    __slots__ = ("_held", "_max_size", "_parts", "_piece", "_size", "hanging", "open", "stray")

    def __init__(self, max_size: int, piece: int = 0) -> None:
        self._max_size = max_size
        self._piece = piece or max_size + 1
        self._parts: list[bytes] = []
        self._held = 0  # bytes in `_parts`
        self._size = 0  # of the whole frame so far
        self.open = False
        self.hanging = False
        self.stray = 0

    def feed(self, data: bytes) -> list[Frame]:
        if self._is_whole(data):
            self.stray = 0
            return [Frame(data[1:-2])]
        frames: list[Frame] = []
        if self.hanging:
            self.hanging = False
            data = END + data
        at = 0
        while at < len(data):
            if not self.open:
                start = data.find(START, at)
                between = data[at:start] if start >= 0 else data[at:]
                if between:
                    self.stray += len(between.translate(None, _NOISE))
                if start < 0:
                    break
                self.open, at = True, start + 1
            end = _end(data, at)
            self.hanging = end == len(data) - 1
            self._keep(data[at:end] if end >= 0 else data[at:], frames)
            if end < 0 or self.hanging:
                break
            self._complete(frames)
            at = end + 1
        return frames

    def flush(self) -> list[Frame]:
        """The frame whose `0x1C` was the last byte that came."""
        frames: list[Frame] = []
        if self.hanging:
            self._complete(frames)
        return frames

    def rest(self) -> bytes:
        """The beginning of the open frame; b'' when there is none, or it was reported already."""
        return b"" if self._size > self._max_size else b"".join(self._parts)[:HEAD_SIZE]

    def _is_whole(self, data: bytes) -> bool:
        """Whether it is one plain frame and nothing else: so messages usually come (1 us, not 3)."""
        return (
            not (self.open or self.hanging)
            and data.startswith(_PLAIN)
            and data.find(END) == len(data) - 2
            and data.endswith(TAIL)
            and data.find(START, 1) < 0
            and len(data) - 3 <= min(self._max_size, self._piece)
        )

    def _keep(self, piece: bytes, frames: list[Frame]) -> None:
        known_too_large = self._size > self._max_size
        self._size += len(piece)
        if known_too_large:
            return
        self._parts.append(piece)
        self._held += len(piece)
        if self._size > self._max_size:
            head = b"".join(self._parts)[: min(HEAD_SIZE, self._max_size)]
            self._parts, self._held = [], 0
            frames.append(Frame(head, "too_large"))
        elif self._held > self._piece:
            self._give_piece(frames)

    def _give_piece(self, frames: list[Frame]) -> None:
        """All that is held but its end, in which a new message could begin."""
        held = b"".join(self._parts)
        *cut, held = NEW_MESSAGE.split(held)
        if cut:
            frames.extend(Frame(piece[:HEAD_SIZE], "cut") for piece in cut)
            self._size = len(held)
        else:
            frames.append(Frame(held[:-LOOKED_AT], more=True))
            held = held[-LOOKED_AT:]
        self._parts, self._held = [held], len(held)

    def _complete(self, frames: list[Frame]) -> None:
        too_large = self._size > self._max_size
        whole = self._size == self._held
        body = b"".join(self._parts)
        self._parts, self._held, self._size, self.stray = [], 0, 0, 0
        self.open = self.hanging = False
        if too_large:
            return  # reported when it became so
        if START in body:
            # Some senders' texts hold vertical tabs; only before a header is it a new frame in an open one.
            *cut, body = NEW_MESSAGE.split(body)
            frames.extend(Frame(piece[:HEAD_SIZE], "cut") for piece in cut)
            whole = whole or bool(cut)
        if not whole or body.strip(_NOISE):  # an empty frame is a keep-alive
            frames.append(Frame(body))


def _end(data: bytes, at: int) -> int:
    """Where the `0x1C` stands that ends the frame, or may do so as the last byte; -1 when there is none."""
    end = data.find(END, at)
    while 0 <= end < len(data) - 1 and data[end + 1] not in _AFTER_END:
        end = data.find(END, end + 1)
    return end
