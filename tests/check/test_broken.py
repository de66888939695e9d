"""Every folder in `broken/` is a small site with mistakes; its files say in comments which, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from channels.report import check_site
from config.settings import load_settings
from router.proving.runner import run_tests

FOLDER = Path(__file__).parent / "broken"
SITES = sorted(path for path in FOLDER.iterdir() if path.is_dir())


def expected(site: Path) -> list[tuple[str, str, str]]:
    return sorted(
        (str(path.relative_to(site)), place.decode(), code.decode())
        for path in site.rglob("*.*")
        if path.is_file()
        for place, code in re.findall(rb"# expect (\d+:\d+) (JL-C\d+)", path.read_bytes())
    )


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.name)
def test_a_broken_site_has_exactly_the_findings_that_it_says(site: Path) -> None:
    found = check_site(site, env={})
    assert sorted((f.file, f"{f.line}:{f.column}", f.code) for f in found) == expected(site)
    assert any(code == f"JL-{site.name[:4]}" for _, _, code in expected(site))
    assert all(f.message for f in found)


def test_the_manual_explains_every_code_that_a_broken_site_shows() -> None:
    manual = (FOLDER.parents[2] / "channels" / "README.md").read_text(encoding="utf-8")
    codes = {code for site in SITES for _, _, code in expected(site)}
    assert sorted(code for code in codes if f"`{code}`" not in manual) == []


def test_a_code_of_the_manual_means_one_thing() -> None:
    manual = (FOLDER.parents[2] / "channels" / "README.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| `(JL-C\d+)` \|", manual, re.MULTILINE)
    assert sorted({code for code in codes if codes.count(code) > 1}) == []


def test_the_example_of_the_manual_is_clean(tmp_path: Path) -> None:
    manual = (FOLDER.parents[2] / "channels" / "README.md").read_text(encoding="utf-8")
    channel, systems, tests = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "his-adt.yaml").write_text(channel + tests, encoding="utf-8")
    (tmp_path / "systems.yaml").write_text(systems, encoding="utf-8")
    env = {"JINGLUO_SECRET_EMR_TOKEN": "invented"}
    assert [finding.code for finding in check_site(tmp_path, env)] == ["JL-C034"]  # emr waits for its channel
    report = run_tests(load_settings(tmp_path, {}), {})
    assert (len(report.results), report.failed) == (2, [])
