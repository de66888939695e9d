"""Whether the amounts of one insurance transaction add up, as far as its input and output show it.

The identities are those of public sources, 1 to 7, 11 and 12 of their list; those between calls are in `money_calls`.
Provinces differ, and centres err: a difference is a warning and a reason to hold, never a refusal by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.nhsa.amounts import (
    NOTHING,
    Amounts,
    MoneyRules,
    NoAmount,
    no_amount,
    nodes,
    product,
    same,
    whole,
)
from schemas.validation.base import MAX_FAULTS, Fault

POLICY_PARTS = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")
LINE_PARTS = ("fulamt_ownpay_amt", "overlmt_amt", "preselfpay_amt", "inscp_scp_amt")


def problems(infno: str, input_tree: Any, output_tree: Any, rules: MoneyRules) -> list[Fault]:
    """What does not add up; [] also where a transaction has no money. Paths are JSON pointers into the tree that the
    identity is about: `/setlinfo/...` into the output, `/input/...` into the input. A text names the fields and the
    difference, no amount. At most MAX_FAULTS.
    """
    found: list[Fault] = []
    for judged in _judgements(infno, input_tree, output_tree, rules):
        found += told(judged)
        if len(found) >= MAX_FAULTS:
            break
    return list(dict.fromkeys(found))[:MAX_FAULTS]


def told(judged: Iterator[Fault]) -> list[Fault]:
    """All of them; what stands where an amount belongs and is none ends it, and is told too."""
    found: list[Fault] = []
    try:
        found.extend(judged)
    except NoAmount as error:
        found.append(no_amount(str(error)))
    return found


def _judgements(infno: str, asked: Any, answered: Any, rules: MoneyRules) -> Iterator[Iterator[Fault]]:
    if infno in _SETTLEMENTS:
        for node in nodes(answered, "setlinfo"):
            yield from (check(node, rules) for check in (_policy, _shares, _personal, _funds, _family))
            yield _details(node, answered, rules)
    for name in _ASKED_LINES.get(infno, ()):
        yield from (_line(node, rules) for node in nodes(asked, name, "/input"))
    for name in _ANSWERED_LINES.get(infno, ()):
        yield from (_line(node, rules) for node in nodes(answered, name))
    for tree, name, total, parts in _SINGLE.get(infno, ()):
        asks = tree == "input"
        for node in nodes(asked if asks else answered, name, "/input" if asks else ""):
            yield whole(total, parts, node, rules.tolerance)
    if infno == "MP-6201":
        yield from (
            _mobile_lines(node, rules) for name in ("", "data") for node in nodes(asked, name, "/input")
        )


_SETTLEMENTS = frozenset(
    ("2101", "2102", "2103", "2206", "2206A", "2207", "2208", "2303", "2304", "2305", "5203")
)
_ASKED_LINES = {
    "2204": ("feedetail",),
    "2301": ("feedetail",),
    "2101": ("drugdetail",),
    "2102": ("drugdetail",),
}
_ANSWERED_LINES = {
    "2204": ("result",),
    "2301": ("result",),
    "2101": ("detlcutinfo",),
    "2102": ("detlcutinfo",),
    "5204": ("", "output"),  # an array without a name; some centres give it one
}
_PAID = ("feeSumamt", ("ownPayAmt", "psnAcctPay", "fundPay"))
_REFUNDED = ("totlRefdAmt", ("cashRefdAmt", "psnAcctRefdAmt", "fundRefdAmt"))
# transaction: tree, node, total, parts. A mobile message has `data` around it, or has not.
_SINGLE: dict[str, tuple[tuple[str, str, str, tuple[str, ...]], ...]] = {
    name: tuple((tree, node, *sums) for node in ("", "data"))
    for name, tree, sums in (
        ("MP-6202", "output", _PAID),
        ("MP-6301", "output", _PAID),
        ("MP-6302", "input", _PAID),
        ("MP-6203", "input", _REFUNDED),
    )
} | {
    "4101": (("input", "iteminfo", "amt", ("claa_sumfee", "clab_amt", "fulamt_ownpay_amt", "oth_amt")),),
}


def _policy(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """1: by what the catalogue says of each line."""
    yield from whole("medfee_sumamt", POLICY_PARTS, node, rules.tolerance)


def _shares(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """2: by who pays."""
    if not node.has("medfee_sumamt") or not node.has("fund_pay_sumamt"):
        return
    parts = ["fund_pay_sumamt"]
    if rules.fund_holds_account:
        # psn_part_amt counts the account again, and so is no share.
        parts.append("psn_cash_pay")
    elif node.has("psn_part_amt"):
        parts.append("psn_part_amt")
    else:
        parts += _personal_parts(rules)
    if rules.hospital_part and node.has("hosp_part_amt"):
        parts.append("hosp_part_amt")
    yield from whole("medfee_sumamt", parts, node, rules.tolerance)


def _personal_parts(rules: MoneyRules) -> tuple[str, ...]:
    return (*_account_parts(rules), "psn_cash_pay")


def _account_parts(rules: MoneyRules) -> tuple[str, ...]:
    return ("acct_pay", "acct_mulaid_pay") if rules.family_beside_account else ("acct_pay",)


def _personal(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """3: the patient's part."""
    yield from whole("psn_part_amt", _personal_parts(rules), node, rules.tolerance)


