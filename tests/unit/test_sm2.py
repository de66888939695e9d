"""SM2: the standard's example, the openssl command, and all back-ends held against each other."""

from __future__ import annotations

import base64
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import sm2_key

from config import sm2
from config.sm2_curve import N

# GB/T 32918.5-2017, A.2: the key, and the signature of "message digest".
POINT = (
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
PRIVATE = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
PEM = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
BACKENDS = [pytest.param(one, id=one.name) for one in sm2.backends()]
# Whose x begins with the digits that gmssl takes for the mark of an uncompressed point.
ODD = [
    ("04", "2df23e36136e32e5896623c243ecfeffa06ce48e41e78a451bd862bdfbcc7613"),
    ("0404", "e1f29841251bc1aea6fc5a76de7ced0c4e0330268de6f4ad673360dc6cc2ce01"),
    ("40", "20fdd421a9522d49a80516daaca2d4e3db76966a1ad050b8f2d6d904edbb3419"),
    ("00", "7c120a4965e85a6b1a5958fdf0523823efa201025aa4c6babea4cf9b60d7b93c"),
]


def test_this_machine_has_both_back_ends() -> None:
    assert [one.name for one in sm2.backends()] == ["openssl", "gmssl"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_example_of_the_standard_is_good_and_nothing_beside_it(backend: sm2.Backend) -> None:
    point = sm2.point_of(POINT)
    assert backend.verify(point, b"message digest", SIGNATURE)
    assert not backend.verify(point, b"message digesT", SIGNATURE)
    for at in (0, 31, 32, 63):
        changed = bytearray(SIGNATURE)
        changed[at] ^= 1
        assert not backend.verify(point, b"message digest", bytes(changed))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_key_of_the_standard_makes_its_point_and_the_nonce_of_the_standard_its_signature(
    backend: sm2.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = backend.key_pair(sm2.private_of(PRIVATE))
    assert pair.point.hex() == POINT
    if backend.name == "gmssl":  # OpenSSL lets nobody choose its nonce
        monkeypatch.setattr(secrets, "randbelow", lambda _: NONCE - 1)
        assert pair.sign(b"message digest") == SIGNATURE


@pytest.mark.parametrize("signing", BACKENDS)
def test_what_one_back_end_signs_all_and_the_openssl_command_verify(
    signing: sm2.Backend, tmp_path: Path
) -> None:
    private, public = sm2_key(tmp_path)
    pair = signing.key_pair(sm2.private_of(private.read_text()))
    assert pair.point == sm2.point_of(public.read_text())
    for data in (b"", b"x", "检验".encode(), secrets.token_bytes(1000)):
        made = pair.sign(data)
        assert len(made) == 64
        assert made != pair.sign(data), "a nonce is used once"
        for verifying in sm2.backends():
            assert verifying.verify(pair.point, data, made)
            assert not verifying.verify(pair.point, data + b" ", made)
        assert verified_by_command(public, data, made)


def verified_by_command(public: Path, data: bytes, pair: bytes) -> bool:
    message, signature = public.with_name("message"), public.with_name("signature")
    message.write_bytes(data)
    r, s = (int.from_bytes(pair[at : at + 32], "big") for at in (0, 32))
    signature.write_bytes(encode_dss_signature(r, s))
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pubin", "-inkey", str(public)]
    command += ["-pkeyopt", "distid:1234567812345678", "-in", str(message), "-sigfile", str(signature)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize(("start", "private"), ODD)
def test_a_key_whose_x_begins_oddly_is_signed_and_verified_by_all(start: str, private: str) -> None:
    for signing in sm2.backends():
        pair = signing.key_pair(sm2.private_of(private))
        assert pair.point.hex().startswith(start)
        assert sm2.point_of("04" + pair.point.hex()) == pair.point
        made = pair.sign(b"data")
        assert all(one.verify(pair.point, b"data", made) for one in sm2.backends())


def test_keys_of_several_threads_do_not_disturb_one_another() -> None:
    pairs = [sm2.key_pair(secrets.token_bytes(31).rjust(32, b"\x01")) for _ in range(4)]

    def work(at: int) -> bool:
        pair = pairs[at % 4]
        return sm2.verify(pair.point, bytes(at), pair.sign(bytes(at)))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(200)))


def test_what_openssl_signs_both_back_ends_verify(tmp_path: Path) -> None:
    private, public = sm2_key(tmp_path)
    point, message = sm2.point_of(public.read_text()), tmp_path / "message"
    for data in (b"x", "检验".encode(), secrets.token_bytes(1000)):
        message.write_bytes(data)
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-inkey", str(private)]
        command += ["-pkeyopt", "distid:1234567812345678", "-in", str(message)]
        made = subprocess.run(command, check=True, capture_output=True).stdout
        assert sm2.verify(point, data, made)
        assert all(one.verify(point, data, sm2.r_and_s(made)) for one in sm2.backends())
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
    assert sm2.point_of(base64.b64encode(bytes.fromhex("04" + POINT)).decode()) == sm2.point_of(POINT)
    assert sm2.point_of(base64.b64encode(bytes.fromhex(POINT)).decode()) == sm2.point_of(POINT)


def test_a_public_key_is_read_from_base64_of_what_pem_holds(tmp_path: Path) -> None:
    _, public = sm2_key(tmp_path)
    bare = "".join(public.read_text().splitlines()[1:-1])
    assert sm2.point_of(bare) == sm2.point_of(public.read_text())


def test_a_private_key_is_read_in_all_its_forms(tmp_path: Path) -> None:
    private = bytes.fromhex(PRIVATE)
    assert sm2.private_of(f" {PRIVATE.upper()}\n") == private
    assert sm2.private_of("00" + PRIVATE) == private
    assert sm2.private_of(base64.b64encode(private).decode()) == private
    assert sm2.private_of(base64.b64encode(b"\0" + private).decode()) == private
    made, _ = sm2_key(tmp_path)
    pkcs8 = made.read_text()
    sec1 = subprocess.run(
        ["openssl", "ec", "-in", str(made)], check=True, capture_output=True
    ).stdout.decode()
    assert "SM2 PRIVATE KEY" in sec1
    bare = "".join(pkcs8.splitlines()[1:-1])
    older = sec1.replace("SM2 PRIVATE", "EC PRIVATE")
    assert len({sm2.private_of(text) for text in (pkcs8, sec1, older, bare)}) == 1


NO_PRIVATE = ["", "00" * 32, "ff" * 32, f"{N - 1:064x}", PRIVATE[:-2], "zz", POINT, "MIGHAgEAMBMG"]


@pytest.mark.parametrize("text", NO_PRIVATE)
def test_what_is_no_number_of_the_curve_is_no_private_key(text: str) -> None:
    with pytest.raises(ValueError, match="the key is") as error:
        sm2.private_of(text)
    assert not text or text not in str(error.value)


@settings(deadline=None)
@given(st.binary(min_size=7, max_size=120))
def test_a_private_key_that_is_cut_or_changed_is_refused_without_another_error(tail: bytes) -> None:
    text = base64.b64encode(bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d") + tail)
    with pytest.raises(ValueError, match="the key is none of SM2"):
        sm2.private_of(text.decode())
