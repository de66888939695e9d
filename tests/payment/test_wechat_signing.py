"""Our signatures and seals against another implementation's, the public SDK `wechatpayv3`, in both directions."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3 import utils as sdk

from config import sm2
from config.crypto import digest
from endpoints.payment.wechat.signing import Signing, Unsigned, request_text
from tests.payment.alipay_parts import Clock, private_pem, public_pem, rsa
from tests.payment.wechat_parts import API_KEY, APP, MERCHANT, SERIAL, WechatShop, simulator, wechat_shop

KEY_ID = "PUB_KEY_ID_0100000001"
BODY = '{"description":"门诊缴费","amount":{"total":3650}}'.encode()


@functools.cache
def ours() -> Signing:
    keys = {KEY_ID: public_pem(rsa("wechat"))}
    return Signing("rsa", API_KEY, keys, 300, MERCHANT, SERIAL, private_pem(rsa("merchant")))


def test_the_sdk_signs_a_request_as_we_do() -> None:
    header = ours().authorization("POST", "/v3/pay/transactions/native", BODY, 1767571200, "N0NCE")
    theirs = sdk.rsa_sign(
        rsa("merchant"), f"POST\n/v3/pay/transactions/native\n1767571200\nN0NCE\n{BODY.decode()}\n"
    )
    assert header.startswith('WECHATPAY2-SHA256-RSA2048 mchid="1900000001",nonce_str="N0NCE",')
    assert f'signature="{theirs}"' in header
    text = request_text("GET", "/v3/x?mchid=1", 1, "n", b"").decode()
    assert text == "GET\n/v3/x?mchid=1\n1\nn\n\n"


def test_the_sdk_verifies_what_we_sign_and_we_what_it_signs() -> None:
    signed = ours().signed(b"1767571200\nN0NCE\n" + BODY + b"\n")
    assert sdk.rsa_verify("1767571200", "N0NCE", BODY.decode(), signed, rsa("merchant").public_key())
    theirs = sdk.rsa_sign(rsa("wechat"), f"1767571200\nN0NCE\n{BODY.decode()}\n")
    headers = {
        "wechatpay-timestamp": "1767571200",
        "wechatpay-nonce": "N0NCE",
        "wechatpay-serial": KEY_ID,
        "wechatpay-signature": theirs,
    }
    ours().verify(headers, BODY, 1767571300)
    with pytest.raises(Unsigned, match="JL-P101"):
        ours().verify(headers, BODY + b" ", 1767571300)


def test_what_the_simulator_seals_the_sdk_and_we_open_alike() -> None:
    sandbox = simulator(Clock())
    notice = sandbox.notice(
        "TRANSACTION.SUCCESS", "transaction", {"mchid": MERCHANT, "名": "值"}, "JL1", "http://x/"
    )
    resource = json.loads(notice.body)["resource"]
    theirs = sdk.aes_decrypt(resource["nonce"], resource["ciphertext"], resource["associated_data"], API_KEY)
    assert json.loads(theirs) == ours().opened(resource) == {"mchid": MERCHANT, "名": "值"}
    cut = resource | {"ciphertext": resource["ciphertext"][:-8] + "AAAAAAA="}
    for wrong in (cut, resource | {"associated_data": "refund"}, resource | {"algorithm": "none"}, {}):
        with pytest.raises(Unsigned, match="JL-P103"):
            ours().opened(wrong)


def test_a_sensitive_field_that_we_seal_the_sdk_opens() -> None:
    text, serial = ours().sealed("6222020000000000000")
    assert serial == KEY_ID
    assert sdk.rsa_decrypt(text, rsa("wechat")) == "6222020000000000000"


@functools.cache
def sm_pair() -> Any:
    return sm2.key_pair(bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"))


def test_a_request_in_sm2_is_signed_in_der_and_verifies() -> None:
    private = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
    signing = Signing("sm", API_KEY, {"K": "04" + sm_pair().point.hex()}, 300, MERCHANT, SERIAL, private)
    header = signing.authorization("POST", "/v3/x", BODY, 1, "n")
    assert header.startswith("WECHATPAY2-SM2-WITH-SM3 mchid=")
    signature = sm2.unhex_or_base64(header.partition('signature="')[2].rstrip('"'))
    assert signature[0] == 0x30
    assert sm2.verify(sm_pair().point, request_text("POST", "/v3/x", 1, "n", BODY), signature)
    with pytest.raises(ValueError, match="国密"):
        signing.sealed("6222")


def test_the_key_of_notices_in_sm4_is_the_first_half_of_the_sm3_of_the_apiv3_key() -> None:
    sandbox = simulator(Clock(), "sm")
    notice = sandbox.notice("REFUND.SUCCESS", "refund", {"mchid": MERCHANT}, "R1", "http://x/")
    resource = json.loads(notice.body)["resource"]
    signing = Signing("sm", API_KEY, sandbox.keys, 300)
    assert resource["algorithm"] == "AEAD_SM4_GCM"
    assert signing.opened(resource) == {"mchid": MERCHANT}
    assert len(digest(API_KEY.encode())) == 32
    assert AESGCM(API_KEY.encode())  # in RSA mode all 32 bytes are the key


@pytest.fixture
async def shop() -> AsyncIterator[WechatShop]:
    async with wechat_shop() as made:
        yield made


async def test_the_sdk_takes_the_simulators_answers_for_wechats(shop: WechatShop) -> None:
    """So what our channel is tried against is not our own reading of the protocol alone."""
    shop.clock.at = time.time()  # by which the SDK signs
    pay = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=MERCHANT,
        private_key=private_pem(rsa("merchant")),
        cert_serial_no=SERIAL,
        apiv3_key=API_KEY,
        appid=APP,
        notify_url="http://127.0.0.1:9/n",
        public_key=shop.sandbox.keys[KEY_ID],
        public_key_id=KEY_ID,
    )
    pay._core._gate_way = shop.sandbox.url
    asked = {"description": "门诊缴费", "out_trade_no": "JLSDK1", "amount": {"total": 3650}}
    status, said = await asyncio.to_thread(pay.pay, **asked)
    assert (status, "code_url" in json.loads(said)) == (200, True)
    shop.sandbox.pays("JLSDK1")
    status, said = await asyncio.to_thread(pay.query, out_trade_no="JLSDK1")
    assert json.loads(said)["trade_state"] == "SUCCESS"
    notice = shop.sandbox.notices[0]
    heard = pay.callback(dict(shop.sandbox.headers_of(notice)), notice.body.decode())
    assert heard["resource"]["out_trade_no"] == "JLSDK1"
