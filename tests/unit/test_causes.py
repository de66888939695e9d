"""Dead letters of one cause are one line, and no patient stands in it."""

from __future__ import annotations

import pytest

from router.causes import Letter, cause_of, grouped, key_of


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("no patient 'P0001' in ward 12", "no patient … in ward …"),
        ("PID-3.1 is missing at $PV1-19 [2]", "PID-3.1 is missing at $PV1-19 […]"),
        ("AR: 患者P0001不存在, order 2026-01-05T08:00:00, id 0197a3c2", "AR: 患者…不存在, order …, id …"),
        ("unknown name 测试^甲 of “测试甲”", "unknown name … of …"),
        ("bad value \"a b c\" and 'x'", "bad value … and …"),
        ("the receiver doesn't answer, it isn't there", "the receiver doesn't answer, it isn't there"),
        ("1 2,  3 of ABC-123456", "… of …"),
        ("cannot reach lis.hospital:2576", "cannot reach …"),
    ],
)
def test_what_is_of_one_message_only_is_taken_out_of_a_reason(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause


def test_a_messages_own_searchable_values_are_taken_out_however_they_are_written() -> None:
    values = ["测试甲", "Zhao", "Zhao Four", "A"]
    assert cause_of("患者测试甲已出院, see Zhao Four: A bed", values) == "患者…已出院, see …: A bed"


def test_a_long_reason_is_cut() -> None:
    assert len(cause_of("words and " * 100)) == 160


def test_letters_of_one_cause_are_counted_together_and_keep_their_key() -> None:
    letters = [Letter(f"{n:032x}", "adt", "lis", "AR", "no patient …", 1000 - n) for n in range(500)]
    other = Letter("f" * 32, "adt", "emr", "AR", "no patient …", 7)
    found = grouped(iter([other, *letters]), 1000)
    assert [(d.destination, d.count, d.oldest_ms, d.newest_ms, d.example) for d in found.groups] == [
        ("lis", 500, 501, 1000, letters[0].id),
        ("emr", 1, 7, 7, other.id),
    ]
    assert found.groups[0].key == key_of("adt", "lis", "AR", "no patient …") == letters[3].key
    assert (found.looked, found.whole) == (501, True)
    some = grouped(iter([other, *letters]), 100)
    assert (some.groups[0].count, some.looked, some.whole) == (99, 100, False), "it says what it has not seen"
