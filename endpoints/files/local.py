"""A folder of this machine's: a disk, or a share that is mounted here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import structlog

from endpoints.files.folder import PIECE, Choose, Entry, Folder
from endpoints.files.watcher import KEPT_APART

log = structlog.get_logger()
T = TypeVar("T")

_WRITTEN = 4_000_000  # bytes that are written in one go


class LocalFolder(Folder):
    """Everything is done in threads, for a share may take long to answer; one that hangs is left alone until it does.

    Nothing is told by the system when a file comes (inotify is silent on network shares): one looks.
    """

    def __init__(
        self, root: Path, place: str, name: str, mount: str, names: str, timeout_s: float, claims: bool
    ) -> None:
        """`name` is for the log. With `mount`, that must be mounted; `timeout_s` for each thing that is asked."""
        self.place = place
        self.claims = claims
        self._root = os.fsencode(root)
        self._name = name
        self._mount = mount
        self._names = names
        self._timeout_s = timeout_s
        self._locks = not claims
        self._turn: int | None = None  # the folder, open and locked, while this process takes from it
        self._hangs: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        await self._do(self._make_folders)

    def _make_folders(self) -> None:
        self._is_mounted()
        for name in KEPT_APART:
            os.makedirs(self._path(name), exist_ok=True)

    async def turn(self) -> bool:
        return await self._do(self._has_turn)

    def _has_turn(self) -> bool:
        """One process at a time takes from a folder; another takes over when it ends, however it ends."""
        self._is_mounted()
        if self._locks and self._turn is None:
            turn = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(turn)
                return False
            except OSError as error:  # some network file systems
                log.warning("file.folder_not_locked", channel=self._name, reason=error.strerror)
                self._locks, self.claims = False, True
                os.close(turn)
                return True
            self._turn = turn
        return True

    async def close(self) -> None:
        if self._turn is not None:
            turn, self._turn = self._turn, None
            os.close(turn)

    async def look(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        return await self._do(self._scan, sub, choose)

    def _scan(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        folders: list[str] = []
        above = f"{sub}/" if sub else ""

        def names(entries: Iterable[os.DirEntry[bytes]]) -> Iterator[str]:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield self._text(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(self._text(entry.name))

        with os.scandir(self._path(sub)) as entries:
            chosen = choose(names(entries))
        found = []
        for name in chosen:
            with contextlib.suppress(FileNotFoundError):
                facts = os.stat(self._path(above + name), follow_symlinks=False)
                # A file that is moved away and back is another: its last rename was later.
                tag = "" if self.claims else str(facts.st_ctime_ns)
                found.append(Entry(above + name, facts.st_size, facts.st_mtime_ns, tag))
        return found, folders

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        file, piece = await self._do(self._begin, entry.at)
        try:
            yield piece
            while len(piece) == PIECE and (piece := await self._do(file.read, PIECE)):
                yield piece
        finally:
            if not self._hanging:  # it would wait for the one that hangs
                file.close()

    def _begin(self, name: str) -> tuple[BinaryIO, bytes]:
        file = os.fdopen(_no_link(self._path(name), os.O_RDONLY), "rb")
        try:
            return file, file.read(PIECE)
        except BaseException:
            file.close()
            raise

    async def write(self, name: str, body: Iterable[bytes], aside: str, over: bool) -> None:
        """A power cut loses none that was reported as written."""
        steps = self._write(self._path(name), iter(body), self._path(aside), over)
        while await self._do(next, steps, False):
            pass

    def _write(self, path: bytes, body: Iterator[bytes], aside: bytes, over: bool) -> Iterator[bool]:
        self._is_mounted()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)  # of an earlier try; and it may be a link by now
        try:
            with os.fdopen(_no_link(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                written = 0
                for piece in body:
                    written += file.write(piece)
                    if written >= _WRITTEN:
                        written = 0
                        yield True
                file.flush()
                os.fsync(file.fileno())
            if over:
                os.replace(aside, path)
            else:
                _publish(aside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
        _sync_folder(os.path.dirname(path))

    async def has(self, name: str) -> bool:
        return await self._do(os.path.lexists, self._path(name))

    async def move(self, name: str, to: str) -> None:
        await self._do(self._move, self._path(name), self._path(to), to.count("/") > 1)

    def _move(self, path: bytes, to: bytes, deep: bool) -> None:
        if deep:  # done/ itself is made when the source opens; made anew, it could be on another disk
            os.makedirs(os.path.dirname(to), exist_ok=True)
        if os.path.lexists(to):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(path, to)

    async def remove(self, name: str) -> None:
        await self._do(os.unlink, self._path(name))

    def _path(self, name: str) -> bytes:
        return os.path.join(self._root, name.encode(self._names, "surrogateescape")) if name else self._root

    def _text(self, name: bytes) -> str:
        return name.decode(self._names, "surrogateescape")

    def _is_mounted(self) -> None:
        """Where a share is away, its place is an empty folder of this machine's."""
        if self._mount and not os.path.ismount(self._mount):
            raise OSError(errno.ENODEV, f"{self._mount} is not mounted")

    @property
    def _hanging(self) -> bool:
        return self._hangs is not None and not self._hangs.done()

    async def _do(self, work: Callable[..., T], *given: Any) -> T:
        """In a thread, for so long. While an earlier one hangs, no further thread is given away."""
        if self._hanging:
            raise TimeoutError(errno.ETIMEDOUT, "the folder does not answer")
        doing = asyncio.ensure_future(asyncio.to_thread(work, *given))
        done, _ = await asyncio.wait((doing,), timeout=self._timeout_s)
        if not done:
            self._hangs = doing
            doing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise TimeoutError(errno.ETIMEDOUT, "the folder does not answer")
        return doing.result()


def _no_link(path: bytes, flags: int) -> int:
    """Who may put files here may not have ours read or written by a link that came since we looked, nor hold us up."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def _publish(aside: bytes, path: bytes) -> None:
    """Not over a file that is there. Where the file system has hard links, two at once cannot both do it."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(aside, path)
    else:
        os.unlink(aside)


def _sync_folder(folder: bytes) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
