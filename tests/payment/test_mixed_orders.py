"""WeChat's mixed orders (医保混合支付): both halves or nothing, whatever of them came true."""

from __future__ import annotations

from typing import Any

import pytest
from mixed_parts import KEY, Clinic, asked, sealed

from config.errors import Refused
from endpoints.payment.mixed.amounts import ADD_TYPES, REDUCE_TYPES, Amounts, broken
from endpoints.payment.mixed.person import digest, person_of
from endpoints.payment.mixed.states import States, together


@pytest.fixture
def clinic() -> Clinic:
    made = Clinic()
    made.books.authorise("AUTH1")
    return made


async def test_a_mixed_order_is_made_and_paid_by_both_halves(clinic: Clinic) -> None:
    made = await clinic.ask("create", **asked())
    assert (made["outcome"], made["state"], made["amount"]) == ("OK", "PREPAID", "420.00")
    assert made["prepay"]["mixTradeNo"] in clinic.books.orders
    assert (await clinic.ask("paid", "probe", "do", order=made["order"]))["outcome"] == "PROCESSING"
    clinic.books.pays(made["order"])
    paid = await clinic.ask("paid", "probe", "do", order=made["order"])
    split = {"total": "2020.00", "gov": "1000.00", "self": "450.00", "other": "50.00", "cash": "420.00"}
    assert (paid["outcome"], paid["state"], paid["split"]) == ("OK", "PAID", split)
    assert clinic.centre.settled == {"ORD1"}


async def test_an_order_that_the_insurance_pays_whole_has_no_cash_and_nothing_to_refund(
    clinic: Clinic,
) -> None:
    whole = asked(cash="0", insurance={"gov": "2020", "cash": "0"}, add=[], reduce=[])
    made = await clinic.ask("create", **whole)
    assert made["outcome"] == "OK"
    assert clinic.cash.orders == {}
    clinic.books.pays(made["order"])
    assert (await clinic.ask("paid", "probe", "do"))["outcome"] == "OK"
    assert (await clinic.ask("reverse", "undo", **whole))["outcome"] == "OK"
    assert clinic.payments.given_back == {}


