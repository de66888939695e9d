"""The pipe functions, by kind of value: dates, numbers and money, text and lists, people and places."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.hl7v2 import Hl7v2
from transforms.functions import (
    dates,
    identifiers,
    lists,
    money,
    names,
    numbers,
    registrations,
    telephones,
    times,
)
from transforms.functions.addresses import address
from transforms.functions.bytes import cut_bytes, length_bytes
from transforms.functions.encodings import base64
from transforms.functions.lists import slice_
from transforms.functions.patterns import matches, replace_match
from transforms.functions.quantities import range_flag
from transforms.manual import plain
from transforms.pipes import Unusable, Whole, pattern, reach, signature

# Dates.


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
        "2026年13月1日",
        "2026年2月30日",
        "2026/2/30",
        "二〇二六年十三月",
        "26年2月5日",
        "年",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    for func in (dates.date, dates.datetime, dates.hl7datetime):
        with pytest.raises(Unusable):
            func(text)


def test_a_date_keeps_its_precision_and_a_time_its_zone() -> None:
    assert [dates.date(text) for text in ("2026", "202601", "2026-01-05T08:00Z")] == [
        "2026",
        "2026-01",
        "2026-01-05",
    ]
    assert dates.datetime("2026010508", zone=dates.Zone("Z")) == "2026-01-05T08:00:00Z"
    assert dates.datetime("20260105080000+0000") == "2026-01-05T08:00:00+00:00"
    assert dates.hl7datetime("2026-01-05T08:00:00.25Z") == "20260105080000.25+0000"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026年", "2026"),
        ("2026年2月", "2026-02"),
        ("2026年02月05日", "2026-02-05"),
        ("2026年2月5日 9时", "2026-02-05T09:00:00+08:00"),
        ("2026年2月5日9点5分", "2026-02-05T09:05:00+08:00"),
        ("2026年2月5日 09:05:07", "2026-02-05T09:05:07+08:00"),
        ("2026年2月5日9时5分7秒", "2026-02-05T09:05:07+08:00"),
        ("一九四九年十月一日", "1949-10-01"),
        ("二○二六年十二月三十一日", "2026-12-31"),
        ("2026/02/05 14:30", "2026-02-05T14:30:00+08:00"),
        ("2026020514", "2026-02-05T14:00:00+08:00"),
        ("202602051430", "2026-02-05T14:30:00+08:00"),
    ],
)
def test_chinese_and_short_forms_are_read(text: str, iso: str) -> None:
    assert dates.datetime(text) == iso


@given(st.datetimes())
@settings(max_examples=50)
def test_hl7_and_fhir_times_turn_into_each_other(at: Any) -> None:
    text = f"{at:%Y%m%d%H%M%S}".rjust(14, "0") + "+0800"
    assert dates.hl7datetime(dates.datetime(text)) == text


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)))
@settings(max_examples=50)
def test_a_time_comes_back_from_other_zones_and_from_the_epoch(at: Any) -> None:
    text = f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + "+08:00"
    assert times.date_zone(times.date_zone(text, zone=dates.Zone("-05:30")), zone=dates.CHINA) == text
    assert times.from_epoch(str(times.epoch(text))) == text


def test_a_time_that_no_clock_shows_is_refused() -> None:
    for func in (dates.time, dates.hl7time):
        with pytest.raises(Unusable):
            func("2560")


def test_what_is_not_precise_enough_is_not_guessed() -> None:
    for func, value in ((times.weekday, "202601"), (times.epoch, "20260105")):
        with pytest.raises(Unusable):
            func(value)
    with pytest.raises(Unusable):
        times.date_add("202601", span=times.Span("1d"))
    with pytest.raises(Unusable):
        times.date_difference(["2026", "20260105"])


def test_an_age_is_that_of_the_law() -> None:
    """Full years are completed on the birthday; one born on 29 February waits for 1 March in other years."""
    assert [times.age(["20080301", on]) for on in ("20260228", "20260301")] == [17, 18]
    assert times.age(["20080229", "20260301"]) == 18
    assert times.age(["20260105", "20260105093000"]) == 0
    assert times.age(["20260105"]) is None
    assert times.date_difference(["20260301", "20260131"], in_="months") == -1


# Numbers and money.


def test_money_is_never_rounded_away() -> None:
    assert money.fen("0.1") == 10
    assert money.yuan("5") == "0.05"
    for func in (money.fen, money.yuan_words):
        with pytest.raises(Unusable):
            func("0.001")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        # The examples in the People's Bank's rules for filling in bills (支付结算办法 附一).
        ("1409.50", "壹仟肆佰零玖元伍角"),
        ("6007.14", "陆仟零柒元壹角肆分"),
        ("1680.32", "壹仟陆佰捌拾元叁角贰分"),
        ("107000.53", "壹拾万柒仟元伍角叁分"),
        ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
        ("325.04", "叁佰贰拾伍元零肆分"),
        # Where zeros meet the groups of four digits.
        ("10", "壹拾元整"),
        ("10001", "壹万零壹元整"),
        ("100000000", "壹亿元整"),
        ("100010000", "壹亿零壹万元整"),
        ("20000100.01", "贰仟万零壹佰元零壹分"),
        ("1000000000000", "壹万亿元整"),
        ("0.01", "壹分"),
        ("0.10", "壹角"),
    ],
)
def test_an_amount_in_words(amount: str, words: str) -> None:
    assert money.yuan_words(amount) == f"人民币{words}"


@pytest.mark.parametrize("text", ["1e999999999", "NaN", "Infinity", "x", "1,5", "", "9" * 61])
def test_what_is_no_number_is_refused(text: str) -> None:
    for func in (numbers.number, numbers.integer, numbers.decimal, money.fen, numbers.round_):
        with pytest.raises(Unusable):
            func(text)


def test_numbers_keep_what_was_written() -> None:
    assert repr(numbers.number("7.50")) == repr(Decimal("7.50"))
    assert numbers.number("-3") == -3
    assert str(numbers.multiply("9" * 40, by=Decimal("0.1"))) == "9" * 39 + ".9"


@pytest.mark.parametrize(
    ("result", "range_", "flag"),
    [
        ("5", "3-4", "H"),
        ("3", "3-4", "N"),
        ("<3", "3-4", "L"),
        (">4", "≤4", "H"),
        ("<4", "3-4", None),
        ("x", "3-4", None),
        ("3", "阴性", None),
    ],
)
def test_a_result_is_flagged_only_where_that_is_sure(result: str, range_: str, flag: str | None) -> None:
    assert range_flag([result, range_]) == flag


# Text and lists.


@given(st.text(max_size=20), st.integers(0, 30))
@settings(max_examples=50)
def test_what_is_cut_by_bytes_fits_and_is_whole(text: str, length: int) -> None:
    made = cut_bytes(text, length=length)
    assert length_bytes(made) <= length
    assert text.startswith(made)
    assert made == text or length_bytes(text[: len(made) + 1]) > length


def test_a_pattern_looks_only_at_what_it_can_in_time() -> None:
    slow = pattern("a*b*c*d*x")
    with pytest.raises(Unusable):
        replace_match("a" * (reach(slow, whole=False) + 1), pattern=slow)
    assert matches("a" * 5_000, pattern=slow) is False


def test_of_several_that_differ_none_is_chosen() -> None:
    with pytest.raises(Unusable, match="do not say the same"):
        lists.same(["D01", "D02"])
    assert lists.same([]) is None


def test_a_slice_counts_from_one() -> None:
    items = list("abcd")
    assert [slice_(items, start=s, end=e) for s, e in ((2, 3), (1, -2), (-3, -2), (5, 0), (0, 0))] == [
        ["b", "c"],
        ["a", "b", "c"],
        ["b", "c"],
        [],
        items,
    ]


# Identifiers, people, places.


def test_identifiers_of_different_kinds_never_meet() -> None:
    assert identifiers.uuid("1", of="patient") != identifiers.uuid("1", of="encounter")
    assert identifiers.uuid("1", of="patient") == identifiers.uuid("1", of="patient")


@pytest.mark.parametrize("text", ["34052419800101001X", "11010519491231002X", "440524188001010014"])
def test_the_standards_own_specimen_numbers_are_valid(text: str) -> None:
    assert registrations.citizen_check(text.lower()) == text


@pytest.mark.parametrize(
    "text", ["340524198001010010", "340524198013010017", "34052419800101001", "", "x" * 18]
)
def test_a_wrong_citizen_number_is_nothing_or_refused(text: str) -> None:
    assert registrations.citizen_id(text) is None
    assert registrations.citizen_birth(text) is None
    assert registrations.citizen_division(text) is None
    with pytest.raises(Unusable):
        registrations.citizen_check(text)


def test_an_old_number_of_fifteen_digits_is_made_long() -> None:
    made = registrations.citizen_id("999999800101001")
    assert made is not None
    assert made.startswith("99999919800101001")


@pytest.mark.parametrize(
    "wrong", ["91350100M000100Y4", "91350100M000100Y4O", "91350100I000100Y43", "", "9" * 18]
)
def test_a_wrong_code_of_a_legal_person_is_nothing_or_refused(wrong: str) -> None:
    assert registrations.uscc(wrong) is None
    with pytest.raises(Unusable):
        registrations.uscc_check(wrong)


@pytest.mark.parametrize(
    ("whole", "family", "given_name"),
    [
        ("李四", "李", "四"),
        ("司马光", "司马", "光"),
        ("东方", "东", "方"),
        ("令狐 冲", "令狐", "冲"),
        ("叶赫那拉小明", "叶赫那拉", "小明"),
        ("歐陽小明", "歐陽", "小明"),
        ("王", None, None),
        ("Li", None, None),
    ],
)
def test_a_chinese_name_is_divided(whole: str, family: str | None, given_name: str | None) -> None:
    assert (names.family(whole), names.given(whole)) == (family, given_name)


def test_a_name_goes_to_hl7_and_back() -> None:
    made = Hl7v2().build({"MSH": {9: {1: "ADT"}}, "PID": {5: names.xpn("欧阳小明")}})
    written = Hl7v2().encode(made, "UTF-8").decode()
    assert "PID|||||欧阳^小明^^^^^L" in written
    assert names.full_name(["欧阳^小明^^^^^L"]) == "欧阳小明"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("上海市虚构区样板街1号", ("上海市", "上海市", "虚构区", "样板街1号")),
        ("北京市北京市朝阳区", ("北京市", "北京市", "朝阳区", None)),
        ("内蒙古自治区示例盟虚构旗", ("内蒙古自治区", "示例盟", "虚构旗", None)),
        ("广西示例市虚构自治县无名巷2号", ("广西壮族自治区", "示例市", "虚构自治县", "无名巷2号")),
        ("吉林省吉林市虚构区", ("吉林省", "吉林市", "虚构区", None)),
        ("中国广东省示例市虚构镇1号", ("广东省", "示例市", None, "虚构镇1号")),
        ("示例市样板小区3栋", (None, "示例市", None, "样板小区3栋")),
        ("12 Sample Street", (None, None, None, "12SampleStreet")),
    ],
)
def test_an_address_is_divided_as_far_as_it_is_sure(text: str, parts: tuple[str | None, ...]) -> None:
    made = address(text) or {}
    line = made.get("line", [None])[0]
    assert (made.get("state"), made.get("city"), made.get("district"), line) == parts


@pytest.mark.parametrize("text", ["154 0000 00001", "0551", "+8610", "12345678901", "", "abc"])
def test_what_is_no_telephone_number_has_no_international_form(text: str) -> None:
    assert telephones.phone_international(text) is None
    assert telephones.phone_kind(text) is None


def test_what_is_shown_of_a_mask_is_never_all() -> None:
    for text in ("张", "张三", "x"):
        assert names.mask(text, keep=5, end=5) != text or len(text) == 1
    assert telephones.phone_mask("1234") == "****"
    assert registrations.citizen_mask("12345") == "*****"


def test_what_a_function_takes_is_read_from_its_annotations() -> None:
    assert signature(money.fen).takes == "text"
    assert json.loads(plain({"a": [Decimal("1.50"), True]})) == {"a": [1.5, True]}


def test_things_of_one_name_are_kept_apart_and_each_is_called_the_same_whenever_it_is_asked_for() -> None:
    message = Whole(None)
    asked = [["K", 1], ["NA", 2], ["K", 3], ["K", 4]]
    first = [identifiers.apart(pair, message=message) for pair in asked]
    assert first == ["K", "NA", "K #2", "K #3"]
    assert [identifiers.apart(pair, message=message) for pair in reversed(asked)] == first[::-1]
    assert identifiers.apart(["K", 3], message=Whole(None)) == "K"  # another message


@pytest.mark.parametrize(("value", "of"), [("JVBERi0", "base64"), ("见图", "base64"), ("0g", "hex")])
def test_bytes_that_cannot_be_read_are_refused_and_not_shown(value: str, of: Any) -> None:
    with pytest.raises(Unusable) as refused:
        base64(value, of=of)
    assert value not in str(refused.value)
