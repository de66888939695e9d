"""Catalogues in the engine's tables: published whole, gone on with after a crash. On both databases."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import BadMessage, Unreachable
from endpoints.insurance.catalogue_import import Way, import_file, owner
from endpoints.insurance.catalogues import Layout, Load
from endpoints.insurance.lines import written
from endpoints.insurance.zipped import zipped
from router.store.insurance_catalogue import CatalogueStore

NOW = 1_790_000_000_000
LAYOUT = Layout(
    "1305",
    "医疗服务项目",
    ("med_list_codg", "name", "pinyin", "vali_flag", "rid", "ver"),
    "med_list_codg",
    ("name",),
)
Item = tuple[str, str, str, str, str, str]


def item(number: int, name: str = "", flag: str = "1", ver: str = "F001_1", rid: str = "") -> Item:
    return f"XTEST{number:05}", name or f"项目{number}", f"XM{number}", flag, rid or f"R{number}", ver


def file(folder: Path, items: list[Item], name: str = "a.zip") -> Path:
    (folder / name).write_bytes(zipped("a.txt", written(items)))
    return folder / name


@pytest.fixture
def catalogues(journal_url: str) -> Iterator[CatalogueStore]:
    store = CatalogueStore(journal_url, now=lambda: NOW)
    yield store
    store.close()


def way(store: CatalogueStore, **said: object) -> Way:
    return Way(store, lambda: NOW, owner(), **{"batch": 10, **said})  # type: ignore[arg-type]


def codes(store: CatalogueStore) -> list[str]:
    return sorted(str(one["med_list_codg"]) for one in store.search(LAYOUT, "XTEST", 100_000))


def test_a_file_is_what_readers_find(catalogues: CatalogueStore, tmp_path: Path) -> None:
    report = import_file(way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(25)]))
    assert (report.rows, report.new, report.now, report.ver) == (25, 25, 25, "F001_1")
    (found,) = catalogues.of_code(LAYOUT, "XTEST00007")
    assert found["name"] == "项目7"
    assert found["extra"] is None
    assert [one["rid"] for one in catalogues.search(LAYOUT, "目24", 5)] == ["R24"]
    assert [one["rid"] for one in catalogues.search(LAYOUT, "xm23", 5)] == ["R23"]
    assert catalogues.state("1305").rows == 25


def test_nothing_is_known_of_a_catalogue_that_nobody_imported(catalogues: CatalogueStore) -> None:
    assert catalogues.state("1305").ver == ""
    assert not catalogues.of_code(LAYOUT, "XTEST00007")
    assert not catalogues.search(LAYOUT, "a", 5)
    assert not catalogues.known(LAYOUT, ["XTEST00007"])


def test_a_later_file_changes_ends_and_adds_and_says_so(catalogues: CatalogueStore, tmp_path: Path) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(20)]))
    later = [item(3), item(4, "改名", ver="F001_2"), item(5, flag="0", ver="F001_2"), item(30, ver="F001_2")]
    report = import_file(way(catalogues), LAYOUT, file(tmp_path, later, "b.zip"))
    assert (report.new, report.changed, report.ended, report.same) == (1, 1, 1, 1)
    assert (report.now, report.ver) == (21, "F001_2")
    assert [(c.what, c.code, c.name) for c in catalogues.changes(LAYOUT, 0, 10)] == [
        ("changed", "XTEST00004", "改名"),
        ("ended", "XTEST00005", "项目5"),
        ("new", "XTEST00030", "项目30"),
    ]
    assert catalogues.known(LAYOUT, ["XTEST00004", "XTEST00005", "no"]) == {
        "XTEST00004": True,
        "XTEST00005": False,
    }


def test_a_full_file_takes_the_place_of_what_was_there(catalogues: CatalogueStore, tmp_path: Path) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(20)]))
    report = import_file(
        way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(15)], "b.zip"), full=True
    )
    assert (report.same, report.ended, report.now) == (15, 5, 15)
    assert len(codes(catalogues)) == 15


def test_of_two_rows_of_one_rid_the_last_holds(catalogues: CatalogueStore, tmp_path: Path) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(1), item(2), item(1, "新")]))
    assert [one["name"] for one in catalogues.of_code(LAYOUT, "XTEST00001")] == ["新"]


def test_columns_that_a_later_version_appends_are_kept(catalogues: CatalogueStore, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\t".join([*item(1), "more", "null"]) + "\n")
    import_file(way(catalogues), LAYOUT, tmp_path / "a.txt")
    assert catalogues.of_code(LAYOUT, "XTEST00001")[0]["extra"] == "more\tnull"


def test_a_column_that_the_layout_gains_is_added_to_what_is_there(
    catalogues: CatalogueStore, tmp_path: Path
) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(1)]))
    grown = Layout(LAYOUT.kind, "", (*LAYOUT.columns, "memo"), LAYOUT.code, LAYOUT.labels)
    (tmp_path / "b.txt").write_text("\t".join([*item(2), "记"]) + "\n")
    import_file(way(catalogues), grown, tmp_path / "b.txt")
    assert [catalogues.of_code(grown, f"XTEST0000{n}")[0]["memo"] for n in (1, 2)] == [None, "记"]


def test_values_that_mean_something_to_a_database_are_kept_as_they_are(
    catalogues: CatalogueStore, tmp_path: Path
) -> None:
    name = "a\\tb \\N \\. 'x' \"y\" 😀"
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(1, name)]))
    assert catalogues.of_code(LAYOUT, "XTEST00001")[0]["name"] == name


def test_a_file_with_a_fault_is_refused_and_leaves_nothing(
    catalogues: CatalogueStore, tmp_path: Path
) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(1)]))
    lines = b"".join(written([item(n) for n in range(2, 40)])) + b"short\n"
    (tmp_path / "bad.txt").write_bytes(lines)
    with pytest.raises(BadMessage, match="row 39"):
        import_file(way(catalogues), LAYOUT, tmp_path / "bad.txt")
    assert codes(catalogues) == ["XTEST00001"]
    assert catalogues.state("1305").load is None
    report = import_file(way(catalogues, faults=1), LAYOUT, tmp_path / "bad.txt")
    assert (report.new, report.faults) == (38, 1)


def test_a_row_without_a_rid_is_a_fault(catalogues: CatalogueStore, tmp_path: Path) -> None:
    rows: list[list[str | None]] = [["X", "n", "p", "1", None, "v"]]
    (tmp_path / "a.txt").write_bytes(b"".join(written(rows)))
    with pytest.raises(BadMessage, match="JL-N104"):
        import_file(way(catalogues), LAYOUT, tmp_path / "a.txt")


def test_what_is_being_filled_nobody_sees_and_a_stop_loses_nothing(
    catalogues: CatalogueStore, tmp_path: Path
) -> None:
    import_file(way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(5)]))
    whole = file(tmp_path, [item(n, "新", ver="F001_2") for n in range(95)], "b.zip")
    steps = 0
    while True:
        try:
            report = import_file(way(catalogues, stop=lambda: True), LAYOUT, whole)
            break
        except Unreachable:
            steps += 1
            assert len(codes(catalogues)) == 5
            going = catalogues.state("1305").load
            assert going is not None
            assert going.rows == steps * 10
    assert (steps, report.new, report.changed, report.now) == (9, 90, 5, 95)


def _import_and_die(url: str, path: Path, after: int) -> None:
    """In a process of its own: killed in the midst, as kill -9 does."""

    def at(load: Load, _share: float) -> None:
        if load.rows >= after:
            os.kill(os.getpid(), signal.SIGKILL)

    import_file(way(CatalogueStore(url), tell=at), LAYOUT, path)


@pytest.mark.parametrize("after", [10, 90])
def test_a_process_that_is_killed_in_the_midst_costs_no_row_and_doubles_none(
    journal_url: str, catalogues: CatalogueStore, tmp_path: Path, after: int
) -> None:
    whole = file(tmp_path, [item(n) for n in range(95)])
    killed = multiprocessing.get_context("spawn").Process(
        target=_import_and_die, args=(journal_url, whole, after)
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    going = catalogues.state("1305").load
    assert going is not None
    assert going.rows == after
    assert codes(catalogues) == []
    report = import_file(way(catalogues), LAYOUT, whole)
    assert (report.rows, report.same, report.now) == (95, 0, 95)
    assert codes(catalogues) == [item(n)[0] for n in range(95)]


def test_another_file_than_the_interrupted_one_begins_anew(
    catalogues: CatalogueStore, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable):
        import_file(way(catalogues, stop=lambda: True), LAYOUT, file(tmp_path, [item(n) for n in range(50)]))
    report = import_file(way(catalogues), LAYOUT, file(tmp_path, [item(n) for n in range(60, 63)], "b.zip"))
    assert report.now == 3


def test_one_process_at_a_time_imports_a_catalogue(catalogues: CatalogueStore) -> None:
    mine = catalogues.begin(LAYOUT, Load("1305", f"elsewhere:{os.getpid()}:a", NOW))
    with pytest.raises(Unreachable, match="JL-N110"):
        catalogues.begin(LAYOUT, Load("1305", "another:1:b", NOW))
    catalogues.leave(mine)
    assert catalogues.begin(LAYOUT, Load("1305", "another:1:b", NOW)).owner == "another:1:b"
    with pytest.raises(Unreachable, match="JL-N110"):
        catalogues.append(LAYOUT, mine, [item(1)])


def test_who_was_silent_for_long_is_taken_over(journal_url: str, catalogues: CatalogueStore) -> None:
    catalogues.begin(LAYOUT, Load("1305", "elsewhere:1:a", NOW))
    later = CatalogueStore(journal_url, now=lambda: NOW + 10 * 60_000)
    assert later.begin(LAYOUT, Load("1305", "another:1:b", NOW)).owner == "another:1:b"
    later.close()


@pytest.mark.parametrize("full", [True, False])
def test_who_reads_while_it_is_published_sees_one_version_whole(
    catalogues: CatalogueStore, tmp_path: Path, full: bool
) -> None:
    files = [file(tmp_path, [item(n, f"v{v}") for n in range(300)], f"{v}.zip") for v in range(2)]
    import_file(way(catalogues, batch=1000), LAYOUT, files[0])
    seen: list[set[object]] = []
    over = threading.Event()

    def read() -> None:
        last = False
        while not last:
            last = over.is_set()
            rows = catalogues.search(LAYOUT, "XTEST", 1000)
            seen.append({row["name"] for row in rows} | {len(rows)})

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(6):
            import_file(way(catalogues, batch=1000), LAYOUT, files[turn % 2], full=full)
    finally:
        over.set()
        reader.join()
    assert seen
    assert all(one in ({"v0", 300}, {"v1", 300}) for one in seen)


def test_a_database_that_cannot_be_opened_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url, code in (
        (f"sqlite:///{tmp_path}/file/journal.db", "JL-J010"),
        ("", "JL-J002"),
        ("mysql://x/y", "JL-J002"),
    ):
        store = CatalogueStore(url)
        with pytest.raises(Unreachable, match=code):
            store.state("1305")
        with pytest.raises(Unreachable, match=code):
            store.begin(LAYOUT, Load("1305", "here:1:a", NOW))
