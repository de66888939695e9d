"""Large bodies, each in a file of its own: written once while it arrives, sealed, read in pieces.

A message over 1 MB travels through broker and journal as a reference. Its file is whole and on disk before the
message is published. It is sealed in chunks under a key of its own (SM4-GCM), each bound to the file's name, to its
place and to whether it is the last: none can be changed, swapped, repeated or cut off without being found out.

    <folder>/20260105/<name>        the wrapped key, then the chunks
    <folder>/20260105/<name>.part   while it arrives
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from config.crypto import (
    KEY_BYTES,
    OVERHEAD,
    TAG_BYTES,
    WRAPPED_BYTES,
    KeyTrouble,
    Sealer,
    SiteKeys,
    digest,
    site_keys,
)
from config.errors import BadMessage, JingluoError, Unreachable
from config.settings import Settings
from router.envelope import BlobRef
from router.ids import day_at, day_of, new_id, time_ms
from schemas.message import Blob

CHUNK = 262_144  # bytes of a body that are sealed together
_PART = ".part"
_NAME = re.compile("[0-9a-f]{32}")
_WRITERS = 4  # threads: a disk or a share that hangs holds up large bodies only


class NoRoom(JingluoError):
    """JL-L001 (or the broker's JL-B001): a large body cannot be kept now; nothing of it was."""


class BlobGone(Unreachable):
    """JL-L002: a large body's file cannot be read. It may be later: a share that is away, a key not known yet."""


class BlobChanged(BadMessage):
    """JL-L003: a large body's file is not what was written."""


class Blobs:
    """The folder of large bodies; several processes and machines may share it. Made when first written to.

    `free` bytes of the disk are left to others.
    """

    def __init__(
        self,
        folder: Path,
        keys: Callable[[], SiteKeys],
        now_ms: Callable[[], int],
        free: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`keys` is asked once, for the first large body; `wanted` says that what is kept could be published."""
        self.folder = folder
        self.free = free
        self._keys = keys
        self._wanted = wanted
        self._now_ms = now_ms
        self._threads = ThreadPoolExecutor(_WRITERS, "blobs")

    @cached_property
    def keys(self) -> SiteKeys:
        """Raises KeyTrouble."""
        return self._keys()

    def spool(self) -> Spool:
        """A place for a body that arrives. Its name is an id: that of the message it becomes."""
        return Spool(self, new_id(self._now_ms()), self._threads)

    def find(self, ref: BlobRef) -> Kept:
        return Kept(ref, self)

    async def keep(self, name: str, body: bytes) -> Kept:
        """A body that is there as a whole, under the id of its message; once more, it is the file that there is.

        Raises as `Spool.write` does.
        """
        loop = asyncio.get_running_loop()
        if (kept := await loop.run_in_executor(self._threads, self._kept, name)) is not None:
            return kept
        spool = Spool(self, name, self._threads)
        await spool.write(body)
        return await spool.finish()

    def _kept(self, name: str) -> Kept | None:
        """What was kept under this name; of what never ended nothing stays. Blocks."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                file.seek(WRAPPED_BYTES)
                size, chained = 0, b""
                while sealed := file.read(CHUNK + OVERHEAD):
                    size, chained = size + len(sealed) - OVERHEAD, _next(chained, sealed)
        except OSError:
            path.with_name(name + _PART).unlink(missing_ok=True)
            return None
        return Kept(BlobRef(name, size, chained), self)

    def discard(self, name: str) -> None:
        """Removes a body that no message needs, whole or not. Blocks."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        path.with_name(name + _PART).unlink(missing_ok=True)

    def listed(self) -> Iterator[tuple[str, int, bool]]:
        """What lies here: name, since when (Unix ms), and whether it is whole. Blocks."""
        for path in sorted(self.folder.glob("[0-9]*/*")):
            name = path.name.removesuffix(_PART)
            if _NAME.fullmatch(name):
                yield name, time_ms(name), path.name == name

    def forget_days(self, before_ms: int) -> None:
        """Removes the folders of days before that have nothing left. Blocks."""
        for folder in self.folder.glob("[0-9]" * 8):
            if folder.name < day_at(before_ms):
                with contextlib.suppress(OSError):  # there is something
                    folder.rmdir()

    def path(self, name: str) -> Path:
        """Raises BlobChanged for what is no name."""
        if not _NAME.fullmatch(name):
            raise BlobChanged("JL-L003", "a reference to a large body is not one")
        return self.folder / day_of(name) / name

    def check_room(self) -> None:
        """Raises NoRoom, and OSError where there is no folder."""
        if not self._wanted():
            raise NoRoom("JL-B001", "the broker cannot keep messages now")
        if shutil.disk_usage(self.folder).free < self.free:
            raise NoRoom("JL-L001", f"the disk of {self.folder.name}/ has less than {self.free} bytes left")

    def has_room(self) -> bool:
        """Whether a large body would find room. Blocks."""
        try:
            place = next((one for one in (self.folder, *self.folder.parents) if one.exists()), self.folder)
            return shutil.disk_usage(place).free >= self.free
        except OSError:
            return False


class Spool:
    """A large body while it arrives. Ended by `finish`, or by `drop`, which may come at any time."""

    def __init__(self, blobs: Blobs, name: str, threads: ThreadPoolExecutor) -> None:
        self.size = 0
        self._blobs = blobs
        self._name = name
        self._path = blobs.path(name)
        self._threads = threads
        self._held = bytearray()  # not sealed yet
        self._count = 0  # chunks written
        self._digest = b""
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()  # a source may be cancelled while a thread writes
        self._ended = False
        self._key = secrets.token_bytes(KEY_BYTES)
        self._sealer = Sealer(self._key)

    async def write(self, piece: bytes) -> None:
        """Returns when there is room for the next. Raises NoRoom and KeyTrouble; then nothing is left to end."""
        self._held += piece
        self.size += len(piece)
        if len(self._held) > CHUNK:
            await self._in_thread(self._write)

    async def finish(self) -> Kept:
        """The body, on disk. Raises as `write` does."""
        await self._in_thread(self._finish)
        return Kept(BlobRef(self._name, self.size, self._digest), self._blobs)

    async def drop(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._drop)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._guarded, work))

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._ended:
                raise NoRoom("JL-L001", "the large body was given up")
            try:
                work()
            except OSError as error:
                self._remove()
                raise NoRoom("JL-L001", f"a large body cannot be kept: {error.strerror}") from error
            except JingluoError:
                self._remove()
                raise

    def _drop(self) -> None:
        with self._lock:
            if not self._ended:
                self._remove()

    def _write(self) -> None:
        """Seals whole chunks. The last one is held back: it is sealed as the last."""
        while len(self._held) > CHUNK:
            self._put(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]

    def _finish(self) -> None:
        self._write()
        file = self._put(bytes(self._held), last=True)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self._part.rename(self._path)
        for folder in (self._path.parent, self._blobs.folder):
            _sync(folder)
        self._ended = True

    def _put(self, chunk: bytes, *, last: bool) -> BinaryIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._file.write(self._blobs.keys.wrap(self._key))
        self._blobs.check_room()
        sealed = self._sealer.seal(chunk, _context(self._name, self._count, last))
        self._file.write(sealed)
        self._count += 1
        self._digest = _next(self._digest, sealed)
        return self._file

    @property
    def _part(self) -> Path:
        return self._path.with_name(self._name + _PART)

    def _remove(self) -> None:
        self._ended = True
        self._held.clear()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                self._part.unlink()


@dataclass(frozen=True, slots=True)
class Kept:
    """A large body on disk: a `schemas.message.Blob`."""

    ref: BlobRef
    _blobs: Blobs

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def size(self) -> int:
        return self.ref.size

    def pieces(self) -> Iterator[bytes]:
        """Blocks. Raises BlobGone and BlobChanged, also after pieces that were good."""
        try:
            with self._blobs.path(self.name).open("rb") as file:
                yield from self._opened(file)
        except OSError as error:
            raise BlobGone("JL-L002", f"a large body cannot be read: {error.strerror}") from error

    def _opened(self, file: BinaryIO) -> Iterator[bytes]:
        try:
            wrapped = file.read(WRAPPED_BYTES)
            if len(wrapped) < WRAPPED_BYTES:
                raise BlobChanged("JL-L003", "a large body's file is cut")
            sealer = Sealer(self._blobs.keys.unwrap(wrapped))
            chained, count = b"", -(-self.size // CHUNK)
            for number in range(count):
                sealed = file.read(CHUNK + OVERHEAD)
                chained = _next(chained, sealed)
                last = number == count - 1
                if last and chained != self.ref.digest:
                    raise BlobChanged("JL-L003", "a large body's file is another than was written")
                yield sealer.open(sealed, _context(self.name, number, last))
        except KeyTrouble as error:
            if error.code == "JL-K001":  # the site's key may be made known
                raise BlobGone("JL-L002", f"a large body cannot be read: {error.text}") from error
            raise BlobChanged("JL-L003", "a large body's file was changed") from error


def head_of(blob: Blob, size: int) -> bytes:
    """The first bytes, up to `size`. Blocks; raises as `pieces` does."""
    head = bytearray()
    with contextlib.closing(blob.pieces()) as pieces:  # type: ignore[type-var]
        for piece in pieces:
            head += piece
            if len(head) >= size:
                break
    return bytes(head[:size])


def _context(name: str, number: int, last: bool) -> bytes:
    return f"blob {name} {number}{' last' if last else ''}".encode()


def _next(chained: bytes, sealed: bytes) -> bytes:
    return digest(chained + sealed[-TAG_BYTES:])


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_blobs(
    settings: Settings,
    now_ms: Callable[[], int],
    wanted: Callable[[], bool] = lambda: True,
    *,
    make: bool = True,
) -> Blobs:
    """The site's. Will `make` the key's file where there is none: for the engine alone."""
    said = settings.blobs
    keys = partial(site_keys, said.key, said.old_keys, settings.var / "site.key", make=make)
    return Blobs(Path(said.folder), keys, now_ms, said.free, wanted)
