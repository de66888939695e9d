"""Transports of the insurance gateways: worked examples, and what YAML may say of one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from config.errors import Refused
from config.models import problems_of
from config.secrets import Secret
from config.settings import ROOT
from endpoints.insurance.transports import base
from endpoints.insurance.transports.base import Call, Transport, TransportOptions, opened
from endpoints.insurance.transports.shipped import AnyTransport

NOW_S, NONCE = 1705285800.9, "a1b2c3d4e5f6"
X_TIF = {"kind": "x-tif", "account": "YY01", "secret": Secret("TESTKEY")}
CSB = {
    "kind": "csb", "service": "hssServives", "access_key": "AK", "secret": Secret("SK"), "version": "1.0.0"
}  # fmt: skip


def made(said: dict[str, Any], url: str = "https://centre.local/fsi") -> Transport:
    options: TransportOptions = TypeAdapter[Any](AnyTransport).validate_python(said)
    return opened(options, url)


def asked(said: dict[str, Any], infno: str = "2207", path: str = "", now_s: float = NOW_S) -> Call:
    return made(said).request(infno, path, b"{}", now_s, NONCE)


def test_x_tif_signs_time_key_nonce_time() -> None:
    call = asked(X_TIF)
    assert call.url == "https://centre.local/fsi/2207"
    assert call.headers == {
        "x-tif-paasid": "YY01",
        "x-tif-timestamp": "1705285800",
        "x-tif-nonce": NONCE,
        "x-tif-signature": "f50b72f305def017178d496ded36cb1682128b976dc5019b0830616432604dce",
    }


def test_x_tif_writes_its_signature_in_capitals_where_a_gateway_wants_them() -> None:
    signature = asked({**X_TIF, "upper_case": True}).headers["x-tif-signature"]
    assert signature == "F50B72F305DEF017178D496DED36CB1682128B976DC5019B0830616432604DCE"


def test_x_tif_goes_to_the_path_of_the_table_where_the_gateway_has_services() -> None:
    said = {**X_TIF, "address": "path"}
    assert asked(said, path="/fsi/api/x/y").url == "https://centre.local/fsi/fsi/api/x/y"
    with pytest.raises(Refused, match="JL-N390") as refused:
        asked(said)
    assert not refused.value.retry


def test_self_pay_uploads_may_have_a_gateway_and_an_account_of_their_own() -> None:
    other = {"transactions": ["42*"], "url": "https://other.local", "account": "ZF02", "secret": "OTHER"}
    said = {**X_TIF, "others": [other, {"transactions": ["4201A", "5301"], "account": "NEVER"}]}
    call = asked(said, "4201A")
    assert call.url == "https://other.local/4201A"
    assert call.headers["x-tif-paasid"] == "ZF02"
    signed = hashlib.sha256(f"1705285800OTHER{NONCE}1705285800".encode()).hexdigest()
    assert call.headers["x-tif-signature"] == signed
    assert asked(said, "5301").headers["x-tif-paasid"] == "NEVER"
    assert asked(said, "2207").headers["x-tif-paasid"] == "YY01"
    assert asked(said, "5301").url == "https://centre.local/fsi/5301"


def test_csb_signs_its_own_headers_by_hmac_sha1() -> None:
    call = asked(CSB, now_s=1705285800.0)
    assert call.url == "https://centre.local/fsi"
    assert call.headers == {
        "_api_name": "hssServives",
        "_api_version": "1.0.0",
        "_api_access_key": "AK",
        "_api_timestamp": "1705285800000",
        "_api_signature": "sLkk9C06Vr8lCM+j3E2wp68koAw=",
    }


def test_csb_counts_milliseconds() -> None:
    headers = asked(CSB).headers
    told = b"_api_access_key=AK&_api_name=hssServives&_api_timestamp=1705285800900&_api_version=1.0.0"
    assert base64.b64decode(headers["_api_signature"]) == hmac.digest(b"SK", told, "sha1")


def test_a_front_end_server_gets_the_key_or_nothing() -> None:
    assert asked({"kind": "plain"}) == ("https://centre.local/fsi/2207", {})
    assert asked({"kind": "plain", "address": "base"}).url == "https://centre.local/fsi"
    assert asked({"kind": "apikey", "api_key": "K"}).headers == {"apikey": "K"}
    assert asked({"kind": "apikey", "api_key": "K", "header": "x-key"}).headers == {"x-key": "K"}


class System(BaseModel):
    transport: AnyTransport


WRONG = [
    ({"kind": "x-tiff"}, "kind must be one of apikey, csb, plain, x-tif"),
    ({}, "kind must be one of apikey, csb, plain, x-tif"),
    ({**X_TIF, "secret": ""}, "secret: "),
    ({**X_TIF, "key": "K"}, "unknown key 'key'"),
    ({"kind": "csb", "service": "s", "access_key": "AK"}, "'secret' is missing"),
    ({**X_TIF, "others": [{"transactions": ["*"]}]}, "no number of a transaction"),
]


@pytest.mark.parametrize(("said", "text"), WRONG)
def test_what_is_wrong_with_a_transport_is_said_in_our_words(said: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        System.model_validate({"transport": said})
    (problem,) = problems_of(error.value, System)
    assert text in problem.message


def test_the_nearest_key_is_of_the_transport_that_was_named() -> None:
    with pytest.raises(ValidationError) as error:
        System.model_validate({"transport": {**X_TIF, "acount": "YY01"}})
    (problem,) = problems_of(error.value, System)
    assert problem.hint == "did you mean 'account'?"


def test_no_secret_shows_itself() -> None:
    options = System.model_validate({"transport": X_TIF}).transport
    assert "TESTKEY" not in repr(options)


def test_the_schema_for_editors_knows_all_transports() -> None:
    told = str(System.model_json_schema())
    assert all(f"'{name}'" in told for name in ("x-tif", "csb", "apikey", "plain"))


def test_a_sites_own_transport_is_written_as_the_manual_says(monkeypatch: pytest.MonkeyPatch) -> None:
    manual = (ROOT / "endpoints/insurance/transports/README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    monkeypatch.setattr(base.transports, "_things", dict(base.transports._things))
    exec(compile(code, "our_province.py", "exec", dont_inherit=True), {"__name__": "our_province"})
    said = {"kind": "our-province", "token": "T"}
    assert asked(said) == ("https://centre.local/fsi/2207", {"x-token": "T"})
