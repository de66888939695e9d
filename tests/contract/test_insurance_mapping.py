"""A hospital's items and the national codes: what is missing, ended or changed; uploads item by item."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from insurance_centre import Centre, away

from config.errors import BadMessage, Refused, Unreachable
from endpoints.insurance.catalogue_import import Way, import_file, owner
from endpoints.insurance.files import Answer
from endpoints.insurance.kinds import layout
from endpoints.insurance.lines import written
from endpoints.insurance.mapping import Item, MappingReport, report, table
from endpoints.insurance.mapping_list import items_of, read_items
from endpoints.insurance.mapping_upload import Uploading
from router.store.insurance_catalogue import CatalogueStore

NOW = 1_790_000_000_000


@pytest.fixture
def store(journal_url: str) -> Iterator[CatalogueStore]:
    made = CatalogueStore(journal_url, now=lambda: NOW)
    yield made
    made.close()


def rows(count: int, **said: str) -> list[dict[str, str]]:
    return [
        {
            "fixmedins_hilist_id": f"D{n}",
            "fixmedins_hilist_name": f"项目{n}",
            "list_type": "201",
            "med_list_codg": f"XTEST{n}",
            "begndate": "2026-01-01",
            **said,
        }
        for n in range(count)
    ]


def judged(store: CatalogueStore, items: list[Item]) -> MappingReport:
    return report(items, store, store.mappings.all())


class Books(Centre):
    """Keeps mappings by item and code, and refuses codes that it does not like."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, str] = {}
        self.bad: set[str] = set()
        self.loses: Callable[[str], bool] = lambda infno: False

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        if infno not in ("3301", "3302", "1317"):
            return await super().call(infno, input)
        self.asked.append((infno, input))
        if infno == "1317":
            id = input["data"]["medins_list_codg"]
            found = (
                [{"medins_list_codg": id, "med_list_codg": self.kept[id], "vali_flag": "1"}]
                if id in self.kept
                else []
            )
            return Answer("OK", {"data": found, "recordCounts": len(found)})
        given: Sequence[Mapping[str, str]] = input["data"]
        if any(row["med_list_codg"] in self.bad for row in given):
            return Answer("REJECTED", None, "-1", "目录编码不存在")
        for row in given:
            if infno == "3301":
                self.kept[row["fixmedins_hilist_id"]] = row["med_list_codg"]
            else:
                del self.kept[row["fixmedins_hilist_id"]]
        return Answer("UNKNOWN", None, "", "no answer") if self.loses(infno) else Answer("OK")


def uploading(store: CatalogueStore, centre: Centre, batch: int = 10, **said: Any) -> Uploading:
    way = Way(store, lambda: NOW, owner(), **said)
    return Uploading(way, centre, store.mappings, asyncio.to_thread, batch)


def test_each_item_is_judged_by_the_catalogues(store: CatalogueStore, tmp_path: Path) -> None:
    one = layout("1305")
    flags = {0: "1", 1: "0"}
    facts = [
        {"med_list_codg": f"XTEST{n}", "vali_flag": flag, "rid": f"R{n}", "ver": "V"}
        for n, flag in flags.items()
    ]
    (tmp_path / "a.txt").write_bytes(
        b"".join(written([row.get(name) for name in one.columns] for row in facts))
    )
    import_file(Way(store, lambda: NOW, owner()), one, tmp_path / "a.txt")
    given = rows(4)
    given[3]["med_list_codg"] = ""
    found = judged(store, items_of(given))
    assert [each.status for each in found.judged] == ["new", "ended", "not found", "unmapped"]
    assert found.counts == {"unmapped": 1, "not found": 1, "ended": 1, "new": 1}
    assert table(found.judged)[2][:3] == ["ended", "目录已失效", "D1"]


def test_without_a_catalogue_no_code_is_called_missing(store: CatalogueStore) -> None:
    found = judged(store, items_of(rows(2)))
    assert not found.looked_up
    assert found.counts == {"new": 2}


async def test_an_upload_sends_what_differs_and_only_that(store: CatalogueStore) -> None:
    centre = Books()
    done = await uploading(store, centre).upload(judged(store, items_of(rows(25))).judged)
    assert (done.uploaded, centre.calls("3301")) == (25, 3)
    changed = rows(26)
    changed[3]["fixmedins_hilist_name"] = "改名"
    changed[4]["med_list_codg"] = "XTEST900"
    found = judged(store, items_of(changed[1:]))
    assert found.counts == {"new": 1, "changed": 1, "remapped": 1, "same": 22, "gone": 1}
    done = await uploading(store, centre).upload(found.judged)
    assert (done.uploaded, done.withdrawn) == (3, 1)
    assert centre.kept["D4"] == "XTEST900"
    assert [len(i["data"]) for n, i in centre.asked if n == "3302"] == [1]
    assert judged(store, items_of(changed)).counts == {"same": 26}


