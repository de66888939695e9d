"""Dictionaries and other small tables of the centre: asked whole, published whole, exported as tables of a site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from insurance_centre import Centre, away

from config.errors import Refused, Unreachable
from endpoints.insurance.catalogue_import import Way, owner
from endpoints.insurance.files import Answer
from endpoints.insurance.registers import Asked, dictionaries, export, layout, local_codes, update_register
from router.store.insurance_catalogue import CatalogueStore
from schemas.nhsa.profile import profile
from transforms.tables import read_table

NOW = 1_790_000_000_000
LISTS = {
    "med_type": {"11": "普通门诊", "21": "普通住院"},
    "gend": {"1": "男", "2": "女"},
    "insutype": {"310": "职工"},
}
DICTIONARIES = layout("1901")


class Words(Centre):
    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, dict[str, str]] = {name: dict(values) for name, values in LISTS.items()}
        self.staff: list[dict[str, str]] = []

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        self.asked.append((infno, input))
        if (wrong := self.fails(infno, len(self.asked))) is not None:
            raise wrong
        if infno == "5101":
            dept = {
                "hosp_dept_codg": "D01",
                "hosp_dept_name": "内科",
                "begntime": "2026-01-01",
                "aprv_bed_cnt": 30,
            }
            return Answer("OK", {"feedetail": [dept]})
        if infno == "5102":
            return Answer("OK", {"feedetail": self.staff})
        name = input["data"]["type"]
        if name not in self.lists:
            return Answer("REJECTED", None, "-1", "字典类型不存在")
        rows = [
            {
                "type": name,
                "value": value,
                "label": label,
                "parentValue": "",
                "sort": n,
                "valiFlag": "1",
                "version": 3,
            }
            for n, (value, label) in enumerate(self.lists[name].items())
        ]
        return Answer("OK", {"list": rows})


@pytest.fixture
def store(journal_url: str) -> Iterator[CatalogueStore]:
    made = CatalogueStore(journal_url, now=lambda: NOW)
    yield made
    made.close()


def way(store: CatalogueStore, **said: Any) -> Way:
    return Way(store, lambda: NOW, owner(), **said)


def values(store: CatalogueStore, name: str) -> dict[str | None, str | None]:
    return {row["value"]: row["label"] for row in store.of_code(DICTIONARIES, name)}


async def test_every_list_is_asked_and_what_is_gone_goes(store: CatalogueStore) -> None:
    centre, asked = Words(), dictionaries(list(LISTS), "999900", NOW / 1000)
    report = await update_register(way(store), centre, "1901", asked)
    assert (report.rows, report.now) == (5, 5)
    assert values(store, "med_type") == LISTS["med_type"]
    assert centre.asked[0][1]["data"] == {
        **{"type": "med_type", "parentValue": "0", "admdvs": "999900"},
        **{"date": "2026-09-21", "valiFlag": "1"},
    }
    del centre.lists["gend"]["2"]
    centre.lists["med_type"]["11"] = "门诊"
    report = await update_register(way(store), centre, "1901", asked)
    assert (report.changed, report.now) == (1, 4)
    assert values(store, "gend") == {"1": "男"}


async def test_a_list_that_the_centre_does_not_know_costs_no_other_and_nothing_that_was_there(
    store: CatalogueStore,
) -> None:
    centre, asked = Words(), dictionaries(list(LISTS), "", NOW / 1000)
    await update_register(way(store), centre, "1901", asked)
    del centre.lists["gend"]
    told: list[tuple[str, str]] = []
    report = await update_register(
        way(store), centre, "1901", asked, told=lambda about, text: told.append((about, text))
    )
    assert told == [("gend", "-1 字典类型不存在")]
    assert (report.faults, report.now, values(store, "gend")) == (1, 5, LISTS["gend"])


async def test_a_centre_that_refuses_all_changes_nothing(store: CatalogueStore) -> None:
    centre = Words()
    centre.lists = {}
    with pytest.raises(Refused, match="JL-N105"):
        await update_register(way(store), centre, "1901", dictionaries(["gend"], "", NOW / 1000))
    assert store.state("1901").load is None


async def test_an_update_goes_on_at_the_list_where_the_centre_was_away(store: CatalogueStore) -> None:
    centre, asked = Words(), dictionaries(list(LISTS), "", NOW / 1000)
    centre.fails = lambda infno, count: away() if count == 2 else None
    with pytest.raises(Unreachable):
        await update_register(way(store), centre, "1901", asked)
    assert not values(store, "med_type")
    report = await update_register(way(store), centre, "1901", asked)
    assert report.now == 5
    assert [input["data"]["type"] for _, input in centre.asked] == ["med_type", "gend", "gend", "insutype"]


async def test_departments_are_a_table_too(store: CatalogueStore) -> None:
    report = await update_register(way(store), Words(), "5101", [Asked("5101", {})])
    (row,) = store.of_code(layout("5101"), "D01")
    assert (report.now, row["hosp_dept_name"], row["aprv_bed_cnt"]) == (1, "内科", "30")


async def test_of_staff_no_identity_number_is_kept(store: CatalogueStore) -> None:
    centre = Words()
    person = {
        "prac_psn_code": "DTEST1",
        "prac_psn_name": "测试",
        "psn_cert_type": "01",
        "CERTNO": "X123",
        "more": "y",
    }
    centre.staff = [person]
    await update_register(way(store), centre, "5102", [Asked("5102", {"data": {}})])
    (row,) = store.of_code(layout("5102"), "DTEST1")
    assert row["prac_psn_name"] == "测试"
    assert "X123" not in str(row)


async def test_codes_of_the_centre_alone_are_codes_of_a_profile(
    store: CatalogueStore, tmp_path: Path
) -> None:
    centre = Words()
    centre.lists = {"med_type": {"11": "普通门诊", "9923": '门诊"特药'}, "gend": {"1": "男"}}
    await update_register(
        way(store), centre, "1901", dictionaries(list(centre.lists), "", NOW / 1000), full=True
    )
    said = local_codes({name: store.of_code(DICTIONARIES, name) for name in (*centre.lists, "no_such_list")})
    (tmp_path / "ours.yaml").write_text(f"profile: ours\ntitle: 示例\n{said}", encoding="utf-8")
    assert profile("ours", tmp_path).codes["med_type"]["9923"] == '门诊"特药'
    assert "gend" not in said
    assert local_codes({}) == "codes: {}\n"


async def test_an_exported_dictionary_is_a_table_of_a_site(store: CatalogueStore, tmp_path: Path) -> None:
    centre = Words()
    centre.lists = {"med_type": {"11": '普通,"门诊"', "21": "#住院"}}
    await update_register(way(store), centre, "1901", dictionaries(["med_type"], "", NOW / 1000))
    file = tmp_path / "nhsa-med-type.csv"
    file.write_text(export(store.of_code(DICTIONARIES, "med_type"), "med_type", "999900"), encoding="utf-8")
    table, findings = read_table(file)
    assert findings == []
    assert table.column("value") == {"11": '普通,"门诊"', "21": "#住院"}
