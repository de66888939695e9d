"""Batches of HL7 v2: cut wherever their bytes come, counted, and answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadMessage
from endpoints.hl7.answers import Answers, control_id, head
from schemas.hl7.batch import MAX_MESSAGES, header_of, holds_several, split_batch, unwrapped
from schemas.message import Reply

FHS = b"FHS|^~\\&|HIS|A|LIS|B|20260105080000||||F77\r"
BHS = b"BHS|^~\\&|HIS|A|LIS|B|20260105080000||||B78\r"


def message(number: int, more: str = "") -> bytes:
    return f"MSH|^~\\&|HIS|A|LIS|B|20260105||ADT^A01|{number}|P|2.5\rPID|1||P{number}{more}\r".encode()


MESSAGES = [message(number, "甲" * (number * 7 % 50)) for number in range(12)]


def batch(trailers: bytes = b"BTS|12\rFTS|1\r") -> bytes:
    return FHS + BHS + b"".join(MESSAGES) + trailers


@given(st.lists(st.integers(1, 200), min_size=1, max_size=50))
def test_it_is_cut_the_same_wherever_its_pieces_end(sizes: list[int]) -> None:
    body, pieces, at = batch(), [], 0
    for size in [*sizes, len(batch())]:
        pieces.append(body[at : at + size])
        at += size
    assert list(unwrapped(pieces)) == MESSAGES


@pytest.mark.parametrize(
    "body",
    [
        batch(),
        b"".join(MESSAGES),
        FHS + b"".join(MESSAGES) + b"FTS|12|\r",
        FHS + b"".join(MESSAGES) + b"FTS|1\r",
        b"\xef\xbb\xbf" + batch(b""),
        batch(b"BTS||\rFTS|many\r"),
        FHS + BHS + b"".join(MESSAGES[:5]) + b"BTS|5\r" + BHS + b"".join(MESSAGES[5:]) + b"BTS|7\rFTS|2\r",
    ],
)
def test_all_its_messages_come_in_their_order(body: bytes) -> None:
    assert list(unwrapped([body])) == MESSAGES
    assert holds_several(body)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (batch(b"BTS|11\r"), "BTS-1"),
        (batch(b"BTS|13\rFTS|1\r"), "BTS-1"),
        (batch(b"BTS|12\rFTS|2\r"), "FTS-1"),
        (FHS + BHS + MESSAGES[0] + b"BTS|1\r" + BHS + b"BTS|1\r", "BTS-1"),
        (FHS + MESSAGES[0] + MESSAGES[1] + b"FTS|3\r", "FTS-1"),
    ],
)
def test_what_its_trailers_count_must_be_there(body: bytes, path: str) -> None:
    with pytest.raises(BadMessage) as error:
        list(unwrapped([body]))
    assert (error.value.code, error.value.path) == ("JL-M009", path)
    assert split_batch(body), "who only looks does not count"


def test_one_message_is_no_batch_and_an_empty_batch_is_one() -> None:
    assert not holds_several(message(1))
    assert not holds_several(message(1, "\nFTS in a text"))
    assert not holds_several(b"")
    assert not holds_several(b"no HL7")
    assert holds_several(FHS + BHS + b"BTS|0\rFTS|1\r")
    assert list(unwrapped([FHS + BHS + b"BTS|0\rFTS|1\r"])) == []


def test_in_utf_16_too() -> None:
    body = batch().decode().encode("utf-16")
    assert holds_several(body)
    assert [part.decode("utf-16-le") for part in unwrapped([body])] == [part.decode() for part in MESSAGES]


@given(st.integers(1, 400))
def test_in_utf_16_wherever_its_pieces_end(size: int) -> None:
    body = batch().decode().encode("utf-16")
    pieces = [body[at : at + size + 8] for at in range(0, len(body), size + 8)]
    assert [part.decode("utf-16-le") for part in unwrapped(pieces)] == [part.decode() for part in MESSAGES]


def test_half_a_character_is_no_error() -> None:
    body = batch().decode().encode("utf-16") + b"\xd8"
    assert len(list(unwrapped([body[:51], body[51:]], checked=False))) == len(MESSAGES)


def test_there_is_a_limit_to_its_messages() -> None:
    with pytest.raises(BadMessage) as error:
        list(unwrapped(b"MSH|\r" for _ in range(MAX_MESSAGES + 2)))
    assert error.value.code == "JL-M005"


@pytest.mark.parametrize(("body", "id"), [(batch(), "F77"), (BHS + message(1), "B78"), (message(5), "5")])
def test_a_batch_is_answered_by_its_own_control_id(body: bytes, id: str) -> None:
    assert control_id(body, "") == id
    answer = Answers("", lambda: 0).write(head(body), Reply("accepted")).decode()
    assert answer.split("\r")[1] == f"MSA|AA|{id}"
    assert answer.startswith("MSH|^~\\&|LIS|B|HIS|A|")


def test_a_header_that_is_cut_short_is_answered_too() -> None:
    assert header_of(b"FHS|^~\\&|HIS") == b"MSH|^~\\&|HIS||||||||P|2.5"
    assert header_of(b"MSH|^~\\&|HIS") == b"MSH|^~\\&|HIS"
