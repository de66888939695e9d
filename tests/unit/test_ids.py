"""Message ids."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from router.ids import DAY_MS, child_id, first_id, new_id, time_ms

FAR = 9_000_000_000_000  # later than any other test's clock


def test_an_id_is_a_uuid_of_version_7_in_32_hex_digits() -> None:
    made = new_id(FAR)
    assert len(made) == 32
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (7, uuid.RFC_4122)
    assert time_ms(made) == FAR


def test_ids_grow_within_a_millisecond_and_while_the_clock_goes_back() -> None:
    made = [new_id(FAR + 1), *(new_id(FAR + 1) for _ in range(5000)), new_id(FAR - 5000), new_id(FAR + 2)]
    assert made == sorted(set(made))


def test_after_a_clock_that_was_wrong_ids_are_of_this_time_again() -> None:
    assert time_ms(new_id(FAR + 400 * DAY_MS)) == FAR + 400 * DAY_MS
    assert time_ms(new_id(FAR + 5)) == FAR + 5
    assert time_ms(new_id(FAR - 5)) == FAR + 5


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_id(FAR + 3), range(4000)))
    assert len(set(made)) == 4000


def test_a_time_is_not_above_any_id_made_in_it() -> None:
    made = new_id(FAR + 10)
    assert first_id(FAR + 10) <= made < first_id(FAR + 11)
    assert first_id(-1) == "0" * 32


def test_what_is_made_twice_of_one_message_has_one_id_in_its_parents_time() -> None:
    parent, other = new_id(FAR + 20), new_id(FAR + 20)
    made = child_id(parent, "orders.lab results")
    assert made == child_id(parent, "orders.lab results")
    assert len({made, child_id(other, "orders.lab results"), child_id(parent, "orders.emr results")}) == 3
    assert (time_ms(made), uuid.UUID(made).version) == (FAR + 20, 7)


def test_many_of_one_message_sort_as_they_are_numbered() -> None:
    parent = new_id(FAR + 30)
    made = [child_id(parent, "a.b c", number) for number in (1, 2, 9, 10, 255, 256, 100_000)]
    assert made == sorted(set(made))
