"""OpenSSH's own server with its sftp, as a process of the test's: on loopback, with keys that are made now."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import asyncssh
from folder_parts import Place
from missing import missing

_WAIT_S = 10
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
Subsystem sftp internal-sftp
{more}
"""


class Sshd:
    """`folder` holds its keys: the host's, and one that it lets in."""

    def __init__(self, folder: Path, more: str = "") -> None:
        binary = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
        if binary is None:
            missing("no sshd: run `deploy/services.sh start`, or install openssh-server")
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.user = getpass.getuser()
        for name in ("host_key", "own_key"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(str(folder / name))
            key.write_public_key(str(folder / f"{name}.pub"))
            (folder / name).chmod(0o600)
        shutil.copy(folder / "own_key.pub", folder / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, folder=folder, more=more))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # it wants this one to separate privileges
        self._command = [binary, "-D", "-e", "-f", str(config)]
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        missing(f"sshd does not start: {(self.folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        """Connections that are open go on: their processes are their own, and end with them."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(_WAIT_S)

    @property
    def known_hosts(self) -> Path:
        file = self.folder / "known_hosts"
        public = (self.folder / "host_key.pub").read_text().split()
        file.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")
        return file

    @property
    def fingerprint(self) -> str:
        return asyncssh.read_public_key(str(self.folder / "host_key.pub")).get_fingerprint()


class SftpPlace(Place):
    """The same folder behind a real sshd."""

    kind = "sftp"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.server = Sshd(root / "sshd")

    def options(self) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": self.server.port,
            "user": self.server.user,
            "key": "sshd/own_key",
            "known_hosts": str(self.server.known_hosts),
        }

    def at(self, folder: str) -> str:
        return str(self.root / folder)

    async def close(self) -> None:
        await super().close()
        self.server.stop()
