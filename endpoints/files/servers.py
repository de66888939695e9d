"""What YAML says of a server that has folders: where it is, who it must be, and who we are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from config.errors import Problem
from config.secrets import UNNEEDED, Secret
from config.tls import PEM, ClientTls
from config.units import Seconds
from endpoints.base import Listed, Options
from endpoints.files.options import Names

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class Server(Options):
    """A server that is logged into."""

    listens: ClassVar[bool] = False

    host: str
    user: str
    password: Secret = Field(Secret(""), description="by secret://name")
    folder: str = Field(".", description="absolute, or below the one that the user comes into")
    names: Names = Field("utf-8", description="what names of files are written in: GB18030 on an old server")
    timeout: Seconds = Field(30.0, gt=0, description="for each answer, and each piece of a file")
    connect_within: Seconds = Field(10.0, gt=0, description="until the folder can be used")

    @field_validator("folder", "user")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if re.search(r"[\x00-\x1f\x7f]", text):
            raise ValueError("control characters cannot stand here")
        return text


class SftpServer(Server):
    """A server of SFTP. Which it is, is always known beforehand."""

    port: int = Field(22, ge=1, le=65535)
    known_hosts: str = Field(
        "", description="a file as OpenSSH's, relative to the site, with the server's key"
    )
    fingerprint: Listed = Field(
        (), description="or what `ssh-keygen -lf` shows of that key: SHA256:...; two while it changes"
    )
    key: Secret = Field(Secret(""), description="our private key: a file, or secret://name")
    key_password: Secret = Field(Secret(""), description="of an encrypted key, by secret://name")

    @field_validator("fingerprint")
    @classmethod
    def _prints(cls, fingerprints: tuple[str, ...]) -> tuple[str, ...]:
        for one in fingerprints:
            if not _FINGERPRINT.fullmatch(one):
                raise ValueError(f"{one!r} is no fingerprint; write SHA256: and 43 characters")
        return fingerprints

    @model_validator(mode="after")
    def _who(self) -> SftpServer:
        if not (self.known_hosts or self.fingerprint):
            raise ValueError("say which server it must be: `known_hosts` or `fingerprint`")
        if not (self.password or self.key):
            raise ValueError("say how we log in: `password` or `key`")
        return self

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        _readable(site, {"known_hosts": self.known_hosts, "key": str(self.key)}, problems)
        return ()


class FtpServer(Server):
    """A server of FTP, by TLS unless that is given up."""

    port: int = Field(21, ge=1, le=65535, description="990 is usual where TLS is implicit")
    secure: Literal["explicit", "implicit", "none"] = Field(
        "explicit",
        description="TLS begins by AUTH TLS, or with the first byte; none: password and files can be read on the way",
    )
    tls: ClientTls = Field(
        ClientTls(), description="who may have signed the server's certificate, and our own"
    )
    connections: int = Field(4, ge=1, le=32, description="at once; what is beyond waits")

    @model_validator(mode="after")
    def _of_one_mind(self) -> FtpServer:
        if not self.password:
            raise ValueError("say the `password`, by secret://name; `anonymous` has one too")
        if self.secure == "none" and self.tls != ClientTls():
            raise ValueError("`secure: none` is without TLS; leave one of the two out")
        return self


class S3Server(Options):
    """Amazon's S3, or a server that speaks as it does."""

    url: str = Field(description="of the server: https://s3.hospital.local:9000")
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    folder: str = Field("", description="what its keys begin with, without a / at either end")
    region: str = Field("us-east-1", description="as the server calls it; many have this one alone")
    style: Literal["path", "virtual"] = Field(
        "path", description="where the bucket's name stands: in the path, or before the host's (Amazon)"
    )
    access_key: Secret = Field(description="by secret://name")
    secret: Secret = Field(description="its secret, by secret://name")
    ca: str = Field("", description="who may have signed the server's certificate; else the system's list")
    timeout: Seconds = Field(30.0, gt=0, description="for each answer, and each piece of a file")
    connect_within: Seconds = Field(10.0, gt=0, description="until there is a connection")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/@\s?#]+/?", url):
            raise ValueError("a server is written https://host:port, without user and path")
        return url.rstrip("/")

    @field_validator("folder")
    @classmethod
    def _is_prefix(cls, folder: str) -> str:
        if folder != folder.strip("/") or re.search(r"[\x00-\x1f\x7f]|//", folder):
            raise ValueError("what keys begin with is written `lab/results`, without a / at either end")
        return folder

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        _readable(site, {"ca": self.ca}, problems)
        return ()


def _readable(site: Path, named: dict[str, str], problems: list[Problem]) -> None:
    """Says which of these files cannot be read. They are read again when a connection is made: no reload needs them."""
    for name, file in named.items():
        if not file or file == UNNEEDED or file.startswith(PEM):
            continue
        try:
            (site / file).read_bytes()
        except OSError as error:
            problems.append(Problem((name,), "JL-C076", f"{name}: cannot be read: {error.strerror}"))
