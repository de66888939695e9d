"""Good input made bad: a few edits of a seed, by Hypothesis, which cuts what breaks down to its cause."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

MOST_EDITS = 6
MOST_BYTES = 20_000
_ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\x80",
    b"\r\n",
    b"\t",
    b"%s",
    "张".encode(),
    "张".encode("gb18030"),
    b"9" * 400,
)

Edit = tuple[int, int, bytes]  # where (of a thousand), how much goes (bytes), what comes in its place


def mutated(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with up to six edits; or, one time in some, any bytes."""
    pieces = (
        st.sampled_from([*_ODD, *words]) | st.binary(max_size=8) | st.sampled_from(list(seeds)).map(_some)
    )
    edits: st.SearchStrategy[Edit] = st.tuples(
        st.integers(0, 1000), st.sampled_from((0, 0, 1, 2, 5, 20, 200)), pieces
    )
    edited = st.tuples(st.sampled_from(list(seeds)), st.lists(edits, max_size=MOST_EDITS))
    return edited.map(_edited) | st.binary(max_size=100)


def _some(seed: bytes) -> bytes:
    """The middle of a seed: something long that fits nowhere."""
    return seed[len(seed) // 3 : len(seed) // 2][:500]


def _edited(chosen: tuple[bytes, list[Edit]]) -> bytes:
    data, edits = chosen
    for where, gone, piece in edits:
        at = len(data) * where // 1000
        data = data[:at] + piece + data[at + gone :]
    return data[:MOST_BYTES]
