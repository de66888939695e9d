"""文件 (9101, 9102): zips with one text file, kept until they expire; a catalogue's is made when it is fetched."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from deploy.sandbox.centre.books import Stored
from deploy.sandbox.centre.desk import Call, Desk, FileOut, No, Output, need, serves, when

PUBLIC = "plc"  # fixmedins_code of what is everybody's
_KEPT = timedelta(days=1)
_MOST = 100_000_000  # bytes of text in a zip
_SIGNED = 256  # Java writes bytes from -128


@dataclass(frozen=True, slots=True)
class Told:
    """A file that has a number now, and until when."""

    number: str
    filename: str
    until: datetime


@serves("9101")
def upload(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "fsUploadIn")
    owner, filename = need(row, "fixmedins_code"), need(row, "filename")
    if owner != call.hospital.code:
        raise No("定点医药机构编号与报文不一致")
    given = row.get("in")
    if not isinstance(given, list) or not given:
        raise No("文件内容[in]不能为空")
    if not all(type(value) is int and -128 <= value < _SIGNED for value in given):
        raise No("文件内容[in]不是字节数组")
    data = bytes(value % _SIGNED for value in given)
    kept = keep(desk, call, filename, owner, data)
    return {
        "file_qury_no": kept.number,
        "filename": filename,
        "fixmedins_code": owner,
        "dld_endtime": when(kept.until),
    }


@serves("9102")
def download(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "fsDownloadIn")
    found = desk.books.files.get(need(row, "file_qury_no"))
    need(row, "filename")
    if found is None or found.owner != need(row, "fixmedins_code"):
        raise No("未查询到文件")
    if found.owner not in (PUBLIC, call.hospital.code):
        raise No("未查询到文件")
    if call.at > found.until:
        raise No("文件已过期,请重新生成")
    return FileOut(found)


def keep(
    desk: Desk, call: Call, filename: str, owner: str, data: bytes | Callable[[Path], None], key: str = ""
) -> Told:
    """`key` names what is made when it is fetched, so that it is made once."""
    number, until = desk.number("W"), call.at + _KEPT
    desk.books.files[number] = Stored(number, filename, owner, until, data, key or number)
    return Told(number, filename, until)


def zipped(name: str, text: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return made.getvalue()


def text_of(data: bytes) -> str:
    """The one text file in a zip. Refuses anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (entry,) = [one for one in archive.infolist() if not one.is_dir()]
            if entry.file_size > _MOST:
                raise No("文件过大")
            return archive.read(entry).decode("utf-8-sig")
    except (zipfile.BadZipFile, ValueError, RuntimeError, EOFError) as error:
        raise No("文件格式错误,应为含一个UTF-8文本文件的zip") from error
