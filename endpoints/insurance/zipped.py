"""The files of the platform: one .txt in one .zip, read piece by piece and made the same way.

What comes from outside has limits, and a name in it is only looked at: nothing is written under it.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct

from config.errors import BadMessage

_PIECE = 1 << 20
_TAIL = 22 + 0xFFFF  # the end of a zip's directory, with its longest comment
_DIRECTORY = 1 << 20  # bytes of a zip's directory: one file needs less than a thousandth of it
# All that zipfile raises over bytes that no honest sender sends; IndexError of a file without a name.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    OSError,
    ArithmeticError,
)


class Limits(Struct, frozen=True):
    """Of one file. `times` is how much larger than its zip a text may be: tables of text stay far below it."""

    packed: int = 1_000_000_000  # bytes
    unpacked: int = 10_000_000_000
    times: int = 300
    line: int = 4_000_000  # bytes of one row


LIMITS = Limits()


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Text(Readable, Protocol):
    @property
    def share(self) -> float:
        """How much of it was read, from 0 to 1."""


@contextmanager
def text_of(file: Path | bytes, limits: Limits = LIMITS) -> Iterator[Text]:
    """The text in a zip, or the file itself where it is no zip: hospitals get both by hand.

    Raises BadMessage: JL-N100 it is not one .txt in a zip that can be read, JL-N101 over a limit; also on reading.
    """
    size = len(file) if isinstance(file, bytes) else file.stat().st_size
    if size > limits.packed:
        raise BadMessage("JL-N101", f"the file has {size:,} bytes; the limit is {limits.packed:,}")
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
        if opened.read(2) != b"PK":
            opened.seek(0)
            yield _Bounded(opened, size, limits.unpacked)
            return
        _look_at_directory(opened, size)
        with ExitStack() as stack:  # what its reader raises is not the zip's
            try:
                archive = stack.enter_context(zipfile.ZipFile(opened))
                entry = _only(archive)
                inner = stack.enter_context(archive.open(entry))
            except _BROKEN as error:
                raise BadMessage("JL-N100", f"the zip cannot be read: {_why(error)}") from None
            yield _Bounded(inner, entry.file_size, min(limits.unpacked, _PIECE + size * limits.times))


class _Bounded:
    """Reads no more than so many bytes, and says why where the zip is broken."""

    def __init__(self, inner: Readable, size: int, limit: int) -> None:
        self._inner, self._size, self._limit = inner, size, limit
        self._read = 0

    @property
    def share(self) -> float:
        return min(self._read / self._size, 1.0) if self._size else 1.0

    def read(self, size: int = -1, /) -> bytes:
        try:
            piece = self._inner.read(size)
        except _BROKEN as error:
            raise BadMessage("JL-N100", f"the zip cannot be read: {_why(error)}") from None
        self._read += len(piece)
        if self._read > self._limit:
            raise BadMessage(
                "JL-N101", f"the text is larger than {self._limit:,} bytes, or than a zip of its size holds"
            )
        return piece


def _why(error: Exception) -> str:
    """Without names out of the file."""
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "it is encrypted"
    return type(error).__name__


def _only(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [one for one in archive.infolist() if not one.is_dir()]
    texts = [one for one in files if one.filename.lower().endswith(".txt")]
    if len(files) != 1 or not texts:
        raise BadMessage(
            "JL-N100", f"one .txt in a zip is agreed; here are {len(files)} files, {len(texts)} of them .txt"
        )
    if texts[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadMessage(
            "JL-N100", "the zip is packed in a way that is not agreed: only stored and deflated are"
        )
    return texts[0]


def _look_at_directory(opened: BinaryIO, size: int) -> None:
    """Python reads a zip's directory whole: one of a million names is refused before."""
    opened.seek(max(size - _TAIL, 0))
    tail = opened.read(_TAIL)
    opened.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 20:
        raise BadMessage("JL-N100", "the zip has no end: it came only in part, perhaps")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    large = tail.rfind(b"PK\x06\x06", 0, at)  # of a zip over 4 GB
    if directory == 0xFFFFFFFF and large >= 0:
        directory = int.from_bytes(tail[large + 40 : large + 48], "little")
    if directory > _DIRECTORY:
        raise BadMessage(
            "JL-N101", f"the zip's directory has {directory:,} bytes: it holds far more than one file"
        )


def zipped(name: str, pieces: Iterable[bytes]) -> bytes:
    """A zip with one text `name`, as 9101 takes it: whole in memory, since the message that carries it is."""
    made = io.BytesIO()
    write_zip(made, name, pieces)
    return made.getvalue()


def write_zip(file: BinaryIO | Path, name: str, pieces: Iterable[bytes]) -> None:
    """The same into a file, piece by piece."""
    entry = zipfile.ZipInfo(name)  # always the same bytes: no time in it
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(entry, "w") as inner:
        for piece in pieces:
            inner.write(piece)