async def test_refused_items_are_found_in_their_batch_and_the_others_are_taken(store: CatalogueStore) -> None:
    centre = Books()
    centre.bad = {"XTEST3", "XTEST17"}
    done = await uploading(store, centre).upload(judged(store, items_of(rows(25))).judged)
    assert (done.uploaded, done.refused) == (23, 2)
    assert {(one.id, one.text) for one in done.faults} == {
        ("D3", "-1 目录编码不存在"),
        ("D17", "-1 目录编码不存在"),
    }
    found = judged(store, items_of(rows(25)))
    assert found.counts == {"refused": 2, "same": 23}
    before = centre.calls("3301")
    await uploading(store, centre).upload(found.judged)
    assert centre.calls("3301") == before
    centre.bad = set()
    done = await uploading(store, centre).upload(found.judged, again=True)
    assert done.uploaded == 2


async def test_a_centre_that_refuses_everything_is_not_asked_item_by_item(store: CatalogueStore) -> None:
    centre = Books()
    centre.bad = {f"XTEST{n}" for n in range(500)}
    with pytest.raises(Refused, match="JL-N121"):
        await uploading(store, centre, 100).upload(judged(store, items_of(rows(500))).judged)
    assert centre.calls("3301") < 40


async def test_an_upload_goes_on_where_the_centre_was_away(store: CatalogueStore) -> None:
    centre = Centre()
    centre.pages = {}
    centre.fails = lambda infno, count: away() if count == 2 else Answer("OK")
    items = items_of(rows(25))
    with pytest.raises(Unreachable):
        await uploading(store, centre).upload(judged(store, items).judged)
    assert judged(store, items).counts == {"new": 15, "same": 10}
    done = await uploading(store, centre).upload(judged(store, items).judged)
    assert done.uploaded == 15


async def test_a_lost_answer_is_asked_for_before_anything_is_sent_again(store: CatalogueStore) -> None:
    centre, items = Books(), items_of(rows(3))
    centre.loses = lambda infno: True
    done = await uploading(store, centre, 2).upload(judged(store, items).judged)
    assert (done.uploaded, done.unknown) == (0, 3)
    del centre.kept["D2"]
    centre.loses = lambda infno: False
    done = await uploading(store, centre, 2).upload(judged(store, items).judged)
    assert done.uploaded == 3
    sent = [[row["fixmedins_hilist_id"] for row in i["data"]] for n, i in centre.asked if n == "3301"]
    assert sent == [["D0", "D1"], ["D2"], ["D2"]]


async def test_after_three_batches_without_an_answer_the_rest_waits(store: CatalogueStore) -> None:
    centre, items = Books(), items_of(rows(50))
    centre.loses = lambda infno: True
    with pytest.raises(Unreachable, match="JL-N106"):
        await uploading(store, centre).upload(judged(store, items).judged)
    assert judged(store, items).counts == {"new": 20, "unknown": 30}
    centre.loses = lambda infno: False
    done = await uploading(store, centre).upload(judged(store, items).judged)
    assert done.uploaded == 50


async def test_what_is_withdrawn_is_gone_and_what_the_centre_keeps_stays(store: CatalogueStore) -> None:
    centre, items = Books(), items_of(rows(3))
    await uploading(store, centre).upload(judged(store, items).judged)
    centre.bad = {"XTEST1"}
    done = await uploading(store, centre).withdraw(list(store.mappings.all().values()))
    assert (done.withdrawn, done.refused) == (2, 1)
    assert centre.kept == {"D1": "XTEST1"}
    assert judged(store, items).counts == {"new": 2, "same": 1}
    assert all(
        row["fixmedins_code"] == centre.fixmedins_code
        for n, i in centre.asked
        if n == "3302"
        for row in i["data"]
    )


async def test_an_upload_that_is_told_to_stop_keeps_what_is_done(store: CatalogueStore) -> None:
    centre, items = Books(), items_of(rows(25))
    with pytest.raises(Unreachable, match="JL-N112"):
        await uploading(store, centre, stop=lambda: centre.calls("3301") == 1).upload(
            judged(store, items).judged
        )
    assert judged(store, items).counts == {"new": 15, "same": 10}


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_a_list_is_read_with_the_names_of_either_language(charset: str, mark: str) -> None:
    head = ["定点医药机构目录编号", "FIXMEDINS_HILIST_NAME", "list_type", "医疗目录编码", "库房"]
    text = "\r\n".join(mark.join(row) for row in (head, ["D1", "项目", "201", "null", "一"]))
    (item,) = read_items(text.encode(charset))
    assert item.facts == {"fixmedins_hilist_id": "D1", "fixmedins_hilist_name": "项目", "list_type": "201"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a,b\n1,2\n", "no column fixmedins_hilist_id"),
        (b"fixmedins_hilist_id,fixmedins_hilist_name,med_list_codg\n,x,y\n", "row 1: no fixmedins_hilist_id"),
        (b"fixmedins_hilist_id,fixmedins_hilist_name,med_list_codg\nA,x,y\nA,x,y\n", "row 2: the .* row 1"),
        (b"[1]", "not a list of objects"),
        (b"[{", "not JSON"),
        (b"\xff\xff\xff\n1", "neither UTF-8 nor GB18030"),
    ],
)
def test_a_list_that_cannot_be_used_says_where(text: bytes, says: str) -> None:
    with pytest.raises(BadMessage, match=f"JL-N120.*{says}"):
        read_items(text)
