"""Rules of consultation fees: which holds, why, and that the parts are the fee."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import BadMessage
from schemas.rules.evaluate import price, question
from schemas.rules.model import Priced, Question, Rule, Rules, Share
from schemas.rules.table import read_rules

DAY = date(2026, 6, 1)
HALF = Share(ratio=Decimal("0.5"))


def table(*rules: Rule, rounding: Any = "half-up") -> Rules:
    return Rules("fees", "", rounding, rules)


def refusal(rules: Rules, **asked: Any) -> tuple[str, str]:
    with pytest.raises(BadMessage) as raised:
        price(rules, question(asked, {}, DAY))
    return raised.value.code, raised.value.path


def write(
    tmp_path: Path, rows: str, name: str = "fees.yaml", head: str = "rules: fees\nrounding: half-up\n"
) -> Path:
    path = tmp_path / name
    path.write_text(f"{head}rows:\n{rows}" if name.endswith("yaml") else rows, encoding="utf-8")
    return path


codes = st.one_of(st.none(), st.frozensets(st.sampled_from("123"), min_size=1))
ages = st.one_of(st.none(), st.integers(0, 3).map(Decimal))
days = st.one_of(st.none(), st.integers(1, 3).map(lambda day: date(2026, 1, day)))


@st.composite
def rule(draw: st.DrawFn, number: int) -> Rule:
    said = {name: draw(codes) for name in ("nature", "med_type")}
    first, last = draw(days), draw(days)
    if first and last and first > last:
        first, last = last, first
    begin, end = draw(ages), draw(ages)
    return Rule(
        str(number),
        Share(
            ratio=Decimal(draw(st.integers(0, 10000))) / 10000,
            cap_fen=draw(st.one_of(st.none(), st.integers(0, 5000))),
        ),
        codes={name: one for name, one in said.items() if one},
        age_from=begin,
        age_below=None if end is None else max(end, begin or Decimal(0)) + 1,
        first=first,
        last=last,
        otherwise=draw(st.booleans()),
    )


def questions() -> list[Question]:
    return [
        Question(date(2026, 1, day), {"nature": nature, "med_type": kind}, Decimal(age), 1001)
        for day, nature, kind, age in itertools.product((1, 2, 3), "1234", "1234", range(6))
    ]


@settings(max_examples=60, deadline=None)
@given(st.tuples(rule(0), rule(1)))
def test_two_rules_overlap_exactly_where_a_question_has_both(pair: tuple[Rule, Rule]) -> None:
    one, other = pair

    def holds(which: Rule, asked: Question) -> bool:
        try:
            return price(table(which), asked).rule is which
        except BadMessage:
            return False

    both = any(holds(one, asked) and holds(other, asked) for asked in questions())
    assert one.overlaps(other) == other.overlaps(one) == (both and one.otherwise == other.otherwise)


@settings(max_examples=100, deadline=None)
@given(rule(0), st.integers(0, 10**6), st.sampled_from(["half-up", "down", "up"]))
def test_the_parts_are_the_fee_and_the_fund_pays_no_more_than_its_cap(
    one: Rule, fee: int, rounding: str
) -> None:
    one = Rule("0", one.share)
    priced = price(table(one, rounding=rounding), Question(DAY, fee_fen=fee))
    assert priced.fund_fen + priced.own_fen == priced.fee_fen == fee
    assert 0 <= priced.fund_fen <= (fee if one.share.cap_fen is None else min(fee, one.share.cap_fen))
    exact = (one.share.ratio or Decimal(0)) * fee
    if one.share.cap_fen is None:
        assert abs(priced.fund_fen - exact) < 1


@pytest.mark.parametrize(("rounding", "fund"), [("half-up", 501), ("down", 500), ("up", 501)])
def test_half_a_fen_goes_where_the_table_says(rounding: str, fund: int) -> None:
    assert price(table(Rule("a", HALF), rounding=rounding), Question(DAY, fee_fen=1001)).fund_fen == fund


def test_an_amount_is_never_more_than_the_fee() -> None:
    priced = price(table(Rule("a", Share(amount_fen=1200))), Question(DAY, fee_fen=1000))
    assert (priced.fund_fen, priced.own_fen) == (1000, 0)


def test_parts_that_are_not_the_fee_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="the parts are not the fee"):
        Priced(Rule("a", HALF), 1000, 500, 501, ())


def test_otherwise_holds_only_where_nothing_else_does_and_every_rule_says_why() -> None:
    rules = table(
        Rule("rest", Share(amount_fen=0), otherwise=True),
        Rule("old", HALF, codes={"nature": frozenset("1")}, age_from=Decimal(60)),
        Rule("gone", HALF, codes={"nature": frozenset("1")}, last=date(2025, 12, 31)),
    )
    asked = question({"nature": "1", "age": 61, "fee": "10.00"}, {}, DAY)
    priced = price(rules, asked)
    assert (priced.rule.id, priced.fund_fen) == ("old", 500)
    assert [(step.rule.id, step.holds, step.because.split("（")[0]) for step in priced.trace] == [
        ("old", True, "all that it names is so"),
        ("gone", False, "it ended on 2025-12-31"),
        ("rest", False, "another rule holds"),
    ]
    assert price(rules, question({"nature": "2", "fee": 10}, {}, DAY)).rule.id == "rest"


def test_a_question_lacks_only_what_a_rule_that_could_hold_depends_on() -> None:
    rules = table(
        Rule("one", HALF, codes={"nature": frozenset("1")}, age_below=Decimal(14), fee_fen=100),
        Rule("two", HALF, codes={"nature": frozenset("2")}, fee_fen=100),
    )
    assert refusal(rules, nature="1") == ("JL-N411", "age")
    assert refusal(rules) == ("JL-N411", "nature")
    assert price(rules, question({"nature": 2}, {}, DAY)).rule.id == "two"


def test_refusals_have_their_reason() -> None:
    rules = table(
        Rule("one", HALF, codes={"nature": frozenset("1")}, fee_fen=1000),
        Rule("two", HALF, codes={"nature": frozenset("2")}),
    )
    assert refusal(rules, nature="3") == ("JL-N410", "")
    assert refusal(rules, nature="2") == ("JL-N412", "fee")
    assert refusal(rules, nature="1", fee="10.01") == ("JL-N412", "fee")
    assert refusal(rules, nature="1", shown="5.01") == ("JL-N413", "shown")
    assert price(rules, question({"nature": "1", "fee": "10", "shown": "5.00"}, {}, DAY)).fund_fen == 500


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ([], ""),
        ({"natur": "1"}, "natur"),
        ({"nature": ["1"]}, "nature"),
        ({"nature": "1" * 51}, "nature"),
        ({"age": "old"}, "age"),
        ({"age": -1}, "age"),
        ({"age": 151}, "age"),
        ({"age": True}, "age"),
        ({"at": "2026-02-30"}, "at"),
        ({"at": "20260228"}, "at"),
        ({"at": 20260228}, "at"),
        ({"fee": "1.005"}, "fee"),
        ({"fee": "-1"}, "fee"),
        ({"fee": "1e3"}, "fee"),
        ({"fee": "1000000.01"}, "fee"),
    ],
)
def test_a_question_that_is_none_says_what_is_wrong_and_does_not_quote_it(asked: Any, where: str) -> None:
    with pytest.raises(BadMessage) as raised:
        question(asked, {}, DAY)
    assert (raised.value.code, raised.value.path) == ("JL-N411", where)


def test_what_a_question_leaves_out_or_leaves_empty_is_the_default() -> None:
    asked = question({"nature": "", "level": "2"}, {"nature": "1", "level": "3"}, DAY)
    assert asked == Question(DAY, {"nature": "1", "level": "2"})


def test_the_same_table_as_yaml_and_as_csv(tmp_path: Path) -> None:
    yaml = write(
        tmp_path,
        "  - {id: a, nature: ['1', '2'], age: {from: 14, below: 60}, valid: {from: 2026-01-01}, fee: 10.10,\n"
        "     fund: {ratio: 0.7, cap: 6.50}}\n"
        "  - {id: b, otherwise: true, fund: {amount: 1.00}, why: 'x, y'}\n",
    )
    csv = write(
        tmp_path,
        "# rounding: half-up\nid,nature,age_from,age_below,from,fee,fund_ratio,fund_cap,fund_amount,otherwise,why\n"
        'a,1|2,14,60,2026-01-01,10.10,0.7,6.50,,,\n\nb,,,,,,,,1.00,true,"x, y"\n',
        "fees.csv",
    )
    one, other = read_rules(yaml, "fees.yaml"), read_rules(csv, "fees.csv")
    assert (one.findings, other.findings) == ((), ())
    assert one.rules is not None
    assert other.rules is not None
    bare = [
        [
            (r.id, r.share, r.codes, r.age_from, r.age_below, r.first, r.fee_fen, r.otherwise, r.why)
            for r in found.rules
        ]
        for found in (one.rules, other.rules)
    ]
    assert bare[0] == bare[1]
    assert [rule.line for rule in one.rules.rules] == [4, 6]
    assert [rule.line for rule in other.rules.rules] == [3, 5]
    assert one.rules.digest != other.rules.digest


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xfe", "JL-C002"),
        (b"rules: [", "JL-C003"),
        (b"", "JL-C171"),
        (b"rules: fees\nrows: []\nrounding: down\n", "JL-C171"),
        (b"rules: fees\nrounding: up\nrows: [{id: a, fund: {amount: 1}, natur: 2}]\n", "JL-C010"),
        (b"rules: fees\nrows: [{id: a, fund: {amount: 1}}]\n", "JL-C011"),
        (b"rules: fees\nrounding: up\nrows: [{id: a, fund: {ratio: '80%'}}]\n", "JL-C171"),
        (
            b"rules: fees\nrounding: up\nrows: [{id: a, age: {from: 9, below: 9}, fund: {amount: 1}}]\n",
            "JL-C171",
        ),
        (b"#" * 2_000_001, "JL-C170"),
    ],
)
def test_a_file_that_is_no_table_is_a_finding(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "fees.yaml"
    path.write_bytes(content)
    read = read_rules(path, "fees.yaml")
    assert read.rules is None
    assert code in {finding.code for finding in read.findings}


def test_a_file_that_is_away_is_a_finding(tmp_path: Path) -> None:
    assert [one.code for one in read_rules(tmp_path / "fees.yaml", "fees.yaml").findings] == ["JL-C170"]


def test_a_table_has_at_most_two_thousand_rules(tmp_path: Path) -> None:
    rows = [f"  - {{id: r{n}, nature: n{n}, fund: {{amount: 1}}}}\n" for n in range(2001)]
    assert read_rules(write(tmp_path, "".join(rows[:2000])), "fees.yaml").rules is not None
    assert read_rules(write(tmp_path, "".join(rows)), "fees.yaml").rules is None
