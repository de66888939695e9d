"""The platform's text files: one .txt in one .zip, tab between columns, `null` for empty."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadMessage
from endpoints.insurance.lines import RowFault, rows, written
from endpoints.insurance.zipped import LIMITS, Limits, text_of, zipped


def read(
    file: bytes | Path, columns: int = 2, limits: Limits = LIMITS, **how: object
) -> list[list[str | None]]:
    with text_of(file, limits) as text:
        return [list(row.values) for row in rows(text, columns, limits=limits, **how)]  # type: ignore[arg-type]


def archive(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name.replace("_", "."), content)
    return made.getvalue()


def refused(file: bytes, code: str, limits: Limits = LIMITS, columns: int = 2) -> str:
    with pytest.raises(BadMessage) as caught:
        read(file, columns, limits)
    assert caught.value.code == code
    return caught.value.text


def test_what_was_written_is_read_back_by_position() -> None:
    file = zipped("stmt.txt", written([["甲", None, 1.5], ["b", "", "x"]]))
    assert read(file, 3) == [["甲", None, "1.5"], ["b", None, "x"]]


def test_the_same_rows_make_the_same_zip() -> None:
    assert zipped("a.txt", [b"x\n"]) == zipped("a.txt", [b"x\n"])


def test_a_tab_or_line_end_within_a_value_moves_no_column() -> None:
    assert read(b"".join(written([["a\tb", "c\r\nd"]]))) == [["a b", "c d"]]


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=2, max_size=2),
        max_size=8,
    )
)
def test_any_rows_come_back_as_many_and_in_order(given_rows: list[list[str]]) -> None:
    file = zipped("a.txt", written([str(n), *row] for n, row in enumerate(given_rows)))
    assert [row[0] for row in read(file, 3)] == [str(n) for n in range(len(given_rows))]


def test_more_columns_than_agreed_are_taken() -> None:
    assert read(b"a\tb\tnew\n") == [["a", "b", "new"]]


def test_a_row_with_fewer_columns_is_named_by_its_number() -> None:
    assert refused(b"a\tb\n\nc\n", "JL-N102").startswith("row 3: 1 columns")


def test_rows_with_faults_may_be_left_out_and_are_told() -> None:
    told: list[RowFault] = []
    assert read(b"a\tb\nc\nd\te\n", faulty=told.append) == [["a", "b"], ["d", "e"]]
    assert [(one.number, one.code) for one in told] == [(2, "JL-N102")]


def test_a_fault_says_no_value_of_the_row() -> None:
    assert "secret" not in refused(b"secret\n", "JL-N102")


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_the_charset_is_known_from_the_first_letter_beyond_ascii(charset: str) -> None:
    assert read("a\tb\n经络\t医保\n".encode(charset)) == [["a", "b"], ["经络", "医保"]]


def test_one_row_in_another_charset_is_a_fault_of_that_row() -> None:
    assert refused("经络\ta\n".encode() + "经络\ta\n".encode("gbk"), "JL-N103").startswith("row 2:")


def test_lines_of_windows_and_a_last_line_without_an_end_are_read() -> None:
    assert read(b"a\tb\r\nc\td") == [["a", "b"], ["c", "d"]]


def test_reading_goes_on_after_the_lines_that_are_done() -> None:
    text = "".join(f"{n}\t甲{n}\n" for n in range(9)).encode("gbk")
    assert read(text, skip=7) == [["7", "甲7"], ["8", "甲8"]]


def test_a_file_without_a_zip_around_it_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\tb\n")
    assert read(tmp_path / "a.txt") == [["a", "b"]]


def test_two_files_in_a_zip_are_refused() -> None:
    refused(archive(a_txt=b"a\tb\n", b_txt=b"c\td\n"), "JL-N100")


def test_a_zip_without_a_text_is_refused() -> None:
    refused(archive(a_exe=b"MZ"), "JL-N100")


def test_a_name_in_a_zip_is_never_a_path() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("../../etc/cron.d/job.txt", "a\tb\n")
    assert read(made.getvalue()) == [["a", "b"]]


@pytest.mark.parametrize("cut", [3, 40, -1])
def test_a_zip_that_came_only_in_part_is_refused(cut: int) -> None:
    refused(zipped("a.txt", [b"a\tb\n" * 50])[:cut], "JL-N100")


def test_a_zip_with_changed_bytes_is_refused() -> None:
    good = bytearray(zipped("a.txt", [bytes(str(n), "ascii") + b"\tb\n" for n in range(500)]))
    good[60] ^= 0xFF
    refused(bytes(good), "JL-N100")


def test_a_bomb_is_refused_before_it_is_unpacked_whole() -> None:
    bomb = zipped("a.txt", [b"\n" * 1_000_000] * 4)
    assert len(bomb) < 10_000
    assert "larger than" in refused(bomb, "JL-N101")


def test_a_text_over_its_limit_is_refused() -> None:
    refused(zipped("a.txt", [b"a\tb\n" * 1000]), "JL-N101", Limits(unpacked=999))


def test_a_file_over_its_limit_is_refused_unread() -> None:
    refused(zipped("a.txt", [b"a\tb\n"]), "JL-N101", Limits(packed=50))


def test_a_row_without_an_end_is_refused() -> None:
    refused(b"x" * 5_000_000, "JL-N101")


def test_a_zip_whose_directory_lists_very_many_files_is_refused_unread() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for number in range(20_000):
            opened.writestr(f"{number:05}.txt", "")
    assert "directory" in refused(made.getvalue(), "JL-N101")


def test_a_zip_with_a_file_without_a_name_is_refused() -> None:
    good = zipped("a.txt", [b"a\tb\n"])
    at = good.rindex(b"PK\x01\x02")
    bad = bytearray(good[: at + 46] + good[at + 51 :])
    bad[at + 28] = 0
    end = bad.rindex(b"PK\x05\x06")
    bad[end + 12 : end + 16] = (end - at).to_bytes(4, "little")
    refused(bytes(bad), "JL-N100")


def test_what_a_reader_raises_is_not_taken_for_a_broken_zip() -> None:
    with pytest.raises(ValueError, match="of the reader"), text_of(zipped("a.txt", [b"a\n"])):
        raise ValueError("of the reader")


def test_an_encrypted_zip_is_refused_with_the_reason() -> None:
    good = bytearray(zipped("a.txt", [b"a\tb\n"]))
    good[6] |= 1
    good[good.rindex(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refused(bytes(good), "JL-N100")
