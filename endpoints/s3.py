"""Folders in S3: kind `s3`. What it does alike with other folders stands in `endpoints/files/`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from config import registry
from endpoints.base import Ground, Options
from endpoints.files.destination import FolderDestination
from endpoints.files.folder import Folder
from endpoints.files.options import DestinationOptions, RemoteSourceOptions
from endpoints.files.servers import S3Server
from endpoints.files.source import FolderSource

_DRIVER = ("boto3", "s3")


class S3SourceOptions(RemoteSourceOptions, S3Server):
    """`from: {s3: {system: store, folder: results, pattern: "*.hl7"}}`."""

    done: Literal["move", "delete", "tag"] = Field(  # type: ignore[assignment]
        "move", description="to done/ below the folder, away, or tagged `jingluo=done` where it is"
    )


class S3DestinationOptions(DestinationOptions, S3Server):
    """`send: {s3: {system: store, folder: archive, name: "{id}.hl7"}}`."""


@registry.source("s3")
class S3Source(FolderSource):
    Options: ClassVar[type[Options]] = S3SourceOptions
    driver = _DRIVER

    @staticmethod
    def open_folder(options: S3SourceOptions, ground: Ground) -> Folder:
        from endpoints.files.s3 import S3Folder

        return S3Folder(options, Path(ground.base_dir), options.reclaim, tags=options.done == "tag")


@registry.destination("s3")
class S3Destination(FolderDestination):
    Options: ClassVar[type[Options]] = S3DestinationOptions
    driver = _DRIVER

    @staticmethod
    def open_folder(options: S3Server, ground: Ground) -> Folder:
        from endpoints.files.s3 import S3Folder

        return S3Folder(options, Path(ground.base_dir))
