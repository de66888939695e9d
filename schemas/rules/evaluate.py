"""Which rule holds for a question, why, and what it makes of the fee. Pure, in whole fen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from config.errors import BadMessage
from config.models import did_you_mean
from config.registry import nearest
from schemas.nhsa.amounts import NoAmount, amount
from schemas.rules.model import CODES, NAMES, ROUNDINGS, Priced, Question, Rule, Rules, Step

NONE_HOLDS = "JL-N410"
NOT_ASKED = "JL-N411"  # a question that lacks something, or says it wrongly
FEE = "JL-N412"
SHOWN = "JL-N413"

_LONGEST = 50  # characters of a code
_OLDEST = 150  # years
_DEAREST_FEN = 10**8  # a million yuan is no consultation fee


def question(asked: Any, defaults: Mapping[str, str], today: date) -> Question:
    """What was asked, as a tree of text and numbers; what it leaves out is `defaults`', and `at` today.

    Raises BadMessage (JL-N411) with the name of what is wrong.
    """
    if not isinstance(asked, Mapping):
        raise BadMessage(NOT_ASKED, f"an object is wanted, with {', '.join(NAMES)}（需要一个对象）")
    for key in asked:
        if key not in NAMES:
            near = did_you_mean(nearest(str(key), list(NAMES)), list(NAMES))
            raise BadMessage(
                NOT_ASKED, f"a question has no such part; {near}（没有这一项）", str(key)[:_LONGEST]
            )
    said = {key: value for key, value in {**defaults, **_filled(asked)}.items() if value not in (None, "")}
    return Question(
        at=_date(said["at"]) if "at" in said else today,
        codes={name: _code(name, said[name]) for name in CODES if name in said},
        age=_age(said["age"]) if "age" in said else None,
        fee_fen=_fen("fee", said["fee"]) if "fee" in said else None,
        shown_fen=_fen("shown", said["shown"]) if "shown" in said else None,
    )


def _filled(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if value not in (None, "")}


def _wrong(name: str, en: str, zh: str) -> BadMessage:
    return BadMessage(NOT_ASKED, f"{en}（{NAMES[name]}{zh}）", name)


def _code(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise _wrong(name, f"a code of at most {_LONGEST} characters is wanted", "应为代码")
    return value


def _date(value: Any) -> date:
    try:
        if not isinstance(value, str) or len(value) != len("2026-01-31"):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise _wrong("at", "a date is wanted, as 2026-01-31", "应为日期，如2026-01-31") from None


def _age(value: Any) -> Decimal:
    try:
        years = amount(value)
    except NoAmount:
        years = Decimal(-1)
    if not 0 <= years <= _OLDEST:
        raise _wrong("age", f"years are wanted, from 0 to {_OLDEST}", "应为周岁")
    return years


def _fen(name: str, value: Any) -> int:
    try:
        fen = amount(value) * 100
    except NoAmount:
        fen = Decimal(-1)
    if not 0 <= fen <= _DEAREST_FEN or fen != int(fen):
        raise _wrong(name, "yuan with at most two decimals are wanted", "应为金额（元，两位小数）")
    return int(fen)


def price(rules: Rules, asked: Question) -> Priced:
    """Raises BadMessage: JL-N410 no rule holds, JL-N411 a rule depends on what was not said, JL-N412 the fee is not
    known or is another one than the table's, JL-N413 the patient was shown another split.
    """
    steps = tuple(_steps(rules, asked))
    step = next((step for step in steps if step.holds), None)
    if step is None:
        raise BadMessage(NONE_HOLDS, f"no rule of {rules.name} holds（没有适用的规则）")
    rule = step.rule
    fee_fen = _fee(rule, asked)
    fund_fen = min(fee_fen, _share(rule, fee_fen, rules.rounding))
    if asked.shown_fen is not None and asked.shown_fen != fund_fen:
        raise BadMessage(
            SHOWN, "the patient was shown another amount: show this one（与已显示的统筹金额不符）", "shown"
        )
    return Priced(rule, fee_fen, fund_fen, fee_fen - fund_fen, steps)


def _fee(rule: Rule, asked: Question) -> int:
    fee_fen = rule.fee_fen if asked.fee_fen is None else asked.fee_fen
    if fee_fen is None:
        raise BadMessage(
            FEE, f"neither the question nor the rule {rule.id} says the fee（未给出诊查费）", "fee"
        )
    if rule.fee_fen is not None and rule.fee_fen != fee_fen:
        raise BadMessage(FEE, f"the rule {rule.id} is of another fee（与规则中的诊查费不符）", "fee")
    return fee_fen


def _share(rule: Rule, fee_fen: int, rounding: str) -> int:
    share = rule.share
    if share.ratio is not None:
        fund_fen = int((share.ratio * fee_fen).quantize(Decimal(1), ROUNDINGS[rounding]))
    else:
        fund_fen = share.amount_fen or 0
    return fund_fen if share.cap_fen is None else min(fund_fen, share.cap_fen)


def _steps(rules: Rules, asked: Question) -> Iterator[Step]:
    """Every rule with its reason, those that hold otherwise last. Tables have no two that hold."""
    found = False
    for rule in sorted(rules.rules, key=lambda rule: rule.otherwise):
        if rule.otherwise and found:
            yield Step(rule, False, "another rule holds（已有适用的规则）")
            continue
        because = _against(rule, asked)
        found = found or not because
        yield Step(rule, not because, because or "all that it names is so（全部条件符合）")


def _against(rule: Rule, asked: Question) -> str:
    """Why it does not hold; ''. What was said is looked at first: only where all of that is so, and there is more to
    know, the question lacks it.
    """
    if rule.first is not None and asked.at < rule.first:
        return f"it begins on {rule.first}（{rule.first}起生效）"
    if rule.last is not None and asked.at > rule.last:
        return f"it ended on {rule.last}（{rule.last}止）"
    for name, wanted in rule.codes.items():
        if name in asked.codes and asked.codes[name] not in wanted:
            return f"{name} is not {_either(wanted)}（{NAMES[name]}不是{'、'.join(sorted(wanted))}）"
    if asked.age is not None and not (rule.age_from or 0) <= asked.age:
        return f"age is below {rule.age_from}（未满{rule.age_from}岁）"
    if asked.age is not None and rule.age_below is not None and asked.age >= rule.age_below:
        return f"age is {rule.age_below} or more（已满{rule.age_below}岁）"
    for name in (*CODES, "age"):
        said = asked.age is not None if name == "age" else name in asked.codes
        if rule.names(name) and not said:
            raise BadMessage(
                NOT_ASKED, f"the rule {rule.id} depends on it: say it（缺少{NAMES[name]}，规则需要）", name
            )
    return ""


def _either(wanted: frozenset[str]) -> str:
    return " or ".join(sorted(wanted))
