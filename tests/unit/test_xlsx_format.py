"""Excel files as rows: texts, numbers and dates as CSV has them, what is too large, whatever bytes come."""

from __future__ import annotations

import datetime
import io
import random
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from excel_parts import workbook

from channels.report import check_site
from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.delimited import Delimited, DelimitedText
from schemas.spreadsheet import archive
from schemas.xlsx import Xlsx, XlsxText

PLAIN: Xlsx = registry.formats.get("xlsx")
LIST = workbook({"名单": [["id", "姓名", "amount"], ["007", "测试患者", 36.5], ["008", None, 12]]})
SHEET = "xl/worksheets/sheet1.xml"


def said(**options: Any) -> Xlsx:
    return Xlsx(XlsxText(**options))


def code_of(body: bytes, format: Xlsx = PLAIN) -> str:
    with pytest.raises(BadMessage) as found:
        format.decode(body)
    return found.value.code


def changed(body: bytes, parts: Mapping[str, bytes | None]) -> bytes:
    """The archive with other parts, or without those that are None."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(body)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        kept = {name: old.read(name) for name in old.namelist()}
        for name, content in (kept | dict(parts)).items():
            if content is not None:
                new.writestr(name, content)
    return made.getvalue()


def sheet_of(cells: bytes) -> bytes:
    """The list with other cells in its sheet."""
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    xml = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (space, cells)
    return changed(LIST, {SHEET: xml})


def test_rows_are_those_that_csv_has() -> None:
    csv = Delimited().decode("id,姓名,amount\r\n007,测试患者,36.5\r\n008,,12\r\n".encode())
    assert PLAIN.decode(LIST) == csv
    assert PLAIN.path(".rows[0].amount").one(csv) == "36.5"
    assert PLAIN.path(".rows[1].姓名").one(csv) is None


def test_cells_are_texts_as_they_are_seen() -> None:
    at = datetime.datetime(2026, 1, 5, 9, 1, 7)
    row = [at, at.date(), at.time(), datetime.timedelta(hours=36), True, 0.1 + 0.2, -3.0, 1e-7, " a\n"]
    (read,) = said(header=False).decode(workbook({"a": [row]}))["rows"]
    days = ["2026-01-05 09:01:07", "2026-01-05", "09:01:07", "36:00:00"]
    assert read == [*days, "true", "0.3", "-3", "0.0000001", " a\n"]


def test_a_number_whose_last_digits_are_lost_is_refused_with_its_cell() -> None:
    with pytest.raises(BadMessage, match="JL-M123") as found:
        PLAIN.decode(workbook({"a": [["id", "cert_no"], ["1", 999999198001010010]]}))
    assert found.value.path == "row 2, column 2"
    for odd in (b"nan", b"inf", b"-1e300"):
        assert (
            code_of(sheet_of(b"<row r='1'><c r='A1'><v>%s</v></c></row>" % odd), said(header=False))
            == "JL-M123"
        )


def test_the_sheet_is_the_first_or_the_one_that_is_named() -> None:
    body = workbook({"a": [["x"], ["1"]], "名单": [["x"], ["2"]]})
    assert PLAIN.decode(body) == {"rows": [{"x": "1"}]}
    assert said(sheet="名单").decode(body) == {"rows": [{"x": "2"}]}
    assert code_of(body, said(sheet="c")) == "JL-M122"


def test_columns_are_named_by_the_header_or_by_the_channel() -> None:
    body = workbook({"a": [[], ["id ", "name", None], [], ["1", "a"], [None, "b"]]})
    assert PLAIN.decode(body)["rows"] == [{"id": "1", "name": "a"}, {"id": "", "name": "b"}]
    named = said(columns=["one", "two", "three"]).decode(body)["rows"]
    assert named[1] == {"one": "1", "two": "a", "three": ""}
    assert code_of(body, said(columns=["id", "unit"], header=True)) == "JL-M062"
    assert code_of(body, said(columns=["id"])) == "JL-M063"
    assert code_of(workbook({"a": [["id", "id"]]})) == "JL-M062"
    assert code_of(workbook({"a": []})) == "JL-M062"
    with pytest.raises(BadPath):
        said(columns=["id"]).path(".rows[0].di")


def test_an_item_is_a_row_of_delimited_text() -> None:
    items = PLAIN.items(".rows[]")(PLAIN.decode(LIST))
    assert [PLAIN.items_as.encode(one) for one in items][1] == "id,姓名,amount\r\n008,,12\r\n".encode()
    row = Delimited(DelimitedText(message="row")).decode(PLAIN.items_as.encode(items[0]))
    assert row == {"id": "007", "姓名": "测试患者", "amount": "36.5"}


def test_what_is_written_is_read_as_it_was_and_never_calculated() -> None:
    tree = {
        "rows": [
            {"id": "007", "name": "测试患者", "amount": "=1+1"},
            {"id": "", "name": "b", "amount": "36.50"},
        ]
    }
    assert PLAIN.decode(PLAIN.encode(tree)) == tree
    with pytest.raises(BadMessage, match="JL-M065"):
        PLAIN.encode({"rows": "none"})


def test_a_message_may_be_one_row() -> None:
    assert said(message="row").decode(workbook({"a": [["x"], ["1"]]})) == {"x": "1"}
    assert code_of(LIST, said(message="row")) == "JL-M066"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"id,name\r\n1,a\r\n",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        changed(LIST, {"xl/workbook.xml": None}),
        changed(LIST, {SHEET: None}),
        changed(LIST, {SHEET: b"<worksheet><sheetData><row><c t='s'><v>9</v></c>"}),
        changed(LIST, {SHEET: "<worksheet><sheetData/></worksheet>".encode("utf-16")}),
        changed(LIST, {"xl/sharedStrings.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><sst/>'}),
    ],
)
def test_what_is_no_excel_file_is_refused(body: bytes) -> None:
    assert code_of(body) == "JL-M120"


def test_a_cell_far_away_is_refused_before_room_is_made_for_all_between() -> None:
    far = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="%d"><c r="%s"><v>1</v></c></row>'
    assert code_of(sheet_of(far % (1048576, b"XFD1048576"))) == "JL-M121"
    assert code_of(sheet_of(far % (900000, b"CV900000"))) == "JL-M121"
    assert code_of(sheet_of(far % (1, b"A" * 60 + b"1"))) == "JL-M121"
    assert code_of(sheet_of(b"<row>" + b"<c/>" * 1001 + b"</row>")) == "JL-M121"


def test_an_archive_that_grows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 20_000)
    assert len(PLAIN.decode(LIST)["rows"]) == 2
    bomb = changed(LIST, {"xl/worksheets/sheet2.xml": b" " * 1_000_000})
    assert (code_of(bomb), len(bomb) < 20_000) == ("JL-M121", True)
    lying = bomb.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert code_of(lying) in ("JL-M120", "JL-M121")
    monkeypatch.setattr(archive, "MAX_PARTS", 3)
    assert code_of(LIST) == "JL-M121"


def test_one_long_text_in_very_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TEXT", 100_000)
    rows = [["a"], *[["x" * 1000]] * 100]
    assert code_of(workbook({"a": rows})) == "JL-M121"


def test_cells_and_rows_without_places_follow_one_another() -> None:
    body = sheet_of(b"<row><c t='str'><v>id</v></c><c t='str'><v>n</v></c></row><row><c><v>1</v></c></row>")
    assert PLAIN.decode(body) == {"rows": [{"id": "1", "n": ""}]}


def read_or_refused(body: bytes) -> None:
    with suppress(BadMessage):
        PLAIN.decode(body)


def spoiled(body: bytes, chance: random.Random) -> bytes:
    made = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(made))
        what = chance.randrange(3)
        if what == 0:
            made[at] = chance.randrange(256)
        elif what == 1:
            del made[at : at + chance.randint(1, 40)]
        else:
            made[at:at] = made[chance.randrange(len(made)) :][: chance.randint(1, 40)]
        made = made or bytearray(b"x")
    return bytes(made)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_bytes_come_are_read_or_refused(seed: int) -> None:
    """Of the archive as it is packed, and of each part's XML."""
    chance = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(LIST)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist() if name.startswith("xl/")}
    for _ in range(100):
        read_or_refused(spoiled(LIST, chance))
        name = chance.choice(sorted(parts))
        read_or_refused(changed(LIST, {name: spoiled(parts[name], chance)}))


def test_without_the_extra_the_channel_and_the_message_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "a.yaml").write_text(
        "channel: a\nfrom: {http: {path: /a}}\nformat: xlsx\nto:\n"
        "  rows: {split: '$.rows[]', send: {channel: b}}\n"
    )
    (tmp_path / "channels" / "b.yaml").write_text(
        "channel: b\nfrom: {channel: {}}\nformat: {delimited: {message: row}}\n"
        "to: {out: {send: {http: {url: 'http://127.0.0.1:1/'}}}}\n"
    )
    assert not [one for one in check_site(tmp_path, {}) if one.severity == "error"]
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert code_of(LIST) == "JL-M124"
    (found,) = [one for one in check_site(tmp_path, {}) if one.severity == "error"]
    assert (found.code, found.line, found.hint) == ("JL-C075", 3, "pip install 'jingluo[xlsx]'")
