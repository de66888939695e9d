"""Each transaction that an institution sends: a valid request is answered, an invalid one is refused before it leaves
with its field named, and a lost answer ends in the right outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.errors import Refused
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.sample import sample
from tests.insurance.desk import Desk
from tests.insurance.gateway import desks
from tests.insurance.spoiling import spoiled

NAMES = [one.name for one in transactions() if one.centre == "institution" and not one.inbound]
WRITES = [name for name in NAMES if transaction(name).writes]
ASKS = [name for name in NAMES if name not in WRITES]
# A sign-in, or a sign-out, that nobody heard of is asked again: it harms nobody.
HARMLESS = ("9001", "9002")
# Of what the tables only name, the sample of what they require is empty: the centre wants to know what it is about.
_WHOLE = ("2101", "2102", "2103", "3204", "3301", "3302", "4102", "4103", "4104", "7203")
_WHOLE += ("3102", "3401A", "4203", "4204", "4206", "5302")
# What a sample leaves out, or says otherwise than the books that it is for.
_PUT = {
    "3203": {"medfee_sumamt": "86.50", "begndate": "2024-01-01", "enddate": "2024-01-31", "clr_type": "11"},
    "5304": {"begntime": "2024-01-01"},
    "3260": {"trt_year": "2024", "trt_month": "1", "startrow": "1"},
}


def request(name: str, whole: bool = False) -> Any:
    tree = msgspec.to_builtins(sample(transaction(name), whole=whole or name in _WHOLE))
    if name in _PUT:
        next((node for node in tree.values() if isinstance(node, dict)), tree).update(_PUT[name])
    return tree


def _says(tree: Any) -> bool:
    """Whether there is a field in it, at any depth."""
    if isinstance(tree, dict):
        return any(_says(one) for one in tree.values())
    return any(_says(one) for one in tree) if isinstance(tree, list) else True


def who(tree: Any) -> dict[str, str]:
    """Of a sign-in, the operator is who signs in."""
    node = next((one for one in tree.values() if isinstance(one, dict)), {})
    return {"opter": node["opter_no"]} if "opter_no" in node else {}


def prepared(desks: tuple[Desk, Desk], name: str) -> Desk:
    """The one of the two that sends it, at a centre that can do it."""
    hospital, pharmacy = desks
    code = hospital.centre.prepare(name).code
    return hospital if code == hospital.party.gateway.party.system else pharmacy


@pytest.mark.parametrize("name", NAMES)
async def test_a_valid_request_is_answered(tmp_path: Path, name: str) -> None:
    async with desks(tmp_path) as both:
        desk = prepared(both, name)
        told = await desk.party.ask(name, request(name), **who(request(name)))
        assert told.outcome in ("OK", "PROCESSING"), told
        assert told.warnings == ()
        assert desk.centre.books.msgids[told.msgid].times == 1
        kept = await desk.party.records.find(told.msgid)
        assert (kept.infno, kept.state) == (name, told.outcome)


@pytest.mark.parametrize("name", NAMES)
async def test_an_invalid_request_is_refused_before_it_leaves_and_its_field_is_named(
    tmp_path: Path, name: str
) -> None:
    bare = request(name)
    tree, named = spoiled(transaction(name), bare if _says(bare) else request(name, whole=True))
    async with desks(tmp_path) as both:
        desk = prepared(both, name)
        with pytest.raises(Refused) as refused:
            await desk.party.ask(name, tree)
        assert (refused.value.code, refused.value.retry) == ("JL-N003", False)
        assert named in refused.value.text
        assert desk.centre.books.msgids == {}
        assert await desk.party.records.search() == []


@pytest.mark.parametrize("way", ["cut", "lose"])
@pytest.mark.parametrize("name", [name for name in WRITES if name not in HARMLESS])
async def test_a_writing_request_without_an_answer_is_unknown_and_never_sent_again(
    tmp_path: Path, name: str, way: str
) -> None:
    async with desks(tmp_path) as both:
        desk = prepared(both, name)
        desk.centre.behave(name, way, times=1)
        told = await desk.party.ask(name, request(name), "a" * 32)
        assert told.outcome == "UNKNOWN"
        again = await desk.party.ask(name, request(name), "a" * 32)
        assert (again.outcome, again.msgid) == ("UNKNOWN", told.msgid)
        arrived = [one for one in desk.centre.books.msgids.values() if one.infno == name]
        assert [(one.msgid, one.times, one.outcome) for one in arrived] == (
            [(told.msgid, 1, "0")] if way == "cut" else []
        )
        assert [one.state for one in await desk.party.records.search(infno=name)] == ["UNKNOWN"]


@pytest.mark.parametrize("name", [*ASKS, *HARMLESS])
async def test_a_request_that_changes_nothing_is_asked_again_until_there_is_an_answer(
    tmp_path: Path, name: str
) -> None:
    async with desks(tmp_path) as both:
        desk = prepared(both, name)
        # A sign-out that was heard, and not answered, is refused when it comes again: it was done.
        for way in ("lose", "cut", "html") if name != "9002" else ("lose", "lose", "status"):
            desk.centre.behave(name, way, times=1)
        told = await desk.party.ask(name, request(name), **who(request(name)))
        assert told.outcome in ("OK", "PROCESSING"), told
        arrived = [one for one in desk.centre.books.msgids.values() if one.infno == name]
        assert {one.times for one in arrived} == {1}
        assert len(arrived) >= (3 if name != "9002" else 1)
