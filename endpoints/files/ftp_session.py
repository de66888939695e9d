"""One session with a server of FTP (RFC 959), in clear or by TLS (RFC 4217), by the standard library's ftplib.

Everything blocks. Connections for data are opened by us (PASV, EPSV), to the server's own address and no other.
"""

from __future__ import annotations

import contextlib
import errno
import ftplib
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from config.tls import refusal
from endpoints.files.folder import MOST_NAMES, PIECE, Away
from endpoints.files.servers import FtpServer

_NOT_KNOWN = ("500", "501", "502", "504")  # a command that the server does not have
_BAD_LOGIN = ("430", "530", "532")
_NO_SPACE = ("452", "552")


class Listed(NamedTuple):
    name: str
    kind: str  # file, dir; what is neither is left out
    size: int
    changed_ns: int


class Session(ftplib.FTP_TLS):
    """`used_s` is kept by who lends it out. One that is `torn` was left in the midst of a file: of no more use."""

    used_s = 0.0
    torn = False

    def __init__(self, server: FtpServer, context: ssl.SSLContext | None) -> None:
        """Connects and logs in. Raises OSError."""
        super().__init__(context=context, timeout=server.connect_within, encoding="latin-1")
        self._server = server
        self._lists = True  # by MLSD
        try:
            with answered(), self._greeted():
                self.connect(server.host, server.port)
                self.login(server.user, str(server.password), secure=server.secure == "explicit")
                if server.secure != "none":
                    self.prot_p()
                if server.names == "utf-8":
                    with contextlib.suppress(ftplib.error_perm):
                        self.sendcmd("OPTS UTF8 ON")
                self.voidcmd("TYPE I")
        except BaseException:
            self.close()
            raise
        self.timeout = server.timeout
        assert self.sock is not None
        self.sock.settimeout(server.timeout)

    @contextmanager
    def _greeted(self) -> Iterator[None]:
        try:
            yield
        except ftplib.error_perm as error:
            if code_of(error) in _BAD_LOGIN:
                raise Away("JL-E322", f"{self._server.user} is not let in") from None
            raise Away("JL-E320", f"the server does not do that ({code_of(error)})") from None

    def connect(self, host: str, port: int) -> str:  # type: ignore[override]
        """As ftplib's, with TLS from the first byte on where it is implicit."""
        self.host, self.port = host, port
        self.sock = socket.create_connection((host, port), self.timeout)
        self.af = self.sock.family
        if self._server.secure == "implicit":
            self.sock = self.context.wrap_socket(self.sock, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """The session of TLS goes on in the data connection: many servers ask for that, as a proof that it is ours."""
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if not self._prot_p:  # type: ignore[attr-defined]
            return conn, size
        try:
            going_on = getattr(self.sock, "session", None)
            try:
                return self.context.wrap_socket(conn, server_hostname=self.host, session=going_on), size
            except ValueError:  # our certificates were renewed meanwhile
                return self.context.wrap_socket(conn, server_hostname=self.host), size
        except BaseException:
            conn.close()
            raise

    def listed(self, path: str) -> list[Listed]:
        """What is in a folder. ftplib lists as text, a mode in which files would be changed on their way."""
        found = list(self._listed(path))
        self.voidcmd("TYPE I")
        return found

    def _listed(self, path: str) -> Iterator[Listed]:
        """Servers without MLSD (RFC 3659) are asked for each file."""
        if self._lists:
            try:
                yield from filter(None, map(_listed, self._lines(f"MLSD {path}")))
                return
            except ftplib.error_perm as error:
                if code_of(error) not in _NOT_KNOWN:
                    raise
                self._lists = False
        names = self._names(path)
        self.voidcmd("TYPE I")
        for name in names:
            last = name.rpartition("/")[2]
            size = self.size_of(f"{path}/{last}")
            if size is not None:
                changed = self.sendcmd(f"MDTM {path}/{last}")[3:].strip()
                yield Listed(last, "file", size, _time_ns(changed))

    def _names(self, path: str) -> list[str]:
        try:
            return self._lines(f"NLST {path}")
        except ftplib.error_perm as error:
            if code_of(error) == "550":  # what some say of an empty folder
                self.cwd(path)
                return []
            raise

    def _lines(self, command: str) -> list[str]:
        """Not more than can be held: a server may never end."""
        lines: list[str] = []

        def take(line: str) -> None:
            if len(lines) >= MOST_NAMES:
                raise Away("JL-E320", f"more than {MOST_NAMES} names in one folder")
            lines.append(line)

        self.retrlines(command, take)
        return lines

    def size_of(self, path: str) -> int | None:
        """None where there is no such file."""
        try:
            return self.size(path)
        except ftplib.error_perm as error:
            if code_of(error) != "550":
                raise
            return None

    def fetched(self, path: str) -> Generator[bytes, None, None]:
        """A file in pieces of `PIECE`."""
        conn = self.transfercmd(f"RETR {path}")
        self.torn = True
        try:
            while True:
                piece = bytearray()
                while len(piece) < PIECE and (more := conn.recv(PIECE - len(piece))):
                    piece += more
                if len(piece) < PIECE:
                    self._ended(conn)
                    yield bytes(piece)
                    return
                yield bytes(piece)
        finally:
            conn.close()

    def stored(self, path: str, body: Iterator[bytes]) -> None:
        """Raises OSError where the server has less of it than was sent."""
        sent = 0
        conn = self.transfercmd(f"STOR {path}")
        self.torn = True
        try:
            for piece in body:
                conn.sendall(piece)
                sent += len(piece)
            self._ended(conn)
        finally:
            conn.close()
        with contextlib.suppress(ftplib.error_perm):
            if self.size(path) not in (sent, None):
                raise OSError(0, "the server did not keep all of it")

    def _ended(self, conn: socket.socket) -> None:
        """Both sides have closed the data connection, and the server says that it has all."""
        if isinstance(conn, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                conn.unwrap()
        conn.close()
        self.torn = False
        self.voidresp()


def code_of(error: Exception) -> str:
    return str(error)[:3]


@contextmanager
def answered(maybe_done: bool = False) -> Iterator[None]:
    """What ftplib raises, as OSError; in its texts stand names of files."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Away("JL-E321", f"TLS: {refusal(error)}") from None
    except ssl.SSLError as error:
        raise Away("JL-E320", f"TLS: {refusal(error)}", maybe_done) from None
    except (ConnectionError, TimeoutError, EOFError, socket.gaierror) as error:
        why = getattr(error, "strerror", None) or "no answer in time"
        text = "the connection broke" if isinstance(error, EOFError) else why
        raise Away("JL-E320", text, maybe_done) from None
    except (ftplib.error_perm, ftplib.error_temp) as error:
        code = code_of(error)
        if code in ("421", "425", "426", *_BAD_LOGIN):
            raise Away("JL-E320", f"the server ends it ({code})", maybe_done) from None
        if code in _NO_SPACE:
            raise OSError(errno.ENOSPC, "no room on the server") from None
        if code in ("550", "553"):
            raise PermissionError(errno.EACCES, f"the server does not allow it ({code})") from None
        raise OSError(0, f"the server refuses ({code})") from None
    except UnicodeError:
        raise  # a name of ours
    except (ftplib.Error, ValueError) as error:
        raise Away("JL-E320", f"an answer that makes no sense ({type(error).__name__})", maybe_done) from None


def _listed(line: str) -> Listed | None:
    """A line of MLSD: `type=file;size=10;modify=20260105080000; a.hl7` (RFC 3659, 7.2)."""
    said, _, name = line.partition(" ")
    facts = dict(fact.lower().split("=", 1) for fact in said.split(";") if "=" in fact)
    if facts.get("type") not in ("file", "dir"):
        return None
    size = facts.get("size", "")
    return Listed(
        name, facts["type"], int(size) if size.isdecimal() else -1, _time_ns(facts.get("modify", ""))
    )


def _time_ns(text: str) -> int:
    """`20260105080000` or with `.123` behind, UTC (RFC 3659, 2.3)."""
    try:
        seconds, _, rest = text.partition(".")
        at = datetime.strptime(seconds, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return int(at.timestamp()) * 1_000_000_000 + int(f"{rest:0<9}"[:9] or 0)
    except ValueError:
        return 0
