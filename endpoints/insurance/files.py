"""Files to and from the centre: 9101 (文件上传) in a message, 9102 (文件下载) as a stream onto the disk.

Source: the interface says that both move a stream; in practice 9101 is JSON with the bytes of the zip as numbers, and
9102 answers the zip itself, or an envelope where it fails.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from msgspec import Struct

from config.errors import BadMessage, Refused, Unreachable
from config.private import make_file, make_folder
from endpoints.insurance.records import Outcome
from endpoints.insurance.zipped import LIMITS, Limits, text_of

CATALOGUE_FILES = "plc"  # the `fixmedins_code` of 9102 for files of 1301 to 1319
MAX_UPLOAD = (
    5_000_000  # bytes of a zip: as numbers in JSON they are four times as many, and such a record is kept
)
# Common practice: no table says how it is told.
_NOTHING = re.compile(
    r"无(新增|更新|最新)?数据|没有.{0,12}(数据|更新)|已是最新|未查询到|no (newer )?data", re.IGNORECASE
)


Take = Callable[[bytes], Awaitable[None]]


class Answer(Struct, frozen=True):
    """What became of a call. `text` are the centre's words."""

    outcome: Outcome
    output: Any = None
    infcode: str = ""
    text: str = ""


class Centre(Protocol):
    """The party, as files and catalogues need it."""

    @property
    def fixmedins_code(self) -> str: ...

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        """Raises Unreachable where nothing left, and Refused where the input is not as the interface says."""

    async def fetch(self, infno: str, input: Mapping[str, Any], take: Take) -> Answer:
        """The same, where the answer is a zip: OK, and `take` has had all its pieces in their order. An answer that is
        an envelope gives `take` nothing. Raises Unreachable in the midst, too, and what `take` raises.
        """


class FileNumber(Struct, frozen=True):
    """A file that the centre keeps. `until` is the end of its time as the centre says it, ''; `rows` 0 unknown."""

    number: str  # file_qury_no
    name: str
    until: str = ""
    rows: int = 0  # data_cnt


def file_number(answer: Answer) -> FileNumber | None:
    """What an answer with a file says; None where it names none: there is nothing (newer). Takes every spelling."""
    for facts in _objects(answer.output):
        said = {key.lower(): value for key, value in facts.items()}
        if number := _text(said.get("file_qury_no")):
            until = _text(said.get("dld_endtime")) or _text(said.get("dld_end_time"))
            count = _text(said.get("data_cnt"))
            rows = int(count) if count.isdecimal() and len(count) < 12 else 0
            return FileNumber(number, _text(said.get("filename")), until, rows)
    return None


def _objects(output: Any) -> Iterator[Mapping[str, Any]]:
    """The output itself, and what stands a node below it in some provinces."""
    if isinstance(output, Mapping):
        yield output
        yield from (one for one in output.values() if isinstance(one, Mapping))
    elif isinstance(output, list):
        yield from (one for one in output[:1] if isinstance(one, Mapping))


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def settled(answer: Answer, what: str) -> Answer:
    """OK, or raises: Refused JL-N105 where the centre said no, Unreachable JL-N106 where nobody knows.

    Only for what may be asked again: queries, and files.
    """
    if answer.outcome == "OK":
        return answer
    if answer.outcome == "REJECTED":
        raise Refused(
            "JL-N105", f"{what}: the centre refused 中心拒绝: {answer.infcode} {answer.text}".strip()
        )
    raise Unreachable(
        "JL-N106", f"{what}: no clear answer 中心无明确应答: {answer.text}"[:500], maybe_done=True
    )


def nothing(answer: Answer) -> bool:
    """Whether the centre says by a failure that there are no rows, as some do."""
    return answer.outcome == "REJECTED" and _NOTHING.search(answer.text) is not None


async def upload(
    centre: Centre, name: str, content: bytes, *, signed: bool = False, most: int = MAX_UPLOAD
) -> FileNumber:
    """9101: a zip by the name that the centre is to know. `signed` where a centre reads bytes from -128 to 127.

    Sent again it is another file of the centre's. Raises Refused (JL-N105, JL-N107) and Unreachable.
    """
    if len(content) > most:
        raise Refused("JL-N107", f"the file has {len(content):,} bytes; 9101 takes up to {most:,} 文件过大")
    numbers = memoryview(content).cast("b").tolist() if signed else list(content)
    given = {"in": numbers, "filename": name, "fixmedins_code": centre.fixmedins_code}
    answer = settled(await centre.call("9101", {"fsUploadIn": given}), "9101")
    found = file_number(answer)
    if found is None:
        raise Refused("JL-N105", "9101: the centre took it and named no file_qury_no 未返回文件查询号")
    return found


def expired(file: FileNumber, now_s: float) -> bool:
    """Whether the centre no longer has it. A date holds until its end; what cannot be read is no reason."""
    for form, length in (("%Y-%m-%d %H:%M:%S", 19), ("%Y-%m-%d", 10), ("%Y%m%d", 8)):
        try:
            end = datetime.strptime(file.until[:length], form)
        except ValueError:
            continue
        if length < 19:
            end = end.replace(hour=23, minute=59, second=59)
        return datetime.fromtimestamp(now_s) > end
    return False


async def download(
    centre: Centre,
    file: FileNumber,
    to: Path,
    now_s: float,
    *,
    owner: str = "",
    limits: Limits = LIMITS,
) -> None:
    """9102: the zip to `to`, which is there only once it is whole. `owner` is `plc` for catalogues, else us.

    Raises Refused: JL-N105 the centre said no, JL-N108 its time is over, JL-N101 too large; Unreachable JL-N109: what
    came is no whole zip. The name that the centre gives is only sent back to it.
    """
    if expired(file, now_s):
        raise Refused(
            "JL-N108", f"9102: the file's time was over {file.until[:19]} 文件已过期; ask for it anew"
        )
    asked = {
        "file_qury_no": file.number,
        "filename": file.name,
        "fixmedins_code": owner or centre.fixmedins_code,
    }
    part = to.with_name(to.name + ".part")
    make_folder(to.parent)
    part.unlink(missing_ok=True)
    make_file(part)
    try:
        with part.open("wb") as opened:
            taking = _Taking(opened, limits.packed)
            settled(await centre.fetch("9102", {"fsDownloadIn": asked}, taking), "9102")
            if not taking.size:
                raise Refused("JL-N105", "9102: the centre answered without a file 中心未返回文件")
            opened.flush()
            await asyncio.to_thread(os.fsync, opened.fileno())
        await asyncio.to_thread(_look, part, limits)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


class _Taking:
    """Pieces of a file onto the disk, up to a limit."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self.size = 0

    async def __call__(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._most:
            raise Refused("JL-N101", f"9102: the file is larger than {self._most:,} bytes 文件过大")
        await asyncio.to_thread(self._file.write, piece)


def _look(part: Path, limits: Limits) -> None:
    """Whether the zip is whole: its directory stands at its end."""
    try:
        with text_of(part, limits) as text:
            text.read(1)
    except BadMessage as error:
        if error.code == "JL-N100":
            raise Unreachable("JL-N109", f"9102: {error.text}") from None
        raise Refused(error.code, error.text) from None
