"""Files, catalogues, dictionaries and mappings by the gateway, at the sandbox's centre over HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateway_parts import Gateway, gateway

from config.errors import Refused, Unreachable
from deploy.sandbox.centre import Centre, Settings
from endpoints.insurance.kinds import KINDS, PAGED, layout
from endpoints.insurance.lines import written
from endpoints.insurance.zipped import zipped
from router.store.insurance_catalogue import CatalogueStore


class Hospital:
    """The destination with tables of its own."""

    def __init__(self, at: Gateway, folder: Path, now: Any) -> None:
        self.at = at
        self.tables = CatalogueStore(f"sqlite:///{folder}/journal.db", folder=folder / "insurance")
        party = at.destination.party
        self.now = now or party.ground.now
        party.ground = replace(party.ground, insurance_tables=self.tables, now=lambda: self.now())

    async def ask(self, name: str, **tree: Any) -> Any:
        return await self.at.send(name, tree)

    def rows(self, kind: str) -> int:
        return self.tables.state(kind).rows


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with gateway(tmp_path) as at:
        made = Hospital(at, tmp_path, None)
        yield made
        made.tables.close()


async def test_a_timers_message_brings_all_catalogues_and_the_next_only_what_is_newer(
    hospital: Hospital,
) -> None:
    told = await hospital.ask("catalogue", scheduled="2026-01-05T02:30:00+08:00", previous=None)
    assert {one["kind"] for one in told["catalogues"]} >= set(KINDS) - {"1317"}
    assert all(hospital.rows(kind) == 50 for kind in KINDS if kind not in PAGED)
    assert hospital.rows("1304") == 25
    assert hospital.rows("1312") > 0
    (page, *_) = await hospital.at.kept.search(infno="1312")
    assert (page.state, (await hospital.at.row(page.msgid)).answer) == ("OK", b"")
    version = hospital.at.centre.catalogues.publish("1301")
    (one,) = (await hospital.ask("catalogue", codes=["1301"]))["catalogues"]
    assert (one["ver"], one["ended"]) == (version, 1)
    assert one["changed"] + one["new"] > 0
    assert (await hospital.ask("catalogue", codes="1301"))["catalogues"] == []


async def test_items_are_looked_up_without_asking_the_centre(hospital: Hospital) -> None:
    await hospital.ask("catalogue", codes=["1301"])
    before = len(await hospital.at.kept.search())
    (found,) = (await hospital.ask("lookup", kind="1301", text="X", limit=1))["rows"]
    told = await hospital.ask("lookup", kind="1301", code=found["med_list_codg"])
    assert told["rows"] == [found]
    assert (await hospital.ask("lookup", kind="1901", code="med_type"))["rows"] == []
    assert len(await hospital.at.kept.search()) == before


async def test_a_full_update_gives_what_the_centre_has(hospital: Hospital) -> None:
    await hospital.ask("catalogue", codes=["1305"])
    for _ in range(3):
        hospital.at.centre.catalogues.publish("1305")
    await hospital.ask("catalogue", codes=["1305"])
    (one,) = (await hospital.ask("catalogue", codes=["1305"], full=True))["catalogues"]
    assert (one["same"], one["new"], one["changed"], one["ended"]) == (one["now"], 0, 0, 0)


async def test_a_centre_that_calls_nothing_newer_a_refusal_is_understood(tmp_path: Path) -> None:
    async with gateway(tmp_path, centre=Centre(settings=Settings(nothing_newer_is_refused=True))) as at:
        hospital = Hospital(at, tmp_path, None)
        await hospital.ask("catalogue", codes=["1301"])
        assert hospital.rows("1301") == 50
        assert (await hospital.ask("catalogue", codes=["1301"]))["catalogues"] == []
        hospital.tables.close()


@pytest.mark.parametrize("fault", ["cut", "lose", "html", "garbage", "half", "status"])
async def test_what_goes_wrong_on_the_way_leaves_nothing_and_is_tried_again(
    tmp_path: Path, fault: str
) -> None:
    async with gateway(tmp_path) as at:
        hospital = Hospital(at, tmp_path, None)
        at.centre.behave("9102", fault, times=1)
        with pytest.raises(Unreachable):
            await hospital.ask("catalogue", codes=["1301"])
        assert hospital.rows("1301") == 0
        await hospital.ask("catalogue", codes=["1301"])
        assert hospital.rows("1301") == 50
        hospital.tables.close()


async def test_a_sign_in_that_is_over_is_made_anew_for_a_file_too(hospital: Hospital) -> None:
    hospital.at.centre.behave("9102", "expired", times=1)
    await hospital.ask("catalogue", codes=["1301"])
    assert hospital.rows("1301") == 50


async def test_one_catalogue_that_is_refused_does_not_hold_the_others(hospital: Hospital) -> None:
    hospital.at.centre.behave("1302", "refuse", times=1)
    with pytest.raises(Refused, match=r"JL-N114: 1302: JL-N105") as caught:
        await hospital.ask("catalogue", codes=["1301", "1302", "1303"])
    told = json.loads(caught.value.answer or b"")
    assert [one["kind"] for one in told["catalogues"]] == ["1301", "1303"]
    assert [one["kind"] for one in told["failed"]] == ["1302"]


async def test_a_long_update_goes_in_steps_that_end_far_before_the_broker_asks(tmp_path: Path) -> None:
    async with gateway(tmp_path, centre=Centre(settings=Settings(catalogue_rows={"1301": 9_000}))) as at:
        start = at.party.ground.now()
        hospital = Hospital(at, tmp_path, lambda: start)
        steps = 0
        while True:
            try:
                hospital.now = _clock(start, hospital, steps)
                await hospital.ask("catalogue", codes=["1301"])
                break
            except Unreachable:
                steps += 1
        assert steps == 2
        assert hospital.rows("1301") == 9_000
        asked = await at.kept.search(infno="9102")
        assert len(asked) == 1
        hospital.tables.close()


def _clock(start: float, hospital: Hospital, step: int) -> Any:
    """Ten minutes go by as soon as a batch of this step is durable."""

    def now() -> float:
        load = hospital.tables.state("1301").load
        return start + (700.0 if load is not None and load.rows > step * 4_000 else 0.0)

    return now


async def test_an_uploaded_file_comes_back_as_its_rows(hospital: Hospital) -> None:
    rows = [["S1", "甲", None], ["S2", "乙", "1.50"]]
    made = await hospital.ask("upload", filename="list.zip", rows=rows)
    told = await hospital.ask("download", **{name: made[key] for name, key in _NAMES.items()})
    assert told["rows"] == rows
    content = b64encode(zipped("a.txt", written(rows))).decode()
    made = await hospital.ask("upload", filename="list.zip", content=content)
    told = await hospital.ask("download", **{name: made[key] for name, key in _NAMES.items()})
    assert told["rows"] == rows


_NAMES = {"file_qury_no": "number", "filename": "name", "dld_endtime": "until"}


async def test_a_file_that_the_centre_does_not_have_is_refused_in_its_words(hospital: Hospital) -> None:
    with pytest.raises(Refused, match="JL-N105"):
        await hospital.ask("download", file_qury_no="NO-SUCH", filename="a.zip")


async def test_code_lists_come_from_the_centre(hospital: Hospital) -> None:
    told = await hospital.ask("dictionaries", types=["insutype", "no_such_list"])
    assert told["refused"][0]["type"] == "no_such_list"
    (report,) = told["registers"]
    assert report["now"] > 3
    told = await hospital.ask("dictionaries", registers=["1201", "5101", "5102"])
    assert [one["kind"] for one in told["registers"]] == ["1201", "5101", "5102"]


async def test_items_are_mapped_and_withdrawn(hospital: Hospital) -> None:
    await hospital.ask("catalogue", codes=["1305"])
    (one,) = hospital.tables.search(layout("1305"), "", 1)
    item = {
        **{"fixmedins_hilist_id": "D1", "fixmedins_hilist_name": "示例", "list_type": "201"},
        **{"med_list_codg": one["med_list_codg"], "begndate": "2026-01-01", "enddate": "2099-12-31"},
        **{"aprvno": "-"},
    }
    other = {**item, "fixmedins_hilist_id": "D2", "med_list_codg": "XNOSUCH"}
    told = await hospital.ask("mapping", items=[item, other])
    assert told["counts"] == {"new": 1, "not found": 1}
    assert [one["id"] for one in told["items"]] == ["D2"]
    told = await hospital.ask("mapping", do="upload", items=[item, other])
    assert (told["uploaded"], told["left"]) == (1, 1)
    told = await hospital.ask("mapping", do="report", items=[item])
    assert told["counts"] == {"same": 1}
    told = await hospital.ask("mapping", do="withdraw", ids=["D1"])
    assert told["withdrawn"] == 1


@pytest.mark.parametrize(
    ("name", "tree", "says"),
    [
        ("catalogue", {"code": ["1301"]}, "unknown: 'code'"),
        ("catalogue", {"codes": ["1301", "1302"], "full": True}, "one catalogue at a time"),
        ("catalogue", {"codes": ["1399"]}, "JL-N111"),
        ("catalogue", {"codes": ["1301"], "faults": -1}, "faults must be"),
        ("dictionaries", {"registers": ["5103"]}, "no register"),
        ("mapping", {"do": "forget"}, "do is report"),
        ("mapping", {"items": 1}, "list of objects"),
        ("mapping", {"do": "withdraw", "ids": ["D9"]}, "never uploaded"),
        ("upload", {"rows": [["a"]]}, "filename"),
        ("upload", {"filename": "a.zip"}, "list of lists"),
        ("upload", {"filename": "a.zip", "content": "?"}, "no Base64"),
        ("download", {}, "file_qury_no is missing"),
        ("lookup", {"kind": "1301"}, "code, or text"),
        ("lookup", {"kind": "1399", "code": "X"}, "JL-N111"),
        ("lookup", {"kind": "1301", "text": "X", "limit": 0}, "limit is"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_the_reason(
    hospital: Hospital, name: str, tree: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        await hospital.ask(name, **tree)
