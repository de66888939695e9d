"""Folders behind FTP and FTPS: kind `ftp`. What it does alike with other folders stands in `endpoints/files/`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from config import registry
from endpoints.base import Ground, Options
from endpoints.files.destination import FolderDestination
from endpoints.files.ftp import FtpFolder
from endpoints.files.options import DestinationOptions, RemoteSourceOptions
from endpoints.files.servers import FtpServer
from endpoints.files.source import FolderSource


class FtpSourceOptions(RemoteSourceOptions, FtpServer):
    """`from: {ftp: {system: lis-ftp, folder: out, pattern: "*.hl7"}}`."""


class FtpDestinationOptions(DestinationOptions, FtpServer):
    """`send: {ftp: {system: lis-ftp, folder: in, name: "{id}.hl7"}}`."""


@registry.source("ftp")
class FtpSource(FolderSource):
    Options: ClassVar[type[Options]] = FtpSourceOptions

    @staticmethod
    def open_folder(options: FtpServer, ground: Ground) -> FtpFolder:
        return _folder(options, ground)


@registry.destination("ftp")
class FtpDestination(FolderDestination):
    Options: ClassVar[type[Options]] = FtpDestinationOptions

    @staticmethod
    def open_folder(options: FtpServer, ground: Ground) -> FtpFolder:
        return _folder(options, ground)


def _folder(server: FtpServer, ground: Ground) -> FtpFolder:
    place = f"{'ftp' if server.secure == 'none' else 'ftps'} {server.host}/{server.folder}"
    return FtpFolder(server, Path(ground.base_dir), place)
