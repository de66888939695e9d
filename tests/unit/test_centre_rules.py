"""The published rule by which the insurance centre pays: sums hold to the fen, whatever the bill."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from deploy.sandbox.centre.prices import PRICES, Price, price_of
from deploy.sandbox.centre.rules import Cover, Line, Split, settle, share, split_line, summed

A, B = PRICES["XTEST000000000000001"], PRICES["XTEST000000000000002"]
RESTRICTED, LIMITED = PRICES["XTEST000000000000004"], PRICES["XTEST000000000000005"]


@pytest.mark.parametrize(
    ("price", "approval", "paid"),
    [
        *((A, "0", True), (A, "1", True), (A, "", True), (A, "2", False)),
        *(
            (RESTRICTED, "0", False),
            (RESTRICTED, "1", True),
            (RESTRICTED, "2", False),
            (RESTRICTED, "", False),
        ),
        (price_of("unknown"), "1", False),
    ],
)
def test_approval_and_restriction_together_say_whether_an_item_is_paid(
    price: Price, approval: str, paid: bool
) -> None:
    line = split_line(D(1), D("10.00"), price, approval)
    assert (line.inscp_scp > 0) is paid
    assert (line.fulamt_ownpay == 1000) is not paid


def test_a_line_is_split_by_its_limit_and_its_ratio() -> None:
    assert split_line(D(3), D("12.50"), LIMITED, "0") == Line(3750, 0, 750, 0, 3000)
    assert split_line(D("1.5"), D("10.33"), B, "0") == Line(1550, 0, 0, 155, 1395)
    assert split_line(D("-1.5"), D("10.33"), B, "0") == Line(-1550, 0, 0, -155, -1395)


def test_half_a_fen_goes_up_away_from_zero() -> None:
    assert [share(5, 1000), share(-5, 1000), share(4, 1000), share(15, 1000)] == [1, -1, 0, 2]


def test_the_cap_of_the_year_ends_the_pool_and_the_large_fund_takes_over() -> None:
    bill = Line(10_000_000, 0, 0, 0, 10_000_000)
    cover = Cover("310", "ipt", "3", deducted_fen=80_000, pooled_fen=25_000_000)
    made = settle(bill, cover, use_account=False)
    assert made.hifp == 5_000_000
    assert made.hifob == share(8_500_000 - 5_000_000, 8000)
    resident = settle(
        bill, Cover("390", "ipt", "3", deducted_fen=60_000, pooled_fen=15_000_000), use_account=False
    )
    assert (resident.hifp, resident.hifob, resident.hifmi) == (0, 0, 3_600_000)


def test_who_has_more_pays_less() -> None:
    bill = Line(100_000, 0, 0, 0, 100_000)
    plain = settle(bill, Cover("310", "otp", "3"), use_account=False)
    retired = settle(bill, Cover("310", "otp", "3", retired=True), use_account=False)
    civil = settle(bill, Cover("310", "otp", "3", civil=True), use_account=False)
    assert (plain.hifp, retired.hifp) == (66_500, 71_250)
    assert civil.cvlserv == (100_000 - 66_500 - 5000) // 2
    family = settle(bill, Cover("310", "otp", "3", balance_fen=100, family_fen=200), use_account=True)
    assert (family.own_acct, family.family_acct) == (100, 200)
    assert settle(bill, Cover("310", "pharmacy", ""), use_account=False).funds == 0


_FEN = some.integers(0, 50_000_000)
_LINES = some.lists(
    some.builds(
        split_line,
        some.decimals("0.01", "500", places=4),
        some.decimals("0", "9999", places=6),
        some.sampled_from([*PRICES.values(), price_of("unknown")]),
        some.sampled_from("012"),
    ),
    min_size=1,
    max_size=8,
)
_COVERS: Any = some.builds(
    Cover,
    insutype=some.sampled_from(["310", "390", "510"]),
    setting=some.sampled_from(["otp", "ipt", "pharmacy"]),
    level=some.sampled_from(["1", "2", "3", ""]),
    retired=some.booleans(),
    civil=some.booleans(),
    aided=some.booleans(),
    chronic=some.booleans(),
    balance_fen=_FEN,
    family_fen=_FEN,
    deducted_fen=_FEN,
    pooled_fen=_FEN,
    above_fen=_FEN,
)


@given(_LINES, _COVERS, some.booleans(), some.booleans())
def test_every_sum_holds_to_the_fen(lines: list[Line], cover: Cover, use_account: bool, bears: bool) -> None:
    for line in lines:
        assert line.total_fen == line.fulamt_ownpay + line.overlmt + line.preselfpay + line.inscp_scp
    made = settle(summed(lines), cover, use_account, bears)
    assert made.medfee == sum(line.total_fen for line in lines)
    assert made.medfee == made.fulamt_ownpay + made.overlmt + made.preselfpay + made.inscp_scp
    assert made.medfee == made.funds + made.psn_part + made.hosp_part
    assert made.hosp_part == (made.overlmt if bears else 0)
    assert made.psn_part == made.own_acct + made.family_acct + made.psn_cash
    parts = [getattr(made, name) for name in Split.__slots__]
    assert min([*parts, made.psn_part, made.psn_cash]) >= 0
    assert made.own_acct <= cover.balance_fen
