"""A folder behind FTP or FTPS. ftplib blocks: its sessions work in threads, one thing at a time on each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ftplib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from config.tls import client_context
from endpoints.files.folder import Away, Choose, Entry, Folder
from endpoints.files.ftp_session import Session, answered, code_of
from endpoints.files.servers import FtpServer

T = TypeVar("T")
_IDLE_S = 20.0  # a session that was not used for so long is asked whether it is there


class FtpFolder(Folder):
    """A few sessions, made when they are needed and used again."""

    def __init__(self, server: FtpServer, site: Path, place: str) -> None:
        self.place = place
        self._server = server
        self._site = site
        self._room = asyncio.Semaphore(server.connections)
        self._idle: list[Session] = []
        self._context: ssl.SSLContext | None = None

    async def look(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        above = f"{sub}/" if sub else ""

        def work(session: Session) -> tuple[list[Entry], list[str]]:
            files: dict[str, Entry] = {}
            folders: list[str] = []
            for one in session.listed(self._path(sub)):
                name = self._text(one.name)
                if one.kind == "dir":
                    folders.append(name)
                else:
                    files[name] = Entry(above + name, one.size, one.changed_ns)
            return [files[name] for name in choose(files)], folders

        return await self._do(work)

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        async with self._room:
            session = await asyncio.to_thread(self._session)
            pieces = session.fetched(self._path(entry.at))
            try:
                while (piece := await asyncio.to_thread(_next, pieces)) is not None:
                    yield piece
            except PermissionError:
                if not await asyncio.to_thread(self._has, session, entry.at):
                    raise FileNotFoundError(errno.ENOENT, "no such file") from None
                raise
            except Away:
                session.torn = True  # an answer that comes late would be taken for that to another question
                raise
            finally:
                with contextlib.suppress(ValueError):  # cancelled while it is read in its thread
                    pieces.close()
                self._give_back(session)

    async def write(self, name: str, body: Iterable[bytes], aside: str, over: bool) -> None:
        path, part = self._path(name), self._path(aside)

        def work(session: Session) -> None:
            try:
                session.stored(part, iter(body))
            except ftplib.error_perm as error:
                if session.torn or code_of(error) not in ("550", "553"):
                    raise
                self._make_above(session, name)  # nothing of the body has been read
                session.stored(part, iter(body))
            if not over and self._has(session, name):
                raise FileExistsError(errno.EEXIST, "there is one already")
            with answered(maybe_done=True):
                self._publish(session, part, path)

        try:
            await self._do(work)
        except Away:
            raise
        except Exception:
            with contextlib.suppress(OSError):
                await self.remove(aside)
            raise

    def _publish(self, session: Session, part: str, path: str) -> None:
        try:
            session.rename(part, path)
        except ftplib.error_perm:  # a server that does not rename over a file
            session.delete(path)
            session.rename(part, path)

    async def has(self, name: str) -> bool:
        return await self._do(lambda session: self._has(session, name))

    def _has(self, session: Session, name: str) -> bool:
        return session.size_of(self._path(name)) is not None

    async def move(self, name: str, to: str) -> None:
        def work(session: Session) -> None:
            if self._has(session, to):
                raise FileExistsError(errno.EEXIST, "there is one already")
            try:
                session.rename(self._path(name), self._path(to))
            except ftplib.error_perm:
                if not self._has(session, name):
                    raise FileNotFoundError(errno.ENOENT, "no such file") from None
                self._make_above(session, to)
                session.rename(self._path(name), self._path(to))

        await self._do(work)

    def _make_above(self, session: Session, name: str) -> None:
        parts = name.split("/")[:-1]
        for number in range(len(parts) + 1):
            with contextlib.suppress(ftplib.error_perm):  # it is there
                session.mkd(self._path("/".join(parts[:number])))

    async def remove(self, name: str) -> None:
        await self._do(lambda session: session.delete(self._path(name)))

    async def close(self) -> None:
        sessions, self._idle = self._idle, []
        for session in sessions:
            await asyncio.to_thread(_goodbye, session)

    # Sessions

    async def _do(self, work: Callable[[Session], T]) -> T:
        async with self._room:
            return await asyncio.to_thread(self._work, work)

    def _work(self, work: Callable[[Session], T]) -> T:
        session = self._session()
        try:
            with answered():
                made = work(session)
        except Away:
            session.close()
            raise
        except OSError:
            self._give_back(session)
            raise
        except BaseException:
            session.close()
            raise
        self._give_back(session)
        return made

    def _session(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            if time.monotonic() - session.used_s < _IDLE_S:
                return session
            try:
                session.voidcmd("NOOP")
                return session
            except ftplib.all_errors:
                session.close()
        if self._server.secure != "none":
            try:
                self._context = self._context or client_context(self._server.tls, self._site)
            except OSError as error:
                raise Away("JL-E321", f"TLS: {error.strerror}") from None
        return Session(self._server, self._context)

    def _give_back(self, session: Session) -> None:
        if session.torn:
            session.close()
            return
        session.used_s = time.monotonic()
        self._idle.append(session)

    def _path(self, name: str) -> str:
        """As it stands on the wire, of which ftplib makes bytes by latin-1."""
        path = f"{self._server.folder}/{name}".rstrip("/") or "/"
        return path.encode(self._server.names, "surrogateescape").decode("latin-1")

    def _text(self, name: str) -> str:
        return name.encode("latin-1").decode(self._server.names, "surrogateescape")


def _next(pieces: Iterator[bytes]) -> bytes | None:
    with answered():
        return next(pieces, None)


def _goodbye(session: Session) -> None:
    with contextlib.suppress(*ftplib.all_errors):
        session.quit()
    session.close()