def _funds(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """4: the fund's part."""
    parts = [part for part in rules.fund_parts if node.has(part)]
    if parts and rules.fund_holds_account:
        parts += _account_parts(rules)
    yield from whole("fund_pay_sumamt", parts, node, rules.tolerance)


def _family(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """3, where the family's part is within the account's: it cannot be more."""
    if rules.family_beside_account or not node.has("acct_mulaid_pay") or not node.has("acct_pay"):
        return
    over = abs(node.of("acct_mulaid_pay")) - abs(node.of("acct_pay"))
    if over > rules.tolerance:
        yield from same(
            node.path("acct_mulaid_pay"),
            "acct_mulaid_pay",
            abs(node.of("acct_mulaid_pay")),
            abs(node.of("acct_pay")),
            ("acct_pay",),
            rules.tolerance,
        )


def _details(node: Amounts, answered: Any, rules: MoneyRules) -> Iterator[Fault]:
    """5: the fund's part by kinds of fund. Rows of the personal account are compared with what the account paid."""
    rows = list(nodes(answered, "setldetail"))
    if not rows or not node.has("fund_pay_sumamt"):
        return
    account = node.sum(_account_parts(rules))
    funds = node.of("fund_pay_sumamt") - (account if rules.fund_holds_account else 0)
    of_account = [row for row in rows if str(row.node.get("fund_pay_type")) in rules.account_rows]
    of_funds = [row for row in rows if row not in of_account]
    for title, told, these in (("fund_pay_sumamt", funds, of_funds), ("acct_pay", account, of_account)):
        if these or title == "fund_pay_sumamt":
            added = sum((row.of("fund_payamt") for row in these), NOTHING)
            yield from same(
                node.path(title), title, told, added, ("setldetail.fund_payamt",), rules.tolerance
            )


def _line(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """7: a fee line. `cnt` has 4 decimals, `pric` 6."""
    total = "det_item_fee_sumamt"
    yield from whole(total, LINE_PARTS, node, rules.tolerance)
    if all(node.has(name) for name in (total, "cnt", "pric")):
        cost = product(node.of("cnt"), node.of("pric"))
        yield from same(node.path(total), total, node.of(total), cost, ("cnt x pric",), rules.tolerance)


def _mobile_lines(node: Amounts, rules: MoneyRules) -> Iterator[Fault]:
    """11: what is uploaded to the payment centre: the lines are the total, and so are the parts where they are sent."""
    total = "medfeeSumamt"
    lines = list(nodes(node.node, "feedetailList", node.at))
    if lines and node.has(total):
        added = sum((line.of("detItemFeeSumamt") for line in lines), NOTHING)
        yield from same(
            node.path(total),
            total,
            node.of(total),
            added,
            ("feedetailList.detItemFeeSumamt",),
            rules.tolerance,
        )
    parts = ("fulamtOwnpayAmt", "overlmtSelfpay", "preselfpayAmt", "inscpScpAmt")
    if all(node.has(part) for part in parts if part != "overlmtSelfpay"):
        yield from whole(total, parts, node, rules.tolerance)
