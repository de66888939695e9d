"""What a framing is: how a stream of bytes is cut into messages, and how a message is put on it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Frame(NamedTuple):
    """A message; or, with a `fault` (`cut`, `too_large`), what there is of one; or, with `more`, a piece of a large
    one, whose last piece comes as a message does.
    """

    body: bytes
    fault: str = ""
    more: bool = False


class Framer(Protocol):
    """Bytes in, frames out. `stray` counts bytes that were in no frame, since the last frame."""

    @property
    def open(self) -> bool:
        """A frame has begun and not ended."""

    @property
    def hanging(self) -> bool:
        """The last byte may have ended it: `flush` says that nothing more came."""

    @property
    def stray(self) -> int: ...

    def feed(self, data: bytes) -> list[Frame]: ...
    def flush(self) -> list[Frame]: ...
    def rest(self) -> bytes:
        """The beginning of the open frame; b'' when there is none, or it was reported already."""


class Framing(Protocol):
    """One way to frame."""

    def framer(self, max_size: int, piece: int = 0) -> Framer:
        """With a `piece` size, what is longer comes in pieces of about that size."""

    def edges(self, size: int) -> tuple[bytes, bytes]:
        """What stands before and behind a message of `size` bytes."""

    def check(self, piece: bytes, before: bytes = b"") -> None:
        """Raises Refused for what a receiver could take for something else. `before` are the last bytes before."""


def framed(framing: Framing, body: bytes) -> bytes:
    begin, end = framing.edges(len(body))
    return b"%b%b%b" % (begin, body, end)
