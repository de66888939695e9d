"""A day's account for people and programs: as JSON in yuan, and as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from endpoints.insurance.statement_kept import Account, Statement
from schemas.nhsa.statement import Amounts, yuan
from schemas.nhsa.statement_judge import KINDS_ZH, Difference

STATES_ZH = {"open": "未对账", "equal": "平", "unequal": "不平", "refused": "中心拒绝", "unknown": "结果未知"}
COLUMNS = (
    *(
        "kind",
        "insutype",
        "clr_type",
        "setl_optins",
        "refd_setl_flag",
        "setl_id",
        "mdtrt_id",
        "psn_no",
        "msgid",
    ),
    *("centre_medfee", "centre_fund", "centre_account", "ours_medfee", "ours_fund", "ours_account"),
    *("his_medfee", "his_fund", "his_account", "memo", "do", "办理"),
)


def tree(made: Statement) -> dict[str, Any]:
    """Amounts are Decimal, in yuan."""
    return {
        "system": made.system,
        "begin": made.begin,
        "end": made.end,
        "equal": made.equal,
        "ended": bool(made.ended_ms),
        "his": made.his,
        "groups": [_group(account) for account in made.accounts],
        "differences": [_difference(one) for one in differences(made)],
        "unread": [
            {"msgid": one.msgid, "infno": one.infno, "code": one.code, "text": one.text}
            for one in made.unread
        ],
    }


def differences(made: Statement) -> Iterator[Difference]:
    """The centre's first, then those of our own books."""
    for detail in made.details:
        yield from detail.differences
    yield from made.differences


def unexplained(made: Statement) -> list[Account]:
    """Groups that are unequal, though 3202 names no row of them: its sums are of other rows than its list."""
    told = {(d.key.setl_optins, d.key.clr_type, d.key.flag) for d in made.details if d.done and d.differences}
    return [
        account
        for account in made.accounts
        if account.state == "unequal"
        and (account.key.setl_optins, account.key.clr_type, account.key.flag) not in told
    ]


def rows(made: Statement) -> Iterator[tuple[str, ...]]:
    """A difference a row, by COLUMNS."""
    for one in differences(made):
        key = one.key
        yield (
            f"{one.kind} {KINDS_ZH[one.kind]}",
            *(key.insutype, key.clr_type, key.setl_optins, "1" if one.cancel else "0"),
            *(one.setl_id, one.mdtrt_id, one.psn_no, one.msgid),
            *(*_three(one.centre), *_three(one.ours), *_three(one.his)),
            *(one.memo, one.advice.en, one.advice.zh),
        )


def _three(amounts: Amounts | None) -> tuple[str, str, str]:
    if amounts is None:
        return "", "", ""
    return str(yuan(amounts.medfee_fen)), str(yuan(amounts.fund_fen)), str(yuan(amounts.account_fen))


def _group(account: Account) -> dict[str, Any]:
    key = account.key
    return {
        "setl_optins": key.setl_optins,
        "insutype": key.insutype,
        "clr_type": key.clr_type,
        "refd_setl_flag": key.flag,
        "medfee_sumamt": yuan(account.medfee_fen),
        "fund_pay_sumamt": yuan(account.fund_fen),
        "acct_pay": yuan(account.account_fen),
        "cash_payamt": yuan(account.cash_fen),
        "fixmedins_setl_cnt": account.count,
        "state": account.state,
        "stmt_rslt": account.rslt,
        "text": account.text,
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "insutype": one.key.insutype,
        "clr_type": one.key.clr_type,
        "setl_optins": one.key.setl_optins,
        "refd_setl_flag": "1" if one.cancel else "0",
        "setl_id": one.setl_id,
        "mdtrt_id": one.mdtrt_id,
        "psn_no": one.psn_no,
        "msgid": one.msgid,
        "centre": _amounts(one.centre),
        "ours": _amounts(one.ours),
        "his": _amounts(one.his),
        "memo": one.memo,
        "do": {
            "en": one.advice.en,
            "zh": one.advice.zh,
            "transaction": one.advice.transaction,
            "input": one.advice.input,
        },
    }


def _amounts(amounts: Amounts | None) -> dict[str, Any] | None:
    if amounts is None:
        return None
    cash = {} if amounts.cash_fen is None else {"cash_payamt": yuan(amounts.cash_fen)}
    return {
        "medfee_sumamt": yuan(amounts.medfee_fen),
        "fund_pay_sumamt": yuan(amounts.fund_fen),
        "acct_pay": yuan(amounts.account_fen),
        **cash,
    }
