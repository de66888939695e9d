"""The SM2/SM4 envelope: the worked example to the letter, and a platform of the test's own as the other side."""

from __future__ import annotations

import base64
import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config import sm2, sm2_gmssl, sm2_openssl
from config.crypto import digest
from config.models import problems_of
from config.secrets import UNNEEDED, Secret
from config.sm4 import Sm4Ecb
from endpoints.insurance.sm_envelope import BadEnvelope, Envelope, EnvelopeOptions, derived_key
from endpoints.insurance.sm_text import json_text, read_json, shortened, sign_text, without_empty

APP, SECRET = "TESTAPP000000000000000000000001A", "TESTSECRET0000000000000000000001"
OURS = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
THEIRS = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21"
AT_S = 1705285800.0  # 2024-01-15 10:30:00 in China
DATA: dict[str, Any] = {
    "orgCodg": "H99999900001",
    "feeType": "01",
    "medfeeSumamt": Decimal("36.5"),
    "memo": "",
    "extData": {},
    "feedetailList": [{"pric": "36.50", "cnt": "1", "feedetlSn": "F0001"}],
}
SIGNED = (
    f"appId={APP}&data="
    '{"feeType":"01","feedetailList":[{"cnt":"1","feedetlSn":"F0001","pric":"36.50"}],'
    '"medfeeSumamt":36.5,"orgCodg":"H99999900001"}'
    f"&encType=SM4&signType=SM2&timestamp=20240115103000&version=2.0.1&key={SECRET}"
)
ENCRYPTED = (
    "4CE34326BF81C8D946F10A9EEF35A1607E773BD64128B661C48FE222E37C5898711859F3695D2D903C801A7FA3BD557C"
    "DCBB7DCA2411B33F6CF3A08FAF4EFB2133F8CFBE4FA1611B65A6C03DE4C3865F77B3438B1E98E07D07C5A406F542CFDA"
    "4C011D4B88A183E99B5BF65C3D70D4BF8268B92046B6F3761956D04E8D8F8860B9377198C81E205A66D6D83ACE269D07"
    "82B51463A7C63B016BB8FE7A2B9FFBD0"
)


def options(**more: Any) -> EnvelopeOptions:
    said: dict[str, Any] = {"app_id": APP, "app_secret": SECRET, "private_key": OURS}
    return EnvelopeOptions(
        **{**said, "platform_key": sm2.key_pair(bytes.fromhex(THEIRS)).point.hex(), **more}
    )


def platform(**more: Any) -> Envelope:
    """The other side: the same keys, held the other way round."""
    return Envelope(options(private_key=THEIRS, platform_key=_point(OURS), **more))


def _point(private: str) -> str:
    return sm2.key_pair(bytes.fromhex(private)).point.hex()


def test_sm4_encrypts_the_standards_example() -> None:
    """GB/T 32907-2016, A.1: one block, whose own padding is a second one."""
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    cipher = Sm4Ecb(key)
    sealed = cipher.encrypt(key)
    assert sealed[:16].hex() == "681edf34d206965e86b3e94f536e4246"
    assert cipher.decrypt(sealed) == key
    for wrong in (sealed[:-1], sealed[:16], b"", bytes(16)):
        with pytest.raises(ValueError, match=r".*"):
            cipher.decrypt(wrong)


def test_the_key_is_derived_as_in_the_worked_example() -> None:
    assert derived_key(APP, SECRET) == b"546B6241695D4926"


def test_the_sign_text_is_that_of_the_worked_example() -> None:
    body = {
        "version": "2.0.1", "appId": APP, "encType": "SM4", "signType": "SM2", "timestamp": "20240115103000",
        "data": DATA, "signData": "x", "encData": "y", "extra": "z",
    }  # fmt: skip
    assert sign_text(body, SECRET) == SIGNED
    assert digest(SIGNED.encode()).hex() == "db7f4ac16a2ec9986bf35eafd73addd02cfb9cc89f1b9c8010a04b4ecedadde5"


def test_a_request_is_that_of_the_worked_example_and_its_signature_is_good() -> None:
    sent = json.loads(Envelope(options()).request(DATA, AT_S).wire)
    signature = base64.b64decode(sent.pop("signData"))
    assert sent == {
        "appId": APP, "version": "2.0.1", "encType": "SM4", "signType": "SM2", "timestamp": "20240115103000",
        "encData": ENCRYPTED,
    }  # fmt: skip
    assert len(signature) == 64
    point = bytes.fromhex(_point(OURS))
    assert all(one.verify(point, SIGNED.encode(), signature) for one in sm2.backends())


