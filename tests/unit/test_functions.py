"""The pipe functions: their docstrings are the manual, and the examples in them are tests."""

from __future__ import annotations

import doctest
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.registry import functions as known
from transforms import functions, functions_dates, functions_lists, functions_numbers, functions_people
from transforms.functions_dates import date, datetime, hl7datetime, time
from transforms.pipes import Unusable, signature

MODULES = [functions, functions_lists, functions_numbers, functions_dates, functions_people]
OURS = {
    name: func
    for name in known.known()
    if (func := known.get(name)).__module__ in {module.__name__ for module in MODULES}
}
README = (Path(__file__).parents[2] / "transforms" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted >= 6


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_function_has_an_example_and_stands_in_the_manual(name: str) -> None:
    text = OURS[name].__doc__ or ""
    assert ">>>" in text
    assert f"`{name}" in README, "add it to transforms/README.md"
    assert signature(OURS[name]).takes in ("text", "list", "any")


@pytest.mark.parametrize(
    "text",
    [
        "20261301",
        "20260230",
        "2026010525",
        "20260105T",
        "x",
        "",
        "2026-1-5",
        "20260105080000+1500",
        "00000000",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    for func in (date, datetime, hl7datetime):
        with pytest.raises(Unusable):
            func(text)


def test_a_date_keeps_its_precision_and_a_time_its_zone() -> None:
    assert [date(text) for text in ("2026", "202601", "2026-01-05T08:00Z")] == [
        "2026",
        "2026-01",
        "2026-01-05",
    ]
    assert datetime("2026010508", zone="Z") == "2026-01-05T08:00:00Z"
    assert datetime("20260105080000+0000") == "2026-01-05T08:00:00+00:00"
    assert hl7datetime("2026-01-05T08:00:00.25Z") == "20260105080000.25+0000"


@given(st.datetimes())
def test_hl7_and_fhir_times_turn_into_each_other(at: Any) -> None:
    text = f"{at:%Y%m%d%H%M%S}".rjust(14, "0") + "+0800"
    assert hl7datetime(datetime(text)) == text


def test_a_time_that_no_clock_shows_is_refused() -> None:
    with pytest.raises(Unusable):
        time("2560")


def test_money_is_never_rounded_away() -> None:
    assert functions_numbers.fen("0.1") == 10
    assert functions_numbers.yuan("5") == "0.05"
    with pytest.raises(Unusable):
        functions_numbers.fen("0.001")


@pytest.mark.parametrize("text", ["1e999999999", "NaN", "Infinity", "x", "1,5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for func in (
        functions_numbers.number,
        functions_numbers.integer,
        functions_numbers.decimal,
        functions_numbers.fen,
    ):
        with pytest.raises(Unusable):
            func(text)


def test_numbers_keep_what_was_written() -> None:
    assert repr(functions_numbers.number("7.50")) == repr(Decimal("7.50"))
    assert functions_numbers.number("-3") == -3


def test_identifiers_of_different_kinds_never_meet() -> None:
    assert functions.uuid("1", of="patient") != functions.uuid("1", of="encounter")
    assert functions.uuid("1", of="patient") == functions.uuid("1", of="patient")


@pytest.mark.parametrize("text", ["34052419800101001X", "11010519491231002X", "440524188001010014"])
def test_the_standards_own_specimen_numbers_are_valid(text: str) -> None:
    assert functions_people.citizen_check(text.lower()) == text


@pytest.mark.parametrize(
    "text", ["340524198001010010", "340524198013010017", "34052419800101001", "", "x" * 18]
)
def test_a_wrong_citizen_number_is_nothing_or_refused(text: str) -> None:
    assert functions_people.citizen_id(text) is None
    assert functions_people.citizen_birth(text) is None
    with pytest.raises(Unusable):
        functions_people.citizen_check(text)


def test_an_old_number_of_fifteen_digits_is_made_long() -> None:
    made = functions_people.citizen_id("999999800101001")
    assert made is not None
    assert made.startswith("99999919800101001")


@pytest.mark.parametrize(
    ("whole", "family", "given_name"),
    [
        ("李四", "李", "四"),
        ("司马光", "司马", "光"),
        ("东方", "东", "方"),
        ("令狐 冲", "令狐", "冲"),
        ("王", None, None),
        ("Li", None, None),
    ],
)
def test_a_chinese_name_is_divided(whole: str, family: str | None, given_name: str | None) -> None:
    assert (functions_people.family(whole), functions_people.given(whole)) == (family, given_name)
