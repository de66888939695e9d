"""Whose signature UnionPay's answers have, and that they are answers to what was asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from config.errors import Refused, Unreachable
from deploy.sandbox.unionpay.keys import SIGNER, certificate
from endpoints.payment.unionpay.form import parsed
from endpoints.payment.unionpay.gateway import Gateway
from endpoints.payment.unionpay.trust import Trust
from endpoints.rest.sending import Answer
from tests.payment.alipay_parts import Clock, rsa
from tests.payment.unionpay_parts import MERCHANT, sandbox_of, unionpay_options

NOW_MS = Clock().ms


def trusted() -> str:
    return certificate("Root", rsa("unionpay").public_key(), "Root", rsa("unionpay"), 1, True)


def shown(signer: str = SIGNER, issuer: str = "Root", by: str = "unionpay", number: int = 2) -> str:
    return certificate(f"041@X@{signer}@1", rsa("app").public_key(), issuer, rsa(by), number)


def test_a_certificate_counts_only_from_unionpays_authority_and_for_its_signer() -> None:
    trust = Trust(trusted(), SIGNER)
    assert trust.key_of(shown(), NOW_MS) is not None
    assert trust.key_of(shown(signer="somebody else"), NOW_MS) is None
    assert trust.key_of(shown(by="app"), NOW_MS) is None  # it only says that it is from there
    assert trust.key_of(shown(issuer="Another"), NOW_MS) is None
    assert trust.key_of("no certificate", NOW_MS) is None
    assert trust.key_of("", NOW_MS) is None


def test_a_certificate_counts_only_in_its_time() -> None:
    trust = Trust(trusted(), SIGNER)
    assert trust.key_of(shown(), NOW_MS) is not None
    assert trust.key_of(shown(), NOW_MS + 40 * 365 * 86_400_000) is None


def test_who_was_given_a_certificate_gives_none_to_others() -> None:
    leaf = certificate("Leaf", rsa("app").public_key(), "Root", rsa("unionpay"), 3)
    below = certificate(f"041@X@{SIGNER}@1", rsa("alipay").public_key(), "Leaf", rsa("app"), 4)
    assert Trust(trusted() + leaf, SIGNER).key_of(below, NOW_MS) is None


@pytest.mark.parametrize("wrong", ["", "a", "a=1&b", "a={b=1", "a=1&a", "&"])
def test_what_is_no_form_is_no_answer(wrong: str) -> None:
    with pytest.raises(ValueError, match="no fields"):
        parsed(wrong)


async def heard(fields: dict[str, str], status: int = 200, error: Exception | None = None) -> str:
    """respCode of an answer with these fields, signed by UnionPay; '' where it is not believed."""
    sandbox = sandbox_of(Clock())
    body = "&".join(f"{name}={value}" for name, value in sandbox.signed(fields).items()).encode()

    async def ask(method: str, url: str, headers: Mapping[str, str], sent: bytes) -> Answer:
        if error is not None:
            raise error
        return Answer(status, "", {}, body)

    gateway = Gateway(unionpay_options(sandbox), ask, lambda: NOW_MS)
    return (await gateway.query({"orderId": "JL000001", "txnTime": "20260105120000"})).code


async def test_an_answer_to_another_order_is_none() -> None:
    mine = {
        "orderId": "JL000001",
        "txnTime": "20260105120000",
        "merId": MERCHANT,
        "signMethod": "01",
        "respCode": "00",
    }
    assert await heard(mine) == "00"
    assert await heard({**mine, "orderId": "JL000002"}) == ""
    assert await heard({**mine, "txnTime": "20260105120001"}) == ""
    assert await heard({**mine, "merId": "777290000000099"}) == ""
    assert await heard({**mine, "signMethod": "12"}) == ""
    assert await heard(mine, status=500) == ""


async def test_only_what_never_left_is_unreachable() -> None:
    assert await heard({}, error=Unreachable("JL-E221", "silence", maybe_done=True)) == ""
    assert await heard({}, error=Refused("JL-E225", "too large")) == ""
    with pytest.raises(Unreachable):
        await heard({}, error=Unreachable("JL-E220", "no connection"))
