"""Framings of plain TCP, whatever the network makes of the bytes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.errors import Refused
from endpoints.wire.cuts import FramingText, framing_of
from endpoints.wire.framing import Frame, framed

FRAMINGS: dict[str, dict[str, Any]] = {
    "lines": {"end": "\n"},
    "two bytes": {"end": "\r\n"},
    "marks": {"begin": "\x02", "end": "\x03\r"},
    "big": {"length": 4},
    "little": {"length": 2, "kind": "little", "whole": True},
    "digits": {"length": 6, "kind": "digits"},
}
scraps = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\x02", b"\x03\r", b"\x00\x00\x00\x03abc", b"000002ok", b"1A", b"MSG"]
)
anything = st.lists(scraps | st.binary(max_size=6), max_size=25).map(b"".join)


def frames_of(name: str, pieces: list[bytes], max_size: int = 1000) -> tuple[list[Frame], int]:
    framer = framing_of(FramingText(**FRAMINGS[name])).framer(max_size)
    found = [frame for piece in pieces for frame in framer.feed(piece)] + framer.flush()
    return found, framer.stray


@given(
    st.sampled_from(sorted(FRAMINGS)),
    anything,
    st.lists(st.integers(0, 500), max_size=20),
    st.sampled_from([3, 20, 1000]),
)
def test_how_the_network_cuts_the_bytes_makes_no_difference(
    name: str, data: bytes, places: list[int], max_size: int
) -> None:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(ends)]
    assert frames_of(name, pieces, max_size) == frames_of(name, [data], max_size)


@pytest.mark.parametrize("name", sorted(FRAMINGS))
@given(bodies=st.lists(st.binary(min_size=1, max_size=60), max_size=6))
def test_every_message_comes_out_as_it_went_in(name: str, bodies: list[bytes]) -> None:
    framing = framing_of(FramingText(**FRAMINGS[name]))
    sent = []
    for body in bodies:
        try:
            framing.check(body)
        except Refused:
            continue
        sent.append(body)
    data = b"".join(framed(framing, body) for body in sent)
    assert frames_of(name, [bytes([byte]) for byte in data]) == ([Frame(body) for body in sent], 0)


@pytest.mark.parametrize("name", sorted(FRAMINGS))
@given(data=anything)
def test_nothing_held_is_larger_than_allowed(name: str, data: bytes) -> None:
    assert all(len(frame.body) <= 20 for frame in frames_of(name, [data], max_size=20)[0])


@pytest.mark.parametrize(
    ("name", "data", "expected", "stray"),
    [
        ("marks", b"x\x02a\x03\r \r\n\x02b\x03\r", [Frame(b"a"), Frame(b"b")], 0),
        ("marks", b"no frame", [], 7),
        ("lines", b"a\n\nb\nc", [Frame(b"a"), Frame(b"b")], 0),
        ("lines", b"a" * 1001 + b"\nb\n", [Frame(b"a" * 1000, "too_large"), Frame(b"b")], 0),
        ("big", b"\0\0\4\0" + b"a" * 1024 + b"\0\0\0\1b", [Frame(b"", "too_large"), Frame(b"b")], 0),
        ("digits", b"000001a    1b", [Frame(b"a")], 6),
        ("little", b"\x03\x00a\x01\x00", [Frame(b"a")], 2),
    ],
)
def test_bad_framing_is_told_and_what_can_be_read_is(
    name: str, data: bytes, expected: list[Frame], stray: int
) -> None:
    assert frames_of(name, [data]) == (expected, stray)


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [("lines", b"a\nb", "ends a message"), ("digits", b"a" * 1_000_000, "6 bytes of length")],
)
def test_what_no_receiver_could_read_is_refused(name: str, body: bytes, says: str) -> None:
    framing = framing_of(FramingText(**FRAMINGS[name]))

    def sent() -> bytes:
        framing.check(body)
        return framed(framing, body)

    with pytest.raises(Refused, match=says) as caught:
        sent()
    assert caught.value.code == "JL-E115"
    assert not caught.value.retry


def test_a_mark_may_be_written_with_a_backslash() -> None:
    assert FramingText(begin=r"\x02", end=r"\x03\r") == FramingText(begin="\x02", end="\x03\r")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either `end` or `length`"),
        ({"end": "\n", "length": 4}, "either"),
        ({"length": 4, "begin": "\x02"}, "goes with"),
        ({"length": 3}, "no number has 3 bytes"),
        ({"end": "结束"}, "bytes are meant"),
        ({"end": "x" * 17}, "16 bytes"),
        ({"end": "\\"}, "unicode"),
        ({"length": 21, "kind": "digits"}, "20"),
    ],
)
def test_a_framing_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        FramingText(**options)
