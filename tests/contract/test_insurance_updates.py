"""Catalogues fetched from a centre: versions, files, pages; and what is kept where something goes wrong on the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from insurance_centre import Centre, away

from config.errors import BadMessage, Refused, Unreachable
from endpoints.insurance.catalogue import update
from endpoints.insurance.catalogue_import import Way, owner
from endpoints.insurance.catalogues import Layout, Load, Report
from endpoints.insurance.files import Answer
from router.store.insurance_catalogue import CatalogueStore

NOW = 1_790_000_000_000
FILES = Layout("1305", "医疗服务项目", ("code", "name", "vali_flag", "rid", "ver"), "code", ("name",))
PAGES = Layout("1312", "医保目录", ("code", "name", "vali_flag", "rid", "updt_time"), "code", ("name",), True)


@pytest.fixture
def catalogues(journal_url: str) -> Iterator[CatalogueStore]:
    store = CatalogueStore(journal_url, now=lambda: NOW)
    yield store
    store.close()


@pytest.fixture
def centre() -> Centre:
    return Centre()


def way(store: CatalogueStore, **said: Any) -> Way:
    return Way(store, lambda: NOW, owner(), **{"batch": 10, **said})


def items(first: int, last: int, ver: str) -> list[tuple[str, ...]]:
    return [(f"X{n}", f"项目{n}", "1", f"R{n}", ver) for n in range(first, last)]


def rows(count: int, day: str = "2026-01-01") -> list[dict[str, Any]]:
    return [
        {"code": f"X{n}", "name": f"目录{n}", "vail_flag": 1, "rid": f"R{n}", "updt_time": f"{day} 10:00:00"}
        for n in range(count)
    ]


def zips(folder: Path) -> list[str]:
    return [one.name for one in folder.glob("*.zip*")]


async def test_all_versions_are_fetched_one_after_the_other_until_nothing_is_newer(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("F001_1_A", items(0, 25, "F001_1_A")), ("F001_2_A", items(20, 30, "F001_2_A"))]
    reports = await update(way(catalogues), centre, FILES, tmp_path)
    assert [(one.rows, one.new, one.changed, one.now) for one in reports] == [(25, 25, 0, 25), (10, 5, 5, 30)]
    assert [input["data"]["ver"] for infno, input in centre.asked if infno == "1305"] == [
        "0",
        "F001_1_A",
        "F001_2_A",
    ]
    assert all(i["fsDownloadIn"]["fixmedins_code"] == "plc" for n, i in centre.asked if n == "9102")
    assert zips(tmp_path) == []
    assert catalogues.state("1305").load is None
    assert await update(way(catalogues), centre, FILES, tmp_path) == []


async def test_a_full_update_is_published_only_when_all_its_files_are_in(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 25, "V1")), ("V2", items(20, 30, "V2"))]
    await update(way(catalogues), centre, FILES, tmp_path)
    centre.versions[0] = ("V1", items(5, 25, "V1"))
    centre.fails = lambda infno, count: away() if centre.calls("1305") == 5 else None
    with pytest.raises(Unreachable):
        await update(way(catalogues), centre, FILES, tmp_path, full=True)
    assert catalogues.state("1305").rows == 30
    (report,) = await update(way(catalogues), centre, FILES, tmp_path, full=True)
    assert (report.now, report.ended, report.same, report.ver) == (25, 5, 25, "V2")


async def test_a_full_update_to_which_the_centre_says_nothing_leaves_what_is_there(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 5, "V1"))]
    await update(way(catalogues), centre, FILES, tmp_path)
    centre.versions = []
    assert await update(way(catalogues), centre, FILES, tmp_path, full=True) == []
    assert catalogues.state("1305").rows == 5


async def test_no_newer_data_said_as_a_failure_is_no_failure(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.fails = lambda infno, count: Answer("REJECTED", None, "-1", "没有最新的目录数据")
    assert await update(way(catalogues), centre, FILES, tmp_path) == []
    assert await update(way(catalogues), centre, PAGES, tmp_path) == []


async def test_another_refusal_says_the_words_of_the_centre(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.fails = lambda infno, count: Answer("REJECTED", None, "-1", "机构未授权")
    with pytest.raises(Refused, match="机构未授权"):
        await update(way(catalogues), centre, FILES, tmp_path)


async def test_a_download_that_broke_is_fetched_again_and_nothing_is_read_of_it(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 25, "V1"))]
    centre.fails = lambda infno, count: away() if infno == "9102" and centre.calls("9102") == 1 else None
    with pytest.raises(Unreachable):
        await update(way(catalogues), centre, FILES, tmp_path)
    assert zips(tmp_path) == []
    (report,) = await update(way(catalogues), centre, FILES, tmp_path)
    assert report.now == 25


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (Answer("REJECTED", None, "-1", "文件不存在"), Refused, "JL-N105: .*文件不存在"),
        (Answer("OK", {}), Refused, "JL-N105: .*without a file"),
        (Answer("UNKNOWN"), Unreachable, "JL-N106"),
        (b"PK\x03\x04 cut", Unreachable, "JL-N109"),
    ],
)
async def test_what_is_no_file_is_said_as_what_it_is(
    catalogues: CatalogueStore,
    centre: Centre,
    tmp_path: Path,
    answer: Answer | bytes,
    error: type[Exception],
    code: str,
) -> None:
    centre.versions = [("V1", items(0, 5, "V1"))]
    centre.fails = lambda infno, count: answer if infno == "9102" else None
    with pytest.raises(error, match=code):
        await update(way(catalogues), centre, FILES, tmp_path)
    assert zips(tmp_path) == []


async def test_a_file_whose_time_is_over_is_not_asked_for(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions, centre.until = [("V1", items(0, 5, "V1"))], "2020-01-01"
    with pytest.raises(Refused, match="JL-N108"):
        await update(way(catalogues), centre, FILES, tmp_path)
    assert centre.calls("9102") == 0


async def test_a_bad_file_of_the_centres_leaves_the_catalogue_as_it_was(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 5, "V1"))]
    await update(way(catalogues), centre, FILES, tmp_path)
    centre.versions.append(("V2", [*items(5, 30, "V2"), ("short",)]))
    with pytest.raises(BadMessage, match="row 26"):
        await update(way(catalogues), centre, FILES, tmp_path)
    assert (catalogues.state("1305").rows, catalogues.state("1305").load) == (5, None)


async def test_an_update_that_is_stopped_goes_on_where_it_was_without_asking_anew(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 95, "V1"))]
    steps = 0
    reports: list[Report] = []
    while not reports:
        try:
            reports = await update(way(catalogues, stop=lambda: True), centre, FILES, tmp_path)
        except Unreachable as error:
            steps += error.code == "JL-N112"
    assert (steps, reports[0].now) == (9, 95)
    assert centre.calls("9102") == 1


async def test_a_cancelled_update_keeps_what_is_done(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.versions = [("V1", items(0, 95, "V1"))]
    loop, some, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def tell(load: Load, share: float) -> None:
        loop.call_soon_threadsafe(some.set)
        go.wait(60)  # so that it is cancelled in the midst, however slow this test is

    running = asyncio.ensure_future(update(way(catalogues, tell=tell), centre, FILES, tmp_path))
    await asyncio.wait_for(some.wait(), 60)
    running.cancel()
    for _ in range(5):  # the cancelling is heard of
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert catalogues.state("1305").rows == 0
    (report,) = await update(way(catalogues), centre, FILES, tmp_path)
    assert report.now == len(catalogues.search(FILES, "X", 1000)) == 95


async def test_pages_are_read_to_the_last_one_and_then_only_what_is_later(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.pages["1312"] = rows(25)
    (report,) = await update(way(catalogues), centre, PAGES, tmp_path, page=10)
    assert (report.rows, report.now, report.ver) == (25, 25, "2026-01-01")
    assert catalogues.known(PAGES, ["X7"]) == {"X7": True}
    centre.pages["1312"][3] |= {"vail_flag": "0", "updt_time": "2026-02-01 08:00:00"}
    for row in centre.pages["1312"][4:]:
        row["updt_time"] = "2025-12-31 00:00:00"
    (report,) = await update(
        way(catalogues), centre, PAGES, tmp_path, page=10, given={"insu_admdvs": "999900"}
    )
    assert (report.rows, report.ended, report.now) == (4, 1, 25)
    assert centre.asked[-1][1]["data"] == {
        **{"insu_admdvs": "999900", "updt_time": "2026-01-01"},
        **{"page_num": 1, "page_size": 10},
    }


async def test_paging_goes_on_at_the_page_where_the_centre_was_away(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.pages["1312"] = rows(45)
    centre.fails = lambda infno, count: away() if count == 4 else None
    with pytest.raises(Unreachable):
        await update(way(catalogues), centre, PAGES, tmp_path, page=10)
    (report,) = await update(way(catalogues), centre, PAGES, tmp_path, page=10)
    assert report.now == 45
    assert [input["data"]["page_num"] for _, input in centre.asked] == [1, 2, 3, 4, 4, 5]


async def test_rows_that_moved_between_pages_are_not_lost(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    centre.pages["1312"] = rows(25)

    def shift(infno: str, count: int) -> None:
        if count == 2:  # a new row comes first, one goes: X10 is now on the page that was read
            del centre.pages["1312"][0]
        return None

    centre.fails = shift
    (report,) = await update(way(catalogues), centre, PAGES, tmp_path, page=10)
    assert {one["code"] for one in catalogues.search(PAGES, "X", 100)} >= {f"X{n}" for n in range(1, 25)}
    assert report.now == 25


async def test_a_centre_that_answers_each_page_with_the_same_rows_is_refused(
    catalogues: CatalogueStore, centre: Centre, tmp_path: Path
) -> None:
    same = Answer("OK", {"recordCounts": 1000, "data": rows(10)})
    centre.fails = lambda infno, count: same
    with pytest.raises(Refused, match="JL-N113"):
        await update(way(catalogues), centre, PAGES, tmp_path, page=10)
    assert centre.calls("1312") == 2
