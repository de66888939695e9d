"""Whether the amounts of several insurance transactions agree: what a settlement asks before it goes on.

Each gives faults, none raises; a difference is a reason to hold (JL-N402). The identities are 8, 9, 10 and 13 of the
list of public sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from schemas.nhsa.amounts import DISAGREES, NOTHING, MoneyRules, nodes, same
from schemas.nhsa.money import POLICY_PARTS, told
from schemas.validation.base import Fault

_SHARES = ("fund_pay_sumamt", "psn_part_amt", "acct_pay", "psn_cash_pay", "hosp_part_amt", "acct_mulaid_pay")
_COUNT = "fixmedins_setl_cnt"
_STATEMENT = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay", "cash_payamt")


def lines_and_total(lines: Iterable[Mapping[str, Any]], total: Any, rules: MoneyRules) -> list[Fault]:
    """8: all fee lines of a batch (2204), or of a stay (2301), against `medfee_sumamt` of what previews or settles it:
    the object that has it (an input's `data`, or `setlinfo`). Lines have `det_item_fee_sumamt`."""

    def judged() -> Iterator[Fault]:
        for node in nodes(total, ""):
            added = sum((line.of("det_item_fee_sumamt") for line in nodes(list(lines), "")), NOTHING)
            total_told = node.of("medfee_sumamt")
            parts = ("det_item_fee_sumamt",)
            yield from same(
                node.path("medfee_sumamt"),
                "medfee_sumamt",
                total_told,
                added,
                parts,
                rules.tolerance,
                DISAGREES,
            )

    return told(judged())


def preview_and_input(preview: Any, data: Any, rules: MoneyRules) -> list[Fault]:
    """9: `setlinfo` of 2206 (2303) against the `data` with which 2207 (2304) will ask."""
    return _equal(preview, data, ("medfee_sumamt", *POLICY_PARTS), rules)


def preview_and_settlement(preview: Any, settled: Any, rules: MoneyRules) -> list[Fault]:
    """`setlinfo` of 2206 (2303) against that of 2207 (2304): the patient was told, and has paid, the former."""
    return _equal(preview, settled, ("medfee_sumamt", *POLICY_PARTS, *_SHARES), rules)


def settlement_and_cancel(settled: Any, cancelled: Any, rules: MoneyRules) -> list[Fault]:
    """10: `setlinfo` of 2207 (2304, 2102) against that of 2208 (2305, 2103), whichever sign a centre writes."""
    names = ("medfee_sumamt", *POLICY_PARTS, *rules.fund_parts, *_SHARES)
    return _equal(settled, cancelled, names, rules, absolute=True)


def paid_and_refunded(paid: Any, refund: Any, rules: MoneyRules) -> list[Fault]:
    """10 for mobile payment: what MP-6202 or MP-6301 answered against what MP-6203 gives back of all of it."""
    names = {"feeSumamt": "totlRefdAmt", "ownPayAmt": "cashRefdAmt", "psnAcctPay": "psnAcctRefdAmt"}
    return _equal(paid, refund, {**names, "fundPay": "fundRefdAmt"}, rules)


def settlements_and_statement(
    settlements: Iterable[Any],
    cancels: Iterable[Any],
    claimed: Any,
    rules: MoneyRules,
    *,
    apart: bool = False,
) -> list[Fault]:
    """13: `setlinfo` of all settlements and cancels of one group against the `data` with which 3201 will ask.

    `apart`: cancels are a group of their own (refd_setl_flag 1), else they are subtracted.
    """

    def judged() -> Iterator[Fault]:
        made = list(nodes(list(settlements), ""))
        undone = [] if apart else list(nodes(list(cancels), ""))
        for node in nodes(claimed, ""):
            if node.has(_COUNT) and not undone:  # whether cancels count is each province's own
                made_of = ("setlinfo",)
                yield from same(
                    f"/{_COUNT}", _COUNT, node.of(_COUNT), Decimal(len(made)), made_of, NOTHING, DISAGREES
                )
            for name in _STATEMENT:
                if not node.has(name):
                    continue
                own = "psn_cash_pay" if name == "cash_payamt" else name
                added = sum((one.of(own) for one in made), NOTHING) - sum(
                    (abs(one.of(own)) for one in undone), NOTHING
                )
                yield from same(
                    f"/{name}", name, node.of(name), added, ("setlinfo",), rules.tolerance, DISAGREES
                )

    return told(judged())


def _equal(
    first: Any,
    second: Any,
    names: Iterable[str] | Mapping[str, str],
    rules: MoneyRules,
    *,
    absolute: bool = False,
) -> list[Fault]:
    """The amounts that both have."""
    pairs = names if isinstance(names, Mapping) else {name: name for name in names}

    def judged() -> Iterator[Fault]:
        for one, other in zip(nodes(first, ""), nodes(second, ""), strict=False):
            for name, its in pairs.items():
                if not one.has(name) or not other.has(its):
                    continue
                now, before = other.of(its), one.of(name)
                if absolute:
                    now, before = abs(now), abs(before)
                yield from same(
                    other.path(its), its, now, before, (f"{name} before",), rules.tolerance, DISAGREES
                )

    return told(judged())
