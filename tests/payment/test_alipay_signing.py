"""What we sign Alipay's own rules accept, as python-alipay-sdk has them, and the other way round."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy.sandbox.alipay import AlipaySandbox
from endpoints.payment.alipay.gateway import Gateway
from endpoints.payment.alipay.options import AlipayOptions
from endpoints.payment.alipay.signing import notice_holds, root_serial, serial, sign
from endpoints.payment.keys import private_key, public_key
from tests.payment.alipay_parts import APP_ID, NOON, alipay_options, private_pem, public_pem, rsa

sdk = pytest.importorskip("alipay")
TEXTS = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.text("aZ0 =&+%中文\"'", min_size=1, max_size=20),
    min_size=1,
)


@functools.cache
def theirs() -> Any:
    return sdk.AliPay(
        APP_ID,
        app_private_key_string=private_pem(rsa("app")),
        alipay_public_key_string=public_pem(rsa("alipay")),
    )


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_the_sdk_verifies_what_we_sign_and_we_what_it_signs(fields: dict[str, str]) -> None:
    ours = sign(rsa("alipay"), fields, "utf-8")
    assert theirs().verify(dict(fields), ours)
    signed = theirs()._sign("&".join(f"{name}={fields[name]}" for name in sorted(fields)))
    assert notice_holds(rsa("app").public_key(), {**fields, "sign": signed, "sign_type": "RSA2"}, "utf-8")
    changed = {**fields, next(iter(fields)): "another", "sign": signed}
    assert not notice_holds(rsa("app").public_key(), changed, "utf-8")


async def test_the_sdk_pays_and_refunds_at_our_simulator() -> None:
    sandbox = AlipaySandbox(APP_ID, rsa("app").public_key(), key=rsa("alipay"))
    await sandbox.start()
    try:
        client = theirs()
        client._gateway = sandbox.gateway
        paid = await asyncio.to_thread(
            client.api_alipay_trade_pay, "JL1", "bar_code", "287600000000000001", "门诊", total_amount="12.00"
        )
        assert (paid["code"], paid["total_amount"]) == ("10000", "12.00")
        back = await asyncio.to_thread(
            client.api_alipay_trade_refund, "5.00", out_trade_no="JL1", out_request_no="R1"
        )
        assert back["fund_change"] == "Y"
    finally:
        await sandbox.stop()
    assert sandbox.books.received == 700


def certificate(
    subject: str, key: RSAPrivateKey, issuer: str, signer: RSAPrivateKey, number: int
) -> x509.Certificate:
    def name(of: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example"),
                x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "Example CA"),
                x509.NameAttribute(x509.NameOID.COMMON_NAME, of),
            ]
        )

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    made = made.public_key(key.public_key()).serial_number(number)
    made = made.not_valid_before(begin).not_valid_after(begin + timedelta(days=3650))
    return made.sign(signer, SHA256())


def pem(made: x509.Certificate) -> str:
    return made.public_bytes(Encoding.PEM).decode()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_certificates_have_the_serial_numbers_that_the_sdk_gives_them() -> None:
    app = certificate("app", rsa("app"), "Root", rsa("alipay"), 12345678901234567890)
    root = certificate("Root", rsa("alipay"), "Root", rsa("alipay"), 77)
    gateway_key = certificate("alipay", rsa("alipay"), "Root", rsa("alipay"), 88)
    client = sdk.DCAliPay(
        APP_ID,
        app_notify_url=None,
        app_private_key_string=private_pem(rsa("app")),
        app_public_key_cert_string=pem(app),
        alipay_public_key_cert_string=pem(gateway_key),
        alipay_root_cert_string=f"{pem(root)}\n{pem(app)}",
    )
    assert serial(app) == client.app_cert_sn
    assert root_serial(pem(root) + pem(app)) == client.alipay_root_cert_sn
    options = AlipayOptions.model_validate(
        {
            "app_id": APP_ID,
            "private_key": private_pem(rsa("app")),
            "public_key": pem(gateway_key),
            "app_certificate": pem(app),
            "root_certificates": pem(root),
        }
    )
    asked = Gateway(options, None, lambda: int(NOON * 1000)).asked("alipay.trade.query", {})  # type: ignore[arg-type]
    assert (asked["app_cert_sn"], asked["alipay_root_cert_sn"]) == (serial(app), root_serial(pem(root)))
    assert asked["timestamp"] == "2026-01-05 12:00:00"


def test_a_key_that_cannot_be_read_is_refused_before_anything_runs() -> None:
    sandbox = AlipaySandbox(APP_ID, rsa("app").public_key(), key=rsa("alipay"))
    with pytest.raises(ValidationError, match="no RSA private key"):
        alipay_options(sandbox, private_key="secret")
    with pytest.raises(ValidationError, match="go together"):
        alipay_options(sandbox, app_certificate="x")


def test_keys_are_read_as_the_channels_own_tools_write_them() -> None:
    text = private_pem(rsa("app"))
    bare = "".join(text.splitlines()[1:-1])
    assert private_key(bare).private_numbers() == rsa("app").private_numbers()
    bare = "".join(public_pem(rsa("app")).splitlines()[1:-1])
    assert public_key(bare).public_numbers() == rsa("app").public_key().public_numbers()
