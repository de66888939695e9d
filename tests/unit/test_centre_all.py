"""Every transaction of the tables: the insurance centre answers its sample, and its answer is what the table says."""

from __future__ import annotations

import msgspec
import pytest
from centre_parts import Hospital, signed_in

from deploy.sandbox.centre import Centre
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.check import checker
from schemas.nhsa.sample import sample

_NAMES = [one.name for one in transactions() if one.centre == "institution" and not one.inbound]
# Of what the tables only name, the sample of what they require is empty: the centre wants to know what it is about.
_WHOLE = {"2101", "2102", "2103", "3204", "3301", "3302", "4102", "4103", "4104", "7203"}
_WHOLE |= {"3102", "3401A", "4203", "4204", "4206", "5302"}
_PUT = {  # what the samples leave out or say otherwise than the books of the sample
    "3203": {"medfee_sumamt": "86.50", "begndate": "2024-01-01", "enddate": "2024-01-31", "clr_type": "11"},
    "5304": {"begntime": "2024-01-01"},
    "3260": {"trt_year": "2024", "trt_month": "1", "startrow": "1"},
}


async def _hospital(centre: Centre, name: str) -> Hospital:
    made = Hospital(centre, code=centre.prepare(name).code)
    await made.sign_in()
    return made


@pytest.mark.parametrize("name", _NAMES)
async def test_the_sample_of_a_transaction_is_answered_as_its_table_says(name: str) -> None:
    about = transaction(name)
    async with signed_in() as first:
        hospital = await _hospital(first.centre, name)
        tree = msgspec.to_builtins(sample(about, whole=name in _WHOLE))
        if name in _PUT:
            next((node for node in tree.values() if isinstance(node, dict)), tree).update(_PUT[name])
        if name in ("9001", "9002"):
            row = next(iter(tree.values()))
            sign_no = row.get("sign_no", hospital.sign_no)
            said = await hospital.call(name, tree, opter=row["opter_no"], sign_no=sign_no)
        elif name == "9102":
            status, data = await hospital.raw(hospital.written(name, tree), "/9102")
            assert (status, data[:2]) == (200, b"PK")
            return
        else:
            said = await hospital.call(name, tree)
        assert said["infcode"] == 0, said["err_msg"]
        assert checker(about).response(said["output"]) == []


@pytest.mark.parametrize("name", _NAMES)
async def test_nothing_is_answered_with_a_refusal_in_chinese_and_nothing_is_booked(name: str) -> None:
    async with signed_in() as hospital:
        books = hospital.centre.books
        said = await hospital.call(name, {})
        if said["infcode"] == 0:  # what asks for nothing, and what the tables say nothing of
            assert name in {"5101", "5302", "5401", "6101", "4207", "4208", "4209", "4302", "4202", "4205"}
            return
        assert any("\u4e00" <= letter <= "\u9fff" for letter in said["err_msg"])
        assert said["output"] is None
        assert not any((books.visits, books.settlements, books.fees, *books.kept.values()))
