"""SM2 signatures: the standard's example, openssl's own, and both back-ends held against each other."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signing import sm2_key

from config import sm2

# GB/T 32918.5-2017, A.2: the key, and the signature of "message digest".
POINT = (
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
PEM = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
BACKENDS = [pytest.param(sm2.by_openssl(), id="openssl"), pytest.param(sm2.by_gmssl(), id="gmssl")]


@pytest.mark.parametrize("verify", BACKENDS)
def test_the_example_of_the_standard_is_good_and_nothing_beside_it(verify: sm2.Verify | None) -> None:
    assert verify is not None, "the system's OpenSSL knows no SM2"
    point = sm2.point_of(POINT)
    assert verify(point, b"message digest", SIGNATURE)
    assert not verify(point, b"message digesT", SIGNATURE)
    for at in (0, 31, 32, 63):
        changed = bytearray(SIGNATURE)
        changed[at] ^= 1
        assert not verify(point, b"message digest", bytes(changed))


def test_what_openssl_signs_both_back_ends_verify(tmp_path: Path) -> None:
    private, public = sm2_key(tmp_path)
    point, message = sm2.point_of(public.read_text()), tmp_path / "message"
    for data in (b"x", "检验".encode(), secrets.token_bytes(1000)):
        message.write_bytes(data)
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-inkey", str(private)]
        command += ["-pkeyopt", "distid:1234567812345678", "-in", str(message)]
        made = subprocess.run(command, check=True, capture_output=True).stdout
        assert sm2.verify(point, data, made)
        assert sm2.verify(point, data, sm2.r_and_s(made))
        assert sm2.by_gmssl()(point, data, sm2.r_and_s(made))
        assert not sm2.verify(point, data + b" ", made)


@given(st.binary(max_size=200) | st.just(bytes(64)) | st.just(b"\xff" * 64))
def test_what_is_no_signature_is_refused_without_an_error(signature: bytes) -> None:
    assert not sm2.verify(sm2.point_of(POINT), b"message digest", signature)


NO_KEYS = ["", "04", POINT[:-2], "00" * 64, POINT[:-1] + "4", "zz" * 64, "\n".join(PEM), "\n=\n".join(PEM)]


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_point_of_the_curve_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="the key is"):
        sm2.point_of(text)


def test_a_key_of_another_curve_is_none_of_sm2(tmp_path: Path) -> None:
    made = [
        "openssl",
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        str(tmp_path / "p256.key"),
    ]
    subprocess.run(made, check=True)
    shown = ["openssl", "pkey", "-in", str(tmp_path / "p256.key"), "-pubout"]
    public = subprocess.run(shown, check=True, capture_output=True).stdout.decode()
    with pytest.raises(ValueError, match="none of SM2"):
        sm2.point_of(public)


def test_a_point_is_read_with_and_without_its_mark() -> None:
    assert sm2.point_of("04" + POINT) == sm2.point_of(POINT.upper())