def test_the_openssl_command_decrypts_what_is_sent(tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(bytes.fromhex(ENCRYPTED))
    command = ["openssl", "enc", "-d", "-sm4-ecb", "-K", b"546B6241695D4926".hex()]
    shown = subprocess.run(
        [*command, "-in", str(tmp_path / "sealed")], check=True, capture_output=True
    ).stdout
    assert json.loads(shown, parse_float=Decimal) == DATA
    assert shown.decode() == json_text(DATA)


def test_the_portal_has_its_own_names_and_escapes_what_is_not_ascii() -> None:
    sent = json.loads(Envelope(options(variant="portal")).request({"drName": "张三"}, AT_S).wire)
    assert sent["appCode"] == APP
    assert sent["version"] == "1.0.0"
    assert "encData" not in sent
    shown = Sm4Ecb(derived_key(APP, SECRET)).decrypt(bytes.fromhex(sent["data"]))
    assert shown == b'{"drName":"\\u5f20\\u4e09"}'
    told = f'appCode={APP}&data={{"drName":"张三"}}&encType=SM4&signType=SM2&timestamp=20240115103000'
    told += f"&version=1.0.0&key={SECRET}"
    signature = base64.b64decode(sent["signData"])
    assert sm2.verify(bytes.fromhex(_point(OURS)), told.encode(), signature)


@pytest.mark.parametrize("variant", ["payment", "portal"])
def test_what_the_platform_answers_is_read_with_its_amounts(variant: str) -> None:
    answer = (
        platform(variant=variant).answer({"ordStas": "6", "fundPay": Decimal("50.4"), "空": "张"}, AT_S).wire
    )
    opened = Envelope(options(variant=variant)).opened(answer)
    assert opened.signed
    assert opened.data == {"ordStas": "6", "fundPay": Decimal("50.4"), "空": "张"}
    assert opened.head["code"] == "0"
    assert opened.head["success"] == "true"


def test_what_is_kept_of_both_ways_is_in_plain_form_and_proves_the_signature() -> None:
    ours, theirs = Envelope(options()), platform()
    sent = ours.request(DATA, AT_S)
    kept = json.loads(sent.plain, parse_float=Decimal)
    assert kept["data"] == DATA
    assert sign_text(kept, SECRET) == SIGNED
    assert kept["signData"] == json.loads(sent.wire)["signData"]
    heard = ours.opened(theirs.answer({"fundPay": Decimal("50.4")}, AT_S).wire)
    kept = json.loads(heard.plain, parse_float=Decimal)
    signature = base64.b64decode(kept["signData"])
    assert sm2.verify(bytes.fromhex(_point(THEIRS)), sign_text(kept, SECRET).encode(), signature)


def answered(data: str, told: str, **changed: Any) -> bytes:
    """An answer whose data is this text, and whose signature is over that one."""
    signature = sm2.key_pair(bytes.fromhex(THEIRS)).sign(told.encode())
    sealed = Sm4Ecb(derived_key(APP, SECRET)).encrypt(data.encode()).hex()
    made = {"code": 0, "message": None, "encData": sealed, "signData": base64.b64encode(signature).decode()}
    return json.dumps({**made, **changed}).encode()


def test_numbers_verify_as_they_stand_and_as_a_float_would_write_them() -> None:
    ours = Envelope(options())
    for amount in ("36.50", "36.5"):
        told = f'code=0&data={{"a":{amount},"b":100}}&key={SECRET}'
        opened = ours.opened(answered('{"b": 100, "a": 36.50, "c": ""}', told))
        assert opened.data == {"b": 100, "a": Decimal("36.50"), "c": ""}
    with pytest.raises(BadEnvelope, match="JL-N302"):
        ours.opened(answered('{"a": 36.50}', f'code=0&data={{"a":36.51}}&key={SECRET}'))


def test_what_the_platform_did_not_sign_is_told_apart() -> None:
    ours = Envelope(options())
    good = answered("{}", f"code=0&key={SECRET}")
    assert ours.opened(good).signed
    tampered = json.loads(good) | {"code": 1}
    with pytest.raises(BadEnvelope, match="JL-N302"):
        ours.opened(json.dumps(tampered).encode())
    with pytest.raises(BadEnvelope, match="JL-N302"):
        ours.opened(answered("{}", "", signData="no base64"))
    with pytest.raises(BadEnvelope, match="JL-N302"):
        ours.opened(answered("{}", "", signData="无"))
    unsigned = {key: value for key, value in json.loads(good).items() if key != "signData"}
    assert not ours.opened(json.dumps(unsigned).encode()).signed
    other = Envelope(options(platform_key=_point(OURS)))
    with pytest.raises(BadEnvelope, match="JL-N302"):
        other.opened(good)


def test_an_error_may_come_without_data_and_in_clear() -> None:
    ours = Envelope(options())
    opened = ours.opened(b'{"code": 40001, "message": "no such app", "success": false}')
    assert (opened.data, opened.head["code"], opened.signed) == (None, "40001", False)
    opened = ours.opened('{"code": "1", "data": {"why": "无", "n": 1.10}}'.encode())
    assert opened.data == {"why": "无", "n": Decimal("1.10")}


NO_ENVELOPE = [b"", b"<html>", b"[]", b"\xff", b'{"code": NaN}', b'{"encData": "zz"}', b'{"encData": "00"}',
               b'{"message": "\\ud800"}',
               b'{"data": {"a": 1, "a": 2}, "encData": ""}', b"[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("body", NO_ENVELOPE, ids=lambda body: repr(body[:12]))
def test_what_is_no_envelope_is_said_to_be_none(body: bytes) -> None:
    ours = Envelope(options())
    if b'"a"' in body:
        body = answered('{"a": 1, "a": 2}', f'code=0&data={{"a":2}}&key={SECRET}')
    with pytest.raises(BadEnvelope, match=r"JL-N30[13]"):
        ours.opened(body)


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(-(10**12), 10**12, places=4)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, st.booleans())
def test_json_of_any_tree_reads_as_the_same_tree(tree: Any, escaped: bool) -> None:
    text = json_text(tree, escaped=escaped)
    assert json.loads(text, parse_float=Decimal) == tree
    assert not escaped or text.isascii()
    assert json_text(read_json(text), escaped=escaped) == text
    assert shortened(read_json(text)) == read_json(text)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), TREES))
