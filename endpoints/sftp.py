"""Folders behind SFTP: kind `sftp`. What it does alike with other folders stands in `endpoints/files/`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from config import registry
from endpoints.base import Ground, Options
from endpoints.files.destination import FolderDestination
from endpoints.files.folder import Folder
from endpoints.files.options import DestinationOptions, RemoteSourceOptions
from endpoints.files.servers import SftpServer
from endpoints.files.source import FolderSource

_DRIVER = ("asyncssh", "sftp")


class SftpSourceOptions(RemoteSourceOptions, SftpServer):
    """`from: {sftp: {system: lis-sftp, folder: out, pattern: "*.hl7"}}`."""


class SftpDestinationOptions(DestinationOptions, SftpServer):
    """`send: {sftp: {system: lis-sftp, folder: in, name: "{id}.hl7"}}`."""


@registry.source("sftp")
class SftpSource(FolderSource):
    Options: ClassVar[type[Options]] = SftpSourceOptions
    driver = _DRIVER

    @staticmethod
    def open_folder(options: SftpServer, ground: Ground) -> Folder:
        return _folder(options, ground)


@registry.destination("sftp")
class SftpDestination(FolderDestination):
    Options: ClassVar[type[Options]] = SftpDestinationOptions
    driver = _DRIVER

    @staticmethod
    def open_folder(options: SftpServer, ground: Ground) -> Folder:
        return _folder(options, ground)


def _folder(server: SftpServer, ground: Ground) -> Folder:
    from endpoints.files.sftp import SftpFolder

    return SftpFolder(server, Path(ground.base_dir))
