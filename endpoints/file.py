"""Files in folders: kind `file`. A source takes what others put there, a destination puts there what others take.

What all kinds of folders do alike stands in `endpoints/files/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from config import registry
from config.units import Seconds
from endpoints.base import Ground, Options
from endpoints.files.destination import FolderDestination
from endpoints.files.local import LocalFolder
from endpoints.files.options import DestinationOptions, Names, SourceOptions
from endpoints.files.source import FolderSource


class FileSourceOptions(SourceOptions):
    """`from: {file: {folder: in, pattern: "*.hl7", done: move}}`."""

    folder: str
    mount: str = Field("", description="where a share is mounted; while it is not, nothing is looked at")
    claim: Literal["lock", "rename"] = Field(
        "lock", description="how engines share it: one alone, or each file is claimed by a new name"
    )
    names: Names = Field("utf-8", description="what names of files are written in: GB18030 on an old share")
    timeout: Seconds = Field(30.0, gt=0, description="of a share that does not answer")


class FileDestinationOptions(DestinationOptions):
    """`send: {file: {folder: out, name: "{id}.hl7"}}`."""

    folder: str
    mount: str = Field("", description="where a share is mounted; while it is not, nothing is written")
    names: Names = Field("utf-8", description="what names of files are written in")
    timeout: Seconds = Field(30.0, gt=0, description="of a share that does not answer, for each 4 MB")


@registry.source("file")
class FileSource(FolderSource):
    Options: ClassVar[type[Options]] = FileSourceOptions

    @staticmethod
    def open_folder(options: FileSourceOptions, ground: Ground) -> LocalFolder:
        return _folder(options, ground, options.claim == "rename")


@registry.destination("file")
class FileDestination(FolderDestination):
    Options: ClassVar[type[Options]] = FileDestinationOptions

    @staticmethod
    def open_folder(options: FileDestinationOptions, ground: Ground) -> LocalFolder:
        return _folder(options, ground)


def _folder(
    options: FileSourceOptions | FileDestinationOptions, ground: Ground, claims: bool = False
) -> LocalFolder:
    root = Path(ground.base_dir, options.folder)
    mount = str(Path(ground.base_dir, options.mount)) if options.mount else ""
    place = f"file {options.folder}"
    return LocalFolder(root, place, ground.name, mount, options.names, options.timeout, claims)
