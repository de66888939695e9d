"""Junk at the insurance centre: whatever a message holds, the answer is an envelope and the books stay whole."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from centre_parts import Hospital

from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.envelope import Reception, read, written
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.sample import sample

_JUNK: list[Any] = [None, "", [], {}, [[]], [None], {"a": {}}, -1, 0, 1e300, True]
_JUNK += ["x" * 300, "NaN", "-0.00", "1e9", "\x00"]
_NAMES = [one.name for one in transactions() if one.centre == "institution" and not one.inbound]
_TRIES = 40


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key in a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


@pytest.mark.parametrize("name", _NAMES)
def test_any_value_anywhere_is_answered(name: str) -> None:
    random, centre = Random(name), Centre()
    place = centre.prepare(name)
    hospital = Hospital(centre, code=place.code)
    reception = Reception(centre.desk)
    whole = msgspec.to_builtins(sample(transaction(name), whole=True))
    for number in range(_TRIES):
        tree = copy.deepcopy(whole)
        for _ in range(random.randrange(3)):
            if places := list(_places(tree)):
                there, key = random.choice(places)
                there[key] = copy.deepcopy(random.choice(_JUNK))
        msgid, sign_no = f"{place.code}{number:018d}", _signed(reception, hospital)
        head = read(hospital.written(name, tree, msgid=msgid, sign_no=sign_no))
        before = _money(centre)
        answer = reception.answer(head, name, centre.now())
        if isinstance(answer, dict):
            assert written(answer)
            if answer["infcode"] != 0:
                assert _money(centre) == before


def _signed(reception: Reception, hospital: Hospital) -> str:
    tree = {"signIn": {"opter_no": "0001", "mac": "1", "ip": "1"}}
    answer = reception.answer(hospital.envelope("9001", tree), "9001", hospital.centre.now())
    assert isinstance(answer, dict)
    return str(answer["output"]["signinoutb"]["sign_no"])


def _money(centre: Centre) -> tuple[Any, ...]:
    books = centre.books
    states = [{key: one.state for key, one in kept.items()} for kept in (books.settlements, books.visits)]
    lines = {key: one.setl_id for key, one in books.fees.items()}
    return states, lines, dict(books.accounts), dict(books.usage)
