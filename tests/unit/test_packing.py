"""Packing: whoever compresses, everybody opens it."""

from __future__ import annotations

import platform
import zlib

import pytest

from router.store import packing

LONG = b"MSH|^~\\&|HIS|JL|LIS|JL|20260205080000||ADT^A01|1|P|2.5\r" * 20


@pytest.mark.parametrize("compress", [packing._quickest(), packing.by_zlib], ids=["here", "zlib"])
def test_what_either_compresses_is_zlibs_format(compress, monkeypatch) -> None:
    monkeypatch.setattr(packing, "_compress", compress)
    packed = packing.pack(LONG)
    assert len(packed) < len(LONG) / 4
    assert zlib.decompress(packed[1:]) == LONG
    assert packing.unpack(packed) == LONG


@pytest.mark.parametrize("data", [b"", b"AA", b"x" * (packing.WORTH - 1), bytes(range(256))])
def test_what_would_not_be_smaller_stays_as_it_is(data: bytes) -> None:
    assert packing.pack(data) == b"\0" + data
    assert packing.unpack(packing.pack(data)) == data


def test_there_is_isal_where_it_has_wheels() -> None:
    """Else this machine would be slower than what is said of it."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip(f"ISA-L has no wheels for {platform.machine()}")
    assert packing._compress is not packing.by_zlib
