"""A folder behind SFTP (SSH file transfer, version 3: draft-ietf-secsh-filexfer-02), by asyncssh.

Imported where a channel first has such a folder: asyncssh is an extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from config.tls import PEM
from endpoints.files.folder import MOST_NAMES, PIECE, Away, Choose, Entry, Folder
from endpoints.files.servers import SftpServer

# What OpenSSH offers since 7.4 (2016) at the latest; nothing with SHA-1, CBC or 1,024 bits.
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_ALIVE_S = 15  # a connection over which nothing comes is asked so often whether it is there
_ASKED = 3  # times without an answer, and it is not

_GONE = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost)


class SftpFolder(Folder):
    """One connection, made when it is needed and again when it broke."""

    def __init__(self, server: SftpServer, site: Path) -> None:
        self.place = f"sftp {server.host}/{server.folder}"
        self._server = server
        self._site = site
        self._connecting = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    async def look(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        files: dict[str, asyncssh.SFTPAttrs] = {}
        folders: list[str] = []
        with self._said():
            async for one in self._listed(self._path(sub)):
                name = self._text(one.filename)
                if one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR:
                    files[name] = one.attrs
                elif one.attrs.type == asyncssh.FILEXFER_TYPE_DIRECTORY:
                    folders.append(name)
        above = f"{sub}/" if sub else ""
        return [_entry(above + name, files[name]) for name in choose(files)], folders

    async def _listed(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """Not more than can be held: a server may never end."""
        names = (await self._connected()).scandir(path)
        for _ in range(MOST_NAMES):
            try:
                yield await self._within(anext(names))
            except StopAsyncIteration:
                return

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        with self._said():
            file = await self._ask("open", self._path(entry.at), "rb")
            try:
                while True:
                    piece = await self._within(file.read(PIECE))
                    yield piece
                    if len(piece) < PIECE:
                        return
            finally:
                with contextlib.suppress(asyncssh.Error, OSError):
                    await self._within(file.close())

    async def write(self, name: str, body: Iterable[bytes], aside: str, over: bool) -> None:
        path, part = self._path(name), self._path(aside)
        with self._said():
            try:
                await self._write(part, iter(body), name)
            except BaseException:
                with contextlib.suppress(asyncssh.Error, OSError):
                    await self._ask("remove", part)
                raise
        with self._said(maybe_done=True):
            await self._publish(part, path, name, over)

    async def _write(self, part: bytes, pieces: Iterator[bytes], name: str) -> None:
        try:
            file = await self._ask("open", part, "wb")
        except asyncssh.SFTPNoSuchFile:
            await self._make_above(name)
            file = await self._ask("open", part, "wb")
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                await self._within(file.write(piece))
            with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                await self._within(file.fsync())
        finally:
            await self._within(file.close())

    async def _publish(self, part: bytes, path: bytes, name: str, over: bool) -> None:
        try:
            if over:
                try:
                    await self._ask("posix_rename", part, path)
                except asyncssh.SFTPOpUnsupported:  # a server that is not OpenSSH
                    with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                        await self._ask("remove", path)
                    await self._ask("rename", part, path)
            else:
                await self._rename(part, path, name)
        except (asyncssh.SFTPError, FileExistsError):
            with contextlib.suppress(asyncssh.Error, OSError):
                await self._ask("remove", part)
            raise

    async def has(self, name: str) -> bool:
        with self._said():
            return bool(await self._ask("lexists", self._path(name)))

    async def move(self, name: str, to: str) -> None:
        with self._said():
            path, target = self._path(name), self._path(to)
            try:
                await self._rename(path, target, to)
            except asyncssh.SFTPNoSuchFile:
                if not await self._ask("lexists", path):
                    raise
                await self._make_above(to)
                await self._rename(path, target, to)

    async def _rename(self, path: bytes, to: bytes, name: str) -> None:
        """Version 3 renames over nothing, and some servers do it all the same."""
        if await self._ask("lexists", to):
            raise FileExistsError(errno.EEXIST, "there is one already")
        try:
            await self._ask("rename", path, to)
        except asyncssh.SFTPFailure:
            if await self._ask("lexists", to):
                raise FileExistsError(errno.EEXIST, "there is one already") from None
            raise

    async def _make_above(self, name: str) -> None:
        await self._ask("makedirs", self._path(name.rpartition("/")[0]), exist_ok=True)

    async def remove(self, name: str) -> None:
        with self._said():
            await self._ask("remove", self._path(name))

    async def close(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            with contextlib.suppress(asyncssh.Error, OSError):
                async with asyncio.timeout(self._server.timeout):
                    await connection.wait_closed()

    # The connection

    async def _ask(self, what: str, *given: Any, **more: Any) -> Any:
        return await self._within(getattr(await self._connected(), what)(*given, **more))

    async def _connected(self) -> asyncssh.SFTPClient:
        async with self._connecting:
            return self._client or await self._connect()

    async def _within(self, doing: Any) -> Any:
        try:
            async with asyncio.timeout(self._server.timeout):
                return await doing
        except TimeoutError:
            self._drop()
            raise Away("JL-E320", f"no answer within {self._server.timeout:g} s") from None

    def _drop(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()

    @contextmanager
    def _said(self, maybe_done: bool = False) -> Iterator[None]:
        """What asyncssh raises, as OSError; in its texts stand names of files."""
        try:
            yield
        except asyncssh.SFTPNoSuchFile:
            raise FileNotFoundError(errno.ENOENT, "no such file or folder") from None
        except asyncssh.SFTPPermissionDenied:
            raise PermissionError(errno.EACCES, "the server does not allow it") from None
        except _GONE:
            self._drop()
            raise Away("JL-E320", "the connection broke", maybe_done) from None
        except asyncssh.SFTPError as error:
            raise OSError(0, f"the server refuses (SFTP status {error.code})") from None
        except asyncssh.Error as error:
            self._drop()
            raise Away("JL-E320", f"SSH ended: {type(error).__name__}", maybe_done) from None

    async def _connect(self) -> asyncssh.SFTPClient:
        server = self._server
        try:
            async with asyncio.timeout(server.connect_within):
                made = await self._greet()
                try:
                    self._client = await made.start_sftp_client(path_encoding=None)
                except BaseException:
                    made.abort()
                    raise
        except asyncssh.HostKeyNotVerifiable:
            raise Away("JL-E321", self._stranger()) from None
        except asyncssh.PermissionDenied:
            raise Away("JL-E322", f"{server.user} is not let in") from None
        except TimeoutError:
            raise Away("JL-E320", f"no connection within {server.connect_within:g} s") from None
        except asyncssh.Error as error:
            raise Away("JL-E320", f"SSH: {error.reason or type(error).__name__}") from None
        except OSError as error:
            if isinstance(error, Away):
                raise
            raise Away("JL-E320", error.strerror or "no connection") from None
        self._connection = made
        return self._client

    async def _greet(self) -> asyncssh.SSHClientConnection:
        server = self._server
        keys = await asyncio.to_thread(_own_keys, server, self._site)
        known, host_keys = await asyncio.to_thread(self._known)
        self._shown = ""
        return await asyncssh.connect(
            server.host,
            server.port,
            config=None,  # nothing of the user's own ~/.ssh
            agent_path=None,
            client_factory=lambda: _Client(self),
            known_hosts=known,
            server_host_key_algs=host_keys,
            kex_algs=list(EXCHANGES),
            encryption_algs=list(CIPHERS),
            mac_algs=list(MACS),
            username=server.user,
            password=str(server.password) or None,
            client_keys=keys,
            keepalive_interval=_ALIVE_S,
            keepalive_count_max=_ASKED,
        )

    def _known(self) -> tuple[Any, Sequence[str]]:
        """What asyncssh is to trust, and the kinds of host keys that are asked for: those that are known."""
        server = self._server
        if not server.known_hosts:
            return (lambda *_: ([], [], [])), list(HOST_KEYS)
        file = str(self._site / server.known_hosts)
        try:
            keys, authorities, *_ = asyncssh.match_known_hosts(file, server.host, "", server.port)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "is no list of host keys"
            raise Away("JL-E321", f"known_hosts: {why}") from None
        if authorities:
            return file, ()
        wanted = [one for one in HOST_KEYS if any(one.encode() in key.sig_algorithms for key in keys)]
        if not wanted:
            raise Away("JL-E321", f"known_hosts has no good key of {server.host}")
        return file, wanted

    def trusts(self, fingerprint: str) -> bool:
        self._shown = fingerprint
        return fingerprint in self._server.fingerprint

    def _stranger(self) -> str:
        shown = f": it shows {self._shown}" if self._shown else ""
        return f"{self._server.host} is not who it should be{shown}"

    def _path(self, name: str) -> bytes:
        path = f"{self._server.folder}/{name}".rstrip("/") or "/"
        return path.encode(self._server.names, "surrogateescape")

    def _text(self, name: str | bytes) -> str:
        return name if isinstance(name, str) else name.decode(self._server.names, "surrogateescape")


class _Client(asyncssh.SSHClient):
    """Is asked of a host key that known_hosts does not have."""

    def __init__(self, folder: SftpFolder) -> None:
        self._folder = folder

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._folder.trusts(key.get_fingerprint())


def _own_keys(server: SftpServer, site: Path) -> list[asyncssh.SSHKey]:
    if not server.key:
        return []
    text = str(server.key)
    try:
        if not text.startswith(PEM):
            text = (site / text).read_text(encoding="ascii")
        return [asyncssh.import_private_key(text, str(server.key_password) or None)]
    except OSError as error:
        raise Away("JL-E322", f"our key: {error.strerror}") from None
    except (ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise Away(
            "JL-E322", "our key cannot be read, or not with this password; encrypted ones as PKCS#8"
        ) from None


def _entry(name: str, facts: asyncssh.SFTPAttrs) -> Entry:
    """Times are whole seconds in version 3."""
    size = -1 if facts.size is None else facts.size
    return Entry(name, size, (facts.mtime or 0) * 1_000_000_000 + (facts.mtime_ns or 0))
