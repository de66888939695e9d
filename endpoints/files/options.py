"""What YAML says of a folder, of whatever kind it is."""

from __future__ import annotations

import codecs
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from config.units import Seconds, Size
from endpoints.base import Listed, Options
from endpoints.files.names import checked, fields_of


def _codec(names: str) -> str:
    try:
        return codecs.lookup(names).name
    except LookupError:
        raise ValueError(f"{names!r} is no charset; write UTF-8 or GB18030") from None


Names = Annotated[str, AfterValidator(_codec)]  # what names of files are written in


class SourceOptions(Options):
    """Takes files from a folder."""

    takes_again: ClassVar[bool] = True

    pattern: Listed = Field(("*",), description="which names, any of several: *, ?, [abc]")
    done: Literal["move", "delete"] = Field("move", description="to the subfolder done/, or away")
    charset: str = Field("", description="what files are written in that do not say so themselves")
    poll: Seconds = Field(1.0, gt=0, description="how often the folder is looked at")
    settle: Seconds = Field(1.0, description="a file is taken when it has not changed for so long")
    age: Seconds = Field(0.0, description="and is so old by its own time; the folder's clock must be right")
    ready: str = Field(
        "", description="`*.ok`: and when a.ok or a.hl7.ok stands beside a.hl7; removed with it"
    )
    order: Literal["name", "time"] = Field("name", description="which file comes first")
    recursive: bool = Field(False, description="subfolders too, but done/, failed/ and those with a dot")
    depth: int = Field(5, ge=1, le=50, description="of subfolders, where `recursive`")
    max_size: Size = Field(100_000_000, description="of a file; a larger one goes to failed/")
    batch: int = Field(100, ge=1, description="files taken in one look")
    reclaim: Seconds = Field(
        300.0, gt=0, description="when a file is taken again that another engine has claimed and not finished"
    )

    @field_validator("ready")
    @classmethod
    def _marks(cls, ready: str) -> str:
        if ready and (ready.count("*") != 1 or "/" in ready or len(ready) < 2):
            raise ValueError("a marker is written with one * in the place of the file's name: `*.ok`")
        return ready


class RemoteSourceOptions(SourceOptions):
    """The same from another machine, where each look costs something."""

    poll: Seconds = Field(10.0, gt=0, description="how often the folder is looked at")
    claim: bool = Field(
        True,
        description="whether a file is claimed before it is read; false where we may not, and nobody else takes",
    )


class DestinationOptions(Options):
    """Writes each message to a file of its own."""

    name: str = Field(
        "{id}",
        description="{id}, {channel}, {date} and {time} (of receipt, UTC), {file} and {stem} (that it came as) and "
        "fields of what is sent, {$PID-3.1}, are filled in",
    )
    exists: Literal["overwrite", "refuse", "number"] = Field(
        "overwrite", description="what becomes of a name that is there; overwrite needs {id} in the name"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return checked(name)

    @model_validator(mode="after")
    def _apart(self) -> DestinationOptions:
        if self.exists == "overwrite" and "id" not in fields_of(self.name):
            raise ValueError("a name holds {id}, or `exists` says what becomes of the file that is there")
        return self

    def paths(self) -> list[str]:
        return [field for field in fields_of(self.name) if field.startswith("$")]
