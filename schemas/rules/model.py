"""Rules of consultation fees (诊查费统筹) as values: which hold for whom and when, and how they divide a fee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Literal

Rounding = Literal["half-up", "down", "up"]
ROUNDINGS: Mapping[str, str] = {"half-up": ROUND_HALF_UP, "down": ROUND_DOWN, "up": ROUND_UP}

# What a question says in codes, and how people call it. The values are the site's own: of its HIS, or of 1901.
CODES: Mapping[str, str] = {
    "nature": "挂号性质",
    "med_type": "医疗类别",
    "insutype": "险种类型",
    "level": "医院等级",
    "channel": "渠道",
}
NAMES: Mapping[str, str] = {
    **CODES,
    "age": "年龄",
    "at": "日期",
    "fee": "诊查费",
    "shown": "已显示的统筹金额",
}


@dataclass(frozen=True, slots=True)
class Share:
    """What the fund pays: an amount, or a ratio of the fee, and of that at most `cap_fen`. Never more than the fee."""

    amount_fen: int | None = None
    ratio: Decimal | None = None
    cap_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`codes` are those that it names, of each kind any of them; what it does not name may be anything."""

    id: str
    share: Share
    line: int = 0
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    age_from: Decimal | None = None  # years; it holds from this birthday on
    age_below: Decimal | None = None  # and until the day before this one
    first: date | None = None  # the first and the last day on which it holds
    last: date | None = None
    fee_fen: int | None = None  # the fee, where the table says it
    otherwise: bool = False  # it holds only where no other rule does
    why: str = ""  # the document that says so

    def names(self, what: str) -> bool:
        """Whether it depends on this part of a question."""
        return (
            self.age_from is not None or self.age_below is not None if what == "age" else what in self.codes
        )

    def overlaps(self, other: Rule) -> bool:
        """Whether there can be a question for which both hold."""
        return (
            self.otherwise == other.otherwise
            and all(self.codes[one] & other.codes[one] for one in self.codes.keys() & other.codes.keys())
            and _touch(self.first, self.last, other.first, other.last)
            and _ages_touch(self, other)
        )


def _touch(first: date | None, last: date | None, other_first: date | None, other_last: date | None) -> bool:
    return (first or date.min) <= (other_last or date.max) and (other_first or date.min) <= (last or date.max)


def _ages_touch(one: Rule, other: Rule) -> bool:
    begin = max(one.age_from or Decimal(0), other.age_from or Decimal(0))
    ends = [age for age in (one.age_below, other.age_below) if age is not None]
    return not ends or begin < min(ends)


@dataclass(frozen=True, slots=True)
class Rules:
    """A table of them. `digest` changes with its text."""

    name: str
    title: str
    rounding: Rounding
    rules: tuple[Rule, ...]
    source: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Who registers, for what, when. What is None was not said."""

    at: date
    codes: Mapping[str, str] = field(default_factory=dict)
    age: Decimal | None = None
    fee_fen: int | None = None
    shown_fen: int | None = None  # the fund's part that the patient was shown before


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that was looked at, and why it holds, or does not."""

    rule: Rule
    holds: bool
    because: str


@dataclass(frozen=True, slots=True)
class Priced:
    """How a fee is divided, and why: `fund_fen` and `own_fen` are all of `fee_fen`."""

    rule: Rule
    fee_fen: int
    fund_fen: int
    own_fen: int
    trace: tuple[Step, ...]

    def __post_init__(self) -> None:
        # Asserted of every one that is made: a fen that nobody pays, or that two pay, is a bug and stays loud.
        if self.fund_fen + self.own_fen != self.fee_fen or min(self.fund_fen, self.own_fen) < 0:
            raise AssertionError("the parts are not the fee")
