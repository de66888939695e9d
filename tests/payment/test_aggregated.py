"""An aggregator by a profile: orders of any wallet, both numbers of them, and what happens where answers are lost."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from aggregated_parts import EXAMPLE, SECRET, Counter
from alipay_parts import private_pem, public_pem, rsa

from config.errors import ConfigError, Refused, Unreachable
from deploy.sandbox.aggregator import Signing
from deploy.sandbox.signing import KeyPair
from endpoints.base import Ground
from endpoints.payment.aggregated.notices import AggregatedNoticeOptions, AggregatedNotices
from endpoints.payment.aggregated.options import AggregatedOptions
from endpoints.payment.aggregated.profile import Sign, load
from endpoints.payment.aggregated.signing import Signer
from endpoints.payment.aggregated.words import fen_of
from endpoints.payment.notices import Unproved
from schemas.json import Json


@pytest.fixture
def counter() -> Counter:
    return Counter()


async def made(counter: Counter, method: str = "native") -> str:
    said = await counter.asks("create", amount="36.50", method=method)
    assert (said["outcome"], said["state"]) == ("OK", "PREPAID")
    assert said["code_url"].startswith("https://qr.example.org/")
    return str(said["order"])


@pytest.mark.parametrize("method", ["native", "wechat", "alipay", "ecny"])
async def test_an_order_is_paid_and_both_numbers_of_it_are_kept(counter: Counter, method: str) -> None:
    number = await made(counter, method)
    assert (await counter.asks("paid"))["outcome"] == "PROCESSING"
    counter.aggregator.pays(number)
    paid = await counter.asks("paid")
    trade = counter.aggregator.trades[number]
    assert (paid["outcome"], paid["paid"]) == ("OK", "36.50")
    assert (paid["channel_no"], paid["trade_no"]) == (trade.trade_no, trade.third_no)
    assert trade.pay_type == counter.profile.pay_types[method]
    assert counter.payments.orders[number].paid_ms // 1000 == int(counter.clock.at)


async def test_a_way_of_paying_that_the_profile_has_not_is_refused_before_it_is_on_record(
    counter: Counter,
) -> None:
    with pytest.raises(Refused) as error:
        await counter.asks("create", amount="1", method="bitcoin")
    assert error.value.code == "JL-P341"
    assert counter.payments.orders == {}


async def test_f16_a_lost_answer_gives_the_same_code_again(counter: Counter) -> None:
    counter.acts = ["lost"]
    assert (await counter.asks("create", amount="36.50"))["outcome"] == "UNKNOWN"
    assert (await counter.asks("created", amount="36.50"))["outcome"] == "OK"
    assert len(counter.aggregator.trades) == 1


async def test_an_order_that_was_paid_before_its_answer_is_asked_for_again_is_paid(counter: Counter) -> None:
    counter.acts = ["lost"]
    await counter.asks("create", amount="36.50")
    counter.aggregator.pays(next(iter(counter.aggregator.trades)))
    again = await counter.asks("created", amount="36.50")
    assert (again["outcome"], again["state"]) == ("OK", "PAID")


@pytest.mark.parametrize("act", ["forged", b"<html>502</html>", b'{"code":"0000"', b"[]", "lost"])
async def test_f59_an_answer_that_cannot_be_trusted_says_nothing(counter: Counter, act: str | bytes) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    counter.acts = [act]
    assert (await counter.asks("paid"))["outcome"] == "UNKNOWN"
    assert (await counter.asks("paid"))["outcome"] == "OK"


async def test_nothing_leaves_while_the_aggregator_is_away(counter: Counter) -> None:
    counter.acts = ["away"]
    with pytest.raises(Unreachable):
        await counter.asks("create", amount="36.50")
    assert counter.aggregator.trades == {}


async def test_f18_closing_what_was_paid_meanwhile_keeps_the_money(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    assert (await counter.asks("close"))["outcome"] == "REJECTED"
    assert counter.payments.orders[number].state == "PAID"


async def test_f19_money_after_the_close_is_told_apart(counter: Counter) -> None:
    number = await made(counter)
    assert (await counter.asks("close"))["outcome"] == "OK"
    counter.aggregator.trades[number].state = "NOTPAY"  # the wallet was faster
    counter.aggregator.pays(number)
    seen = await counter.channel.query(counter.payments.orders[number])
    assert (await counter.payments.seen(counter.payments.orders[number], seen)).state == "PAID_AFTER_CLOSE"


@pytest.mark.parametrize("method", ["code", "ecny_code"])
@pytest.mark.parametrize(
    ("word", "outcome"), [("SUCCESS", "OK"), ("USERPAYING", "PROCESSING"), ("PAYERROR", "REJECTED")]
)
async def test_a_payers_code_pays_or_waits_or_fails(
    counter: Counter, method: str, word: str, outcome: str
) -> None:
    counter.aggregator.codes["13000"] = word
    paid = await counter.asks("pay", amount="36.50", method=method, auth_code="13000")
    assert paid["outcome"] == outcome
    if word != "PAYERROR":
        assert (await counter.asks("reverse", direction="undo"))["outcome"] == "OK"
    assert counter.aggregator.balance() == 0


async def test_f46_a_refund_whose_answer_is_lost_is_one_refund(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    counter.acts = ["", "lost"]
    assert (await counter.asks("refund", "S1/back", order=number, amount="6.50"))["outcome"] == "UNKNOWN"
    assert (await counter.asks("refunded", "S1/back"))["outcome"] == "OK"
    assert (await counter.asks("refund", "S1/back", order=number, amount="6.50"))["outcome"] == "OK"
    assert counter.aggregator.balance() == 3000


async def test_f47_a_refund_that_ends_abnormal_stays_owed(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    counter.aggregator.refunds_are = "ABNORMAL"
    assert (await counter.asks("refund", "S1/back", order=number))["state"] == "ABNORMAL"
    assert counter.payments.orders[number].state == "PAID"


async def test_an_aggregator_without_a_reversal_gives_the_money_back_by_a_refund() -> None:
    calls = {name: call for name, call in load(EXAMPLE).calls.items() if name != "reverse"}
    counter = Counter(load(EXAMPLE).model_copy(update={"calls": calls}))
    counter.aggregator.codes["13000"] = "SUCCESS"
    await counter.asks("pay", amount="36.50", method="code", auth_code="13000")
    assert (await counter.asks("reverse", direction="undo"))["outcome"] == "OK"
    (order,) = counter.payments.orders.values()
    assert (order.state, counter.aggregator.balance()) == ("REFUNDED", 0)


async def test_what_goes_back_already_is_not_refused_when_it_is_to_be_reversed() -> None:
    calls = {name: call for name, call in load(EXAMPLE).calls.items() if name != "reverse"}
    counter = Counter(load(EXAMPLE).model_copy(update={"calls": calls}))
    counter.aggregator.codes["13000"] = "SUCCESS"
    paid = await counter.asks("pay", amount="36.50", method="code", auth_code="13000")
    counter.acts = ["lost"]
    await counter.asks("refund", "S2/back", order=paid["order"])
    assert (await counter.asks("reverse", direction="undo"))["outcome"] == "PROCESSING"
    assert (len(counter.payments.given_back), counter.aggregator.balance()) == (1, 0)


async def test_the_days_bill_comes_as_it_is(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    bill = await counter.channel.bill("2026-01-05")
    assert bill is not None
    assert f"{number},AG000000000000000001,3RD".encode() in bill


@pytest.mark.parametrize(("unit", "said", "fen"), [
    ("fen", 3650, 3650), ("fen", "3650", 3650), ("fen", "36.50", -1), ("yuan", "36.50", 3650), ("yuan", "36.505", -1),
    ("yuan", "x", -1), ("yuan", "1e999999", -1), ("fen", -1, -1), ("yuan", "NaN", -1),
])  # fmt: skip
def test_an_amount_is_read_in_the_profiles_unit(unit: str, said: Any, fen: int) -> None:
    assert fen_of(said, load(EXAMPLE).model_copy(update={"unit": unit})) == fen


@pytest.mark.parametrize("kind", ["md5", "hmac-sha256", "rsa", "sm2"])
async def test_every_kind_of_signature_holds_both_ways_and_not_over_a_changed_field(kind: str) -> None:
    if kind == "rsa":
        mine = (private_pem(rsa("shop")), public_pem(rsa("joint")))
        theirs = (private_pem(rsa("joint")), public_pem(rsa("shop")))
    else:
        one, two = KeyPair.new(), KeyPair.new()
        mine = (f"{one.private:064x}", _point(two))
        theirs = (f"{two.private:064x}", _point(one))
    sign = Sign(kind=kind, tail="&key={secret}" if kind in ("md5", "hmac-sha256") else "")  # type: ignore[arg-type]
    ours, other = Signer(sign, SECRET, *mine), Signer(sign, SECRET, *theirs)
    profile = load(EXAMPLE).model_copy(update={"sign": sign})
    counter = Counter(profile, ours, other)
    await made(counter)
    fields = {"amount": 3650, "data": {"a": "b"}}
    signed = {**fields, "sign": other.sign(fields)}
    assert ours.holds(signed)
    assert not ours.holds({**signed, "amount": 3651})
    assert not ours.holds(fields)
    assert not ours.holds({**fields, "sign": "00"})


def _point(pair: KeyPair) -> str:
    return "".join(f"{part:064x}" for part in pair.public)


def test_the_engines_hmac_is_the_sandboxs() -> None:
    """Two implementations."""
    fields = {"b": 2, "a": "中文", "data": {"x": [1, "y"]}, "empty": "", "sign": "?"}
    sign = Sign(kind="hmac-sha256", tail="&key={secret}")
    assert Signer(sign, SECRET, "", "").sign(fields) == Signing(SECRET).sign(fields)


def _door(**more: Any) -> AggregatedNotices:
    options = {
        "path": "/notices/joint",
        "profile": "example",
        "sign_key": SECRET,
        "name": "joint",
        "merchant": "M1",
    }
    return AggregatedNotices(AggregatedNoticeOptions.model_validate(options | more), Ground("notices"))


async def test_a_notice_moves_the_order_once_it_is_proved(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    (told,) = counter.aggregator.notices
    read = _door().understood({}, told.body)
    assert read is not None
    assert (read["kind"], read["amount"], read["order"]) == ("paid", "36.50", number)
    for _ in range(2):
        assert (await counter.asks("noticed", **read))["state"] == "PAID"
    await counter.asks("refund", "S1/back", order=number)
    read = _door().understood({}, counter.aggregator.notices[-1].body)
    assert read is not None
    assert (read["kind"], read["refund"]) == ("refunded", next(iter(counter.payments.given_back)))
    assert (await counter.asks("noticed", **read))["state"] == "SUCCESS"


async def test_f22_a_notice_that_is_not_the_aggregators_is_refused(counter: Counter) -> None:
    number = await made(counter)
    counter.aggregator.pays(number)
    (told,) = counter.aggregator.notices
    tree = Json().decode(told.body)
    assert isinstance(tree, dict)
    for wrong in ({"sign": "0" * 64}, {"data": {**tree["data"], "amount": 1}}):
        with pytest.raises(Unproved, match="does not hold"):
            _door().understood({}, Json().encode(tree | wrong))
    with pytest.raises(Unproved, match="another merchant"):
        _door(merchant="M2").understood({}, told.body)
    for body in (b"", b"[]", b"\xff"):
        with pytest.raises(Unproved):
            _door().understood({}, body)


def test_a_profile_that_could_lose_money_is_refused(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new, told in (
        (
            "  query: {path: /api/pay/query, send: {outTradeNo: $number}}\n",
            "",
            "without query money could be lost",
        ),
        ("$amount", "$amout", "nothing that the engine knows"),
        ("number: outTradeNo", "nummer: outTradeNo", "no field of an order"),
        ("unit: fen ", "unit: cent ", "unit"),
    ):
        path = tmp_path / "wrong.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ConfigError, match=told):
            load(path)


def test_what_a_profile_needs_is_asked_for_at_the_check(tmp_path: Path) -> None:
    base = {"url": "http://127.0.0.1:1", "merchant": "M1", "profile": "example"}
    problems: list[Any] = []
    AggregatedOptions.model_validate(base).files(tmp_path, problems)
    assert "sign_key" in str(problems[0])
    problems.clear()
    AggregatedOptions.model_validate(base | {"profile": "exampel"}).files(tmp_path, problems)
    assert "example" in str(problems[0])
    problems.clear()
    assert AggregatedOptions.model_validate(base | {"sign_key": b64encode(b"x").decode()}).files(
        tmp_path, problems
    )
    assert problems == []


async def test_a_refused_question_about_a_refund_is_no_refused_refund(counter: Counter) -> None:
    """Taken for a no, the refund would count no more, and its money could go back a second time."""
    number = await made(counter)
    counter.aggregator.pays(number)
    counter.acts = ["", "lost"]
    await counter.asks("refund", "S1/back", order=number, amount="6.50")
    order, back = counter.payments.orders[number], next(iter(counter.payments.given_back.values()))
    said = {"code": "1005", "message": "too often"}
    counter.acts = [Json().encode({**said, "sign": Signing(SECRET).sign(said)})]
    assert (await counter.channel.query_refund(order, back)).state == "UNKNOWN"
