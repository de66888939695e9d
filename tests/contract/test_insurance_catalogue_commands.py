"""`jingluo insurance catalogue|dictionaries|mapping|upload|download` on a site with the sandbox's centre."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy.sandbox.centre import Centre, Settings
from endpoints.insurance.kinds import layout
from endpoints.insurance.lines import written
from router.cli import app
from router.store.insurance_catalogue import CatalogueStore
from transforms.tables import read_table

SYSTEMS = """\
systems:
  insurance: {{kind: nhsa, url: "{url}", fixmedins_code: H99999900001, fixmedins_name: 示例医院,
              mdtrtarea_admvs: "999900", recer_sys_code: MBS}}
"""


class Site:
    def __init__(self, folder: Path, centre: Centre) -> None:
        self.folder, self.centre = folder, centre
        (folder / "systems.yaml").write_text(SYSTEMS.format(url=centre.url), encoding="utf-8")

    async def run(self, *words: str, expect: int = 0) -> str:
        return str((await self._said(words, expect)).output)

    async def _said(self, words: tuple[str, ...], expect: int) -> Result:
        """It has a thread: the centre answers meanwhile."""
        from router.commands.insurance import app as insurance

        if not any(group.name == "insurance" for group in app.registered_groups):
            app.add_typer(insurance, name="insurance")
        asked = ["--site", str(self.folder), "insurance", *words]
        result = await asyncio.to_thread(CliRunner().invoke, app, asked)
        assert result.exit_code == expect, (result.output, result.exception)
        return result

    async def json(self, *words: str, expect: int = 0) -> Any:
        return json.loads((await self._said((*words, "--json"), expect)).stdout)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with _site(tmp_path) as made:
        yield made


class _site:
    def __init__(self, folder: Path, **said: Any) -> None:
        self.folder, self.centre = folder, Centre(settings=Settings(**said))

    async def __aenter__(self) -> Site:
        await self.centre.start()
        return Site(self.folder, self.centre)

    async def __aexit__(self, *_: object) -> None:
        await self.centre.stop()


async def test_a_catalogue_is_updated_listed_searched_and_shown(site: Site) -> None:
    assert "read 读取 50" in await site.run("catalogue", "update", "1301", "1305")
    assert "nothing newer" in await site.run("catalogue", "update", "1301")
    known = {one["kind"]: one["rows"] for one in await site.json("catalogue", "list")}
    assert (known["1301"], known["1305"], known["1306"]) == (50, 50, 0)
    found = await site.json("catalogue", "search", "", "--kind", "1301", "--limit", "3")
    assert len(found) == 3
    code = found[0]["med_list_codg"]
    assert f": {code}" in await site.run("catalogue", "show", code)
    await site.run("catalogue", "show", "XNOSUCH", expect=1)
    site.centre.catalogues.publish("1301")
    await site.run("catalogue", "update", "1301")
    changes = await site.json("catalogue", "changes", "1301")
    assert {one["what"] for one in changes} >= {"ended"}
    assert "ended 失效" in await site.run("catalogue", "changes", "1301", "--since", "1d")


async def test_one_catalogue_that_is_refused_is_told_and_the_others_are_there(site: Site) -> None:
    site.centre.behave("1302", "refuse", times=1, text="机构未授权")
    assert "1302: JL-N105" in await site.run("catalogue", "update", "1301", "1302", "1303", expect=1)
    assert {one["kind"] for one in await site.json("catalogue", "list") if one["rows"]} == {"1301", "1303"}


async def test_a_file_that_was_given_by_hand_is_taken_in(site: Site, tmp_path: Path) -> None:
    one = layout("1305")
    rows = [[f"X{n}" if name in (one.code, "rid") else None for name in one.columns] for n in range(3)]
    (tmp_path / "list.txt").write_bytes(b"".join(written(rows)) + b"short\n")
    assert "row 4 行: JL-N102" in await site.run(
        "catalogue", "import", "1305", f"{tmp_path}/list.txt", expect=1
    )
    (report,) = await site.json("catalogue", "import", "1305", f"{tmp_path}/list.txt", "--faults", "1")
    assert (report["new"], report["faults"]) == (3, 1)
    await site.run("catalogue", "import", "1305x", f"{tmp_path}/list.txt", expect=1)


async def test_an_update_that_is_killed_goes_on_with_the_next_command(tmp_path: Path) -> None:
    store = CatalogueStore(f"sqlite:///{tmp_path}/var/jingluo.db")
    async with _site(tmp_path, catalogue_rows={"1301": 12_000}) as site:
        words = [sys.executable, "-c", "from router.cli import main; main()", "--site", str(tmp_path)]
        words += ["insurance", "catalogue", "update", "1301"]
        running = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
        while running.returncode is None:
            load = await asyncio.to_thread(lambda: store.state("1301").load)
            if load is not None and load.rows:
                running.kill()
                break
            await asyncio.sleep(0.01)
        await asyncio.wait_for(running.wait(), 60)
        await site.run("catalogue", "update", "1301")
    assert (store.state("1301").rows, store.state("1301").load) == (12_000, None)
    store.close()


async def test_code_lists_are_updated_shown_and_exported(site: Site) -> None:
    assert "1901: read 读取" in await site.run("dictionaries", "update", "insutype", "med_type")
    assert "310  职工基本医疗保险" in await site.run("dictionaries", "show", "insutype")
    await site.run("dictionaries", "show", "gend", expect=1)
    assert "insutype.csv" in await site.run("dictionaries", "export", "insutype")
    table, findings = read_table(site.folder / "tables" / "nhsa-insutype.csv")
    assert findings == []
    assert table.column("value")["310"] == "职工基本医疗保险"


async def test_items_are_reported_uploaded_and_withdrawn(site: Site, tmp_path: Path) -> None:
    await site.run("catalogue", "update", "1305")
    (one,) = await site.json("catalogue", "search", "", "--kind", "1305", "--limit", "1")
    head = [
        "定点医药机构目录编号",
        "定点医药机构目录名称",
        "list_type",
        "med_list_codg",
        "begndate",
        "enddate",
        "aprvno",
    ]
    rows = [
        ["D1", "项目", "201", one["med_list_codg"], "2026-01-01", "2099-12-31", "-"],
        ["D2", "未对照", "201", "", "", "", ""],
    ]
    with (tmp_path / "items.csv").open("w", encoding="gb18030", newline="") as opened:
        csv.writer(opened).writerows([head, *rows])
    file = f"{tmp_path}/items.csv"
    said = await site.run("mapping", "report", file, expect=1)
    assert "unmapped   D2  未对照" in said
    assert (await site.json("mapping", "report", file, expect=1))["counts"] == {"unmapped": 1, "new": 1}
    assert "unmapped,未对照,D2" in await site.run("mapping", "report", file, "--csv", expect=1)
    assert "uploaded 上传 1" in await site.run("mapping", "upload", file)
    assert (await site.json("mapping", "report", file, expect=1))["counts"] == {"unmapped": 1, "same": 1}
    await site.run("mapping", "withdraw", "D9", expect=2)
    assert "withdrawn 撤销 1" in await site.run("mapping", "withdraw", "D1")


async def test_a_file_goes_up_and_comes_down(site: Site, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a\tb\n")
    made = await site.json("upload", f"{tmp_path}/list.txt")
    assert made["name"] == "list.zip"
    await site.run("download", made["number"], f"{tmp_path}/back.zip", "--name", made["name"])
    from endpoints.insurance.zipped import text_of

    with text_of(tmp_path / "back.zip") as text:
        assert text.read() == b"a\tb\n"
    await site.run("download", made["number"], f"{tmp_path}/back.zip", expect=2)
