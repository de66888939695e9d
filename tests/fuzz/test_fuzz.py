"""No stranger's bytes make a reader fail otherwise than by a refusal. The long run is `make fuzz`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from targets import Target, targets

TARGETS = targets()
SLOW = ("map ", "validate ", "channel file")  # some milliseconds each


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_any_bytes_are_read_or_refused(target: Target) -> None:
    @settings(
        max_examples=60 if target.name.startswith(SLOW) else 250,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(target.seeds, target.words))
    def reads(data: bytes) -> None:
        target.run(data)

    reads()


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_what_the_fuzzer_begins_with_is_good(target: Target) -> None:
    assert target.seeds
    for seed in target.seeds:
        target.reads(seed)


def test_a_reader_that_fails_is_found() -> None:
    def fails(data: bytes) -> None:
        if b"\0" in data:
            raise IndexError(data)

    broken = Target("broken", fails, (b"abc",))

    @settings(max_examples=500, deadline=None, derandomize=True, database=None)
    @given(st.one_of(mutated(broken.seeds, broken.words)))
    def reads(data: bytes) -> None:
        broken.run(data)

    with pytest.raises(IndexError):
        reads()
