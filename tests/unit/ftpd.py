"""pyftpdlib's server of FTP and FTPS, in a thread of the test's, on loopback."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

from authority import Authority
from folder_parts import Place

with warnings.catch_warnings():  # it stands on asyncore, which Python 3.11 already gives up
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


class Implicit(TLS_FTPHandler):  # type: ignore[misc]
    """TLS from the first byte on."""

    def handle(self) -> None:
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self) -> None:
        TLS_FTPHandler.handle(self)


class FtpPlace(Place):
    """The same folder behind a server of FTP in clear."""

    kind = "ftp"
    handler: Any = FTPHandler
    secure = "none"
    facts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, root: Path, **facts: Any) -> None:
        super().__init__(root)
        own = {"authorizer": DummyAuthorizer(), "banner": "ready", **self.security(), **self.facts, **facts}
        own["authorizer"].add_user("lis", "invented", str(root), perm="elradfmwMT")
        self._made = type("Handler", (self.handler,), own)
        self._port = 0
        self.begin()

    def security(self) -> dict[str, Any]:
        return {}

    def begin(self) -> None:
        self._loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", self._port), self._made, ioloop=self._loop)
        self._port = self.server.address[1]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ends.is_set():
            self._loop.loop(0.02, blocking=False)
        self.server.close_all()
        self._loop.close()

    def end(self) -> None:
        self._ends.set()
        self._thread.join(10)

    def options(self) -> dict[str, Any]:
        tls = {} if self.secure == "none" else {"tls": {"ca": "test-authority.pem"}}
        own = {"host": "127.0.0.1", "port": self._port, "user": "lis", "password": "invented"}
        return {**own, "secure": self.secure, **tls}

    async def close(self) -> None:
        await super().close()
        self.end()


class FtpsPlace(FtpPlace):
    """By TLS, which the server asks for in both connections."""

    handler = TLS_FTPHandler
    secure = "explicit"

    def security(self) -> dict[str, Any]:
        pair = Authority(self.root).issue("ftp", "127.0.0.1")
        required = {"tls_control_required": True, "tls_data_required": True}
        return {"certfile": str(pair.certificate), "keyfile": str(pair.key), **required}


class ImplicitPlace(FtpsPlace):
    handler = Implicit
    secure = "implicit"
