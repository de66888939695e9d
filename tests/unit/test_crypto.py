"""SM3, SM4-GCM, and the keys of a site."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from config.crypto import (
    OVERHEAD,
    WRAPPED_BYTES,
    KeyTrouble,
    Mac,
    Sealer,
    SiteKeys,
    digest,
    key_id,
    site_keys,
    subkey,
)

KEY, OTHER = bytes(range(16)), bytes(range(1, 17))


def test_sm3_gives_the_examples_of_gbt_32905() -> None:
    assert digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert digest(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_sm4_gives_the_examples_of_gbt_32907() -> None:
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encrypt = Cipher(algorithms.SM4(block), modes.ECB()).encryptor().update
    assert encrypt(block).hex() == "681edf34d206965e86b3e94f536e4246"
    many = block
    for _ in range(1_000_000):
        many = encrypt(many)
    assert many.hex() == "595298c7c6fd271f0402f804c33d3f66"


def test_sm4_gcm_opens_the_example_of_rfc_8998() -> None:
    """RFC 8998, A.1."""
    plain = bytes.fromhex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
        "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
    )
    sealed = bytes.fromhex(
        "00001234567800000000ABCD"
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    context = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    assert Sealer(key).open(sealed, context) == plain


def test_hmac_is_that_of_rfc_2104_over_sm3() -> None:
    key = KEY.ljust(64, b"\0")
    inner = digest(bytes(byte ^ 0x36 for byte in key) + b"rows")
    assert Mac(KEY)(b"rows") == digest(bytes(byte ^ 0x5C for byte in key) + inner)
    mac = Mac(KEY)
    assert mac(b"a") == mac(b"a") != mac(b"b")


def test_what_was_sealed_opens_with_its_key_for_its_place_only() -> None:
    sealer = Sealer(KEY)
    for plain in (b"", b"x", "患者 P0001".encode() * 1000):
        sealed = sealer.seal(plain, b"row 1")
        assert len(sealed) == len(plain) + OVERHEAD
        assert sealer.open(sealed, b"row 1") == plain
        for opens in (
            lambda s=sealed: sealer.open(s, b"row 2"),
            lambda s=sealed: Sealer(OTHER).open(s, b"row 1"),
        ):
            with pytest.raises(KeyTrouble, match="JL-K002"):
                opens()
        for at in (0, len(sealed) // 2, len(sealed) - 1):
            bent = bytearray(sealed)
            bent[at] ^= 1
            with pytest.raises(KeyTrouble, match="JL-K002"):
                sealer.open(bytes(bent), b"row 1")
    with pytest.raises(KeyTrouble, match="JL-K002"):
        sealer.open(b"short")
    assert sealer.seal(b"same") != sealer.seal(b"same"), "a nonce is used once"


def test_keys_of_different_purpose_are_different_keys() -> None:
    assert len({subkey(KEY, "chain"), subkey(KEY, "index"), subkey(OTHER, "chain"), KEY}) == 4


def test_a_new_site_key_opens_what_the_old_one_wrapped_and_wraps_with_itself() -> None:
    old = SiteKeys(KEY)
    new = SiteKeys(OTHER, older=[KEY])
    wrapped = old.wrap(b"k" * 16)
    assert len(wrapped) == WRAPPED_BYTES
    assert new.unwrap(wrapped) == b"k" * 16
    assert key_id(wrapped) == old.id
    assert key_id(new.wrap(b"k" * 16)) == new.id != old.id
    with pytest.raises(KeyTrouble, match=rf"JL-K001.*{new.id}.*{old.id}"):
        old.unwrap(new.wrap(b"k" * 16))
    with pytest.raises(KeyTrouble, match="JL-K001"):
        old.unwrap(b"")
    with pytest.raises(KeyTrouble, match="JL-K002"):
        old.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]))


def test_without_a_key_in_the_settings_one_is_made_that_only_its_user_can_read(tmp_path: Path) -> None:
    file = tmp_path / "var" / "site.key"
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: site_keys("", (), file).id, range(8)))
    assert len(ids) == 1, "several at once agree on one"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["site.key"]
    text = file.read_text().strip()
    assert site_keys(text, (), tmp_path / "none").id == ids.pop()
    assert not (tmp_path / "none").exists()


def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(KeyTrouble, match="JL-K003") as caught:
        site_keys("hospital2026", (), tmp_path / "k")
    assert "hospital2026" not in str(caught.value)
    with pytest.raises(KeyTrouble, match="JL-K003"):
        site_keys("0" * 32, ("1" * 31,), tmp_path / "k")
    file = tmp_path / "site.key"
    file.write_text("half a ke")
    file.chmod(0o600)
    with pytest.raises(KeyTrouble, match="JL-K004"):
        site_keys("", (), file)
    file.write_text("0" * 32)
    file.chmod(0o640)
    with pytest.raises(KeyTrouble, match=r"JL-K004.*chmod"):
        site_keys("", (), file)


def test_who_only_reads_makes_no_key_and_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "var" / "site.key"
    with pytest.raises(KeyTrouble, match=r"JL-K004.*No such file"):
        site_keys("", (), file, make=False)
    assert not file.parent.exists()
    file.mkdir(parents=True, mode=0o700)
    with pytest.raises(KeyTrouble, match=r"JL-K004.*directory"):
        site_keys("", (), file)
