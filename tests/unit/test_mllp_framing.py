"""MLLP framing, whatever the network makes of the bytes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.hl7.framing import Framer, framed
from endpoints.wire.framing import Frame

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus/derived/mllp"

anything = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\x0b", b"\x1c", b"\r", b"\n", b"\x0bMSH|", b"\x1c\r", b"MSH|^~\\&|A\r", b" ", b"GET / HTTP"]
        ),
        st.binary(max_size=8),
    ),
    max_size=30,
).map(b"".join)


def frames_of(pieces: list[bytes], max_size: int = 1000) -> tuple[list[Frame], int, bool]:
    framer = Framer(max_size)
    found = [frame for piece in pieces for frame in framer.feed(piece)] + framer.flush()
    return found, framer.stray, framer.open


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(anything, st.lists(st.integers(0, 500), max_size=20), st.sampled_from([0, 3, 20, 1000]))
def test_how_the_network_cuts_the_bytes_makes_no_difference(
    data: bytes, places: list[int], max_size: int
) -> None:
    assert frames_of(cut(data, places), max_size) == frames_of([data], max_size)


texts = st.binary(min_size=1, max_size=60).map(
    lambda b: b"MSH|" + b.replace(b"\x1c", b"").replace(b"\x0b", b"")
)


@given(
    st.lists(texts, max_size=8),
    st.lists(st.sampled_from([b"", b"\r\n", b" ", b"\0\0", b"\x0b\x1c\r"]), min_size=8, max_size=8),
)
def test_every_message_comes_out_as_it_went_in(bodies: list[bytes], noise: list[bytes]) -> None:
    data = b"".join(between + framed(body) for body, between in zip(bodies, noise, strict=False))
    assert frames_of([bytes([byte]) for byte in data]) == ([Frame(body) for body in bodies], 0, False)


@given(anything)
def test_nothing_held_is_larger_than_allowed(data: bytes) -> None:
    found, _, _ = frames_of([data], max_size=20)
    assert all(len(frame.body) <= 20 for frame in found)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x0bMSH|a\x1c", [Frame(b"MSH|a")]),
        (b"\x0bMSH|a\x1c\n\x0bMSH|b\x1c\x0bMSH|c\x1c\r", [Frame(b"MSH|a"), Frame(b"MSH|b"), Frame(b"MSH|c")]),
        (b"\x0bMSH|a\x1cb\x1c\r", [Frame(b"MSH|a\x1cb")]),
        (b"\x0bMSH|a\x0bb\x1c\r", [Frame(b"MSH|a\x0bb")]),
        (b"\x0bMSH|a\x0bMSH|b\x1c\r", [Frame(b"MSH|a", "cut"), Frame(b"MSH|b")]),
        (b"\x0b\x1c\r\x0b \r\n\x1c\r", []),
        (b"MSH|a\x1c\r", []),
    ],
    ids=[
        "no CR",
        "LF or nothing for CR",
        "0x1C in it",
        "0x0B in it",
        "new start before the end",
        "empty",
        "no start",
    ],
)
def test_bad_framing_is_read_as_it_was_meant(data: bytes, expected: list[Frame]) -> None:
    assert frames_of([data])[0] == expected


def test_a_frame_that_is_too_large_is_reported_before_its_end_and_not_kept() -> None:
    framer = Framer(10_000)
    found = [frame for _ in range(1000) for frame in framer.feed(b"\x0bMSH|" + b"x" * 994)[:1]]
    assert [(frame.fault, len(frame.body)) for frame in found] == [("too_large", 4096)]
    assert framer.rest() == b""
    assert framer.feed(b"\x1c\r" + framed(b"MSH|next")) == [Frame(b"MSH|next")]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the third parties' corpus is not here")
@pytest.mark.parametrize(
    ("name", "whole", "cut_off"),
    [
        ("one-frame", 1, 0),
        ("two-frames-back-to-back", 2, 0),
        ("fifty-frames", 50, 0),
        ("empty-then-good", 1, 0),
        ("fs-then-lf", 1, 0),
        ("fs-without-cr", 1, 0),
        ("fs-inside-payload", 1, 0),
        ("start-block-inside-frame", 1, 0),
        ("new-start-before-end", 1, 1),
        ("no-start-block", 0, 0),
        ("truncated-mid-segment", 0, 0),
    ],
)
def test_third_parties_frames_are_found(name: str, whole: int, cut_off: int) -> None:
    data = (CORPUS / f"{name}.mllp.bin").read_bytes()
    found, _, is_open = frames_of([data[at : at + 777] for at in range(0, len(data), 777)], 1_000_000)
    assert [frame.fault for frame in found].count("") == whole
    assert [frame.fault for frame in found].count("cut") == cut_off
    assert is_open == name.startswith("truncated")


def joined(frames: list[Frame]) -> list[Frame]:
    """Frames with their pieces put together again, as who spools them does."""
    made: list[Frame] = []
    held = b""
    for frame in frames:
        held += b"" if frame.fault else frame.body
        if not frame.more:
            made.append(Frame(b"", frame.fault) if frame.fault else Frame(held))
            held = b""
    return [frame for frame in made if frame.fault or frame.body.strip(b"\r\n\t \0")]


@given(anything, st.lists(st.integers(0, 500), max_size=20), st.integers(4, 30))
def test_a_large_frame_in_pieces_is_the_same_frame(data: bytes, places: list[int], piece: int) -> None:
    data += b"\x1c\r"  # what is cut is told at once, in place of at the end
    framer = Framer(1000, piece)
    found = [frame for some in cut(data, places) for frame in framer.feed(some)] + framer.flush()
    assert joined(found) == joined(frames_of([data])[0])