async def test_an_order_of_cash_alone_carries_nothing_of_the_insurance(clinic: Clinic) -> None:
    plain = {
        name: value
        for name, value in asked(amount="420").items()
        if name
        not in ("insurance", "add", "reduce", "pay_order_id", "pay_auth_no", "geo_location", "ordered_at")
    }
    assert (await clinic.ask("create", **plain))["outcome"] == "OK"
    (order,) = clinic.books.orders.values()
    assert not [name for name in order.asked if name.startswith(("med_ins_gov", "pay_order", "pay_auth"))]
    with pytest.raises(Refused, match="CASH_ONLY has no pay_auth_no"):
        await Clinic().ask("create", **plain, pay_auth_no="AUTH1")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": "2020.01"}, "JL-P303"),
        ({"cash": "420.01"}, "JL-P303"),
        ({"insurance": {"gov": "1000", "self": "450", "other": "50", "cash": "501"}}, "JL-P303"),
        ({"cash": "4.205"}, "JL-P302"),
        ({"reduce": [{"type": "DEPOSIT", "amount": "100"}]}, "JL-P302"),
        ({"order_type": "PAY"}, "JL-P301"),
        ({"payer": {"name": "测试"}}, "JL-P301"),
        ({"pay_auth_no": ""}, "JL-P301"),
        ({"geo_location": "here"}, "JL-P301"),
        ({"ordered_at": "20260105093000"}, "JL-P301"),
        ({"number": "JL1"}, "JL-P301"),
    ],
)
async def test_what_would_not_be_taken_never_leaves(clinic: Clinic, wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as error:
        await clinic.ask("create", **asked(**wrong))
    assert error.value.code == code
    assert clinic.wire.calls == []
    assert clinic.cash.orders == {}


async def test_f16_an_order_whose_answer_was_lost_is_the_same_order(clinic: Clinic) -> None:
    clinic.wire.acts = ["lost"]
    assert (await clinic.ask("create", **asked()))["outcome"] == "UNKNOWN"
    again = await clinic.ask("created", "probe", "do", **asked())
    assert (again["outcome"], again["prepay"]["mixTradeNo"]) == ("OK", next(iter(clinic.books.orders)))
    assert len(clinic.books.orders) == 1


async def test_f26_insurance_without_cash_is_refused_and_has_no_cash_to_give_back(clinic: Clinic) -> None:
    made = await clinic.ask("create", **asked())
    clinic.books.pays(made["order"], cash=False)
    half = await clinic.ask("paid", "probe", "do")
    assert (half["outcome"], half["half"], half["state"]) == ("REJECTED", "INSURANCE", "FAILED")
    assert (await clinic.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    assert clinic.cash.back == {}


async def test_f27_cash_without_insurance_is_refused_and_goes_back_once(clinic: Clinic) -> None:
    made = await clinic.ask("create", **asked())
    clinic.books.pays(made["order"], insurance=False)
    half = await clinic.ask("paid", "probe", "do")
    assert (half["outcome"], half["half"]) == ("REJECTED", "CASH")
    for _ in range(2):
        assert (await clinic.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    assert list(clinic.cash.back.values()) == [42000]
    assert clinic.order.state == "REFUNDED"
    assert (await clinic.ask("created", "probe", "undo"))["outcome"] == "OK"


async def test_f28_a_lost_notice_is_made_good_by_the_query(clinic: Clinic) -> None:
    made = await clinic.ask("create", **asked())
    clinic.books.pays(made["order"])  # WeChat tells nobody
    clinic.wire.acts = ["lost"]
    assert (await clinic.ask("paid", "probe", "do"))["outcome"] == "UNKNOWN"
    assert (await clinic.ask("paid", "probe", "do"))["outcome"] == "OK"


async def test_f29_an_expired_authorisation_ends_the_order_and_its_prepay(clinic: Clinic) -> None:
    clinic.books.now_s = 601
    made = await clinic.ask("create", **asked())
    assert (made["outcome"], made["code"], made["state"]) == ("REJECTED", "268510610", "FAILED")
    assert [state for state, _ in clinic.cash.orders.values()] == ["CLOSED"]


async def test_closing_after_the_password_waits_and_then_gives_back(clinic: Clinic) -> None:
    made = await clinic.ask("create", **asked())
    clinic.books.password(made["order"])
    refused = await clinic.ask("reverse", "undo", **asked())
    assert (refused["outcome"], refused["code"]) == ("UNKNOWN", "268560650")
    clinic.books.pays(made["order"])
    assert (await clinic.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    assert list(clinic.cash.back.values()) == [42000]


async def test_an_order_that_nobody_paid_is_closed(clinic: Clinic) -> None:
    await clinic.ask("create", **asked())
    closed = await clinic.ask("reverse", "undo", **asked())
    assert (closed["outcome"], closed["state"]) == ("OK", "CLOSED")
    assert clinic.cash.back == {}


async def test_wechat_is_told_of_the_insurances_refund_with_the_number_of_the_cash_refund(
    clinic: Clinic,
) -> None:
    number = (await clinic.ask("number"))["order"]
    await clinic.ask("create", **asked(number=number))
    clinic.books.pays(number)
    await clinic.ask("paid", "probe", "do", order=number)
    await clinic.ask("refund", order=number)
    clinic.wire.acts = ["", "lost"]
    assert (await clinic.ask("told", "undo"))["outcome"] == "UNKNOWN"
    assert (await clinic.ask("numbered", "probe", "undo"))["outcome"] == "OK"
    assert (await clinic.ask("told", order=number))["outcome"] == "OK"
    (order,) = clinic.books.orders.values()
    (told,) = order.told
    assert [told["out_refund_no"]] == list(clinic.cash.back)
    assert (told["med_refund_total_fee"], told["med_refund_gov_fee"]) == (150000, 100000)


async def test_nothing_is_told_of_an_order_that_was_never_made(clinic: Clinic) -> None:
    assert (await clinic.ask("told", "undo"))["outcome"] == "OK"
    assert clinic.wire.calls == []


def test_the_three_states_are_read_together() -> None:
    """Every combination has one meaning, and none that contradicts itself is money."""
    halves = ("CREATED", "SUCCESS", "REFUND", "FAIL", "NONE", "")
    mixes = ("CREATED", "SUCCESS", "REFUND", "FAIL", "USER_PAYING", "REVERSED", "")
    for mix in mixes:
        for cash in halves:
            for insurance in halves:
                what = together(States(mix, cash, insurance))
                if what == "PAID":
                    assert mix == "SUCCESS"
                    assert {cash, insurance} <= {"SUCCESS", "NONE"}
                if what in ("NOTHING", "REFUNDED"):
                    assert "SUCCESS" not in (cash, insurance)
                if what == "CASH":
                    assert cash == "SUCCESS"
                    assert insurance != "SUCCESS"
                if what == "INSURANCE":
                    assert insurance == "SUCCESS"
                    assert cash != "SUCCESS"


@pytest.mark.parametrize("add", ADD_TYPES)
@pytest.mark.parametrize("reduce", REDUCE_TYPES)
def test_additions_and_reductions_of_every_type_count(add: str, reduce: str) -> None:
    amounts = Amounts(1100, 500, 200, 100, 250, 200, ((add, 50),), ((reduce, 100),))
    assert broken(amounts) == ""
    assert broken(Amounts(1100, 500, 200, 100, 250, 201, ((add, 50),), ((reduce, 100),)))


def test_an_identity_number_leaves_as_an_encrypted_digest() -> None:
    from base64 import b64decode

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    told = person_of({"name": "测试", "id": "44030019000101123x"}, lambda text: sealed(text)[0], "payer")
    assert KEY.decrypt(b64decode(told["id_digest"]), oaep) == b"09eb26e839ff3a2e3980352ae45ef09e"
    assert KEY.decrypt(b64decode(told["name"]), oaep).decode() == "测试"
    assert digest("44030019000101123x") == digest(" 44030019000101123X")