def test_what_is_signed_does_not_hang_on_order_or_on_what_is_empty(tree: dict[str, Any]) -> None:
    turned = dict(reversed(list(tree.items())))
    assert sign_text(turned, "s") == sign_text(tree, "s") == sign_text(without_empty(tree), "s")


def test_numbers_leave_without_an_exponent_and_without_zeros_at_the_end() -> None:
    told = [Decimal("36.50"), Decimal("3650E-2"), Decimal("1E+3"), Decimal("100.00"), Decimal("-0.0"), 7, 0.1]
    assert json_text(told) == "[36.5,36.5,1000,100,0,7,0.1]"
    for wrong in (Decimal("NaN"), Decimal("1E+200"), float("inf"), b"x", {1}):
        with pytest.raises(ValueError, match=r"number|JSON value"):
            json_text([wrong])


def test_wrong_keys_are_refused_before_anything_is_sent_and_not_shown() -> None:
    for wrong in ({"private_key": "MTIz"}, {"platform_key": "04"}, {"app_secret": ""}, {"app_id": "short"}):
        with pytest.raises(ValidationError) as error:
            options(**wrong)
        assert len(error.value.errors()) == 1
    assert SECRET not in repr(options(app_secret=Secret(SECRET)))
    assert OURS not in repr(options(private_key=Secret(OURS)))


def test_a_process_that_does_not_run_the_system_needs_no_keys() -> None:
    assert options(private_key=UNNEEDED, app_secret=UNNEEDED, platform_key=UNNEEDED)


def test_without_any_sm2_the_site_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    sm2.backend.cache_clear()
    monkeypatch.setattr(sm2_openssl, "backend", lambda: None)
    try:
        said = options().model_dump()
        made = Envelope(options()).request(DATA, AT_S)
        assert sm2.backend().name == "gmssl"
        assert json.loads(made.wire)["encData"] == ENCRYPTED
        sm2.backend.cache_clear()
        monkeypatch.setattr(sm2_gmssl, "backend", lambda: None)
        with pytest.raises(ValidationError, match="OpenSSL 3") as error:
            EnvelopeOptions.model_validate(said)
        (problem,) = problems_of(error.value, EnvelopeOptions)
        assert problem.hint == "pip install 'jingluo[gm]'"
    finally:
        sm2.backend.cache_clear()


def test_the_time_is_chinas_or_unix_time() -> None:
    def told(way: str) -> str:
        sent = json.loads(Envelope(options(timestamp=way)).request({}, AT_S, {"transType": "ec.query"}).wire)
        assert sent["transType"] == "ec.query"
        return str(sent["timestamp"])

    assert told("compact") == "20240115103000"
    assert told("seconds") == "1705285800"
    assert told("milliseconds") == "1705285800000"
