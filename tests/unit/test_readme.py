"""The README's code blocks are true: its channel, its mistake, its site and the demo's verdict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from channels.loader import check, load_site
from config.settings import ROOT, load_settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
BIN = str(Path(sys.executable).parent)


def block(language: str, holding: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == language and holding in text]
    return found


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    systems = "systems:\n  lis: {kind: mllp, host: 127.0.0.1, port: 12576}\n"
    systems += "  emr: {kind: fhir, url: 'http://127.0.0.1:18080/fhir'}\n"
    (tmp_path / "systems.yaml").write_text(systems)
    return tmp_path


def test_the_channel_is_ten_lines_and_runs(site: Path) -> None:
    text = block("yaml", "his-adt")
    assert len(text.splitlines()) <= 10
    (site / "channels" / "his-adt.yaml").write_text(text)
    loaded = load_site(load_settings(site, {}))
    assert not loaded.findings
    assert [branch.name for branch in loaded.channels[0].branches] == ["lis", "emr"]


def test_the_mistake_is_reported_as_it_stands_there(site: Path) -> None:
    text = block("yaml", "his-adt").replace("format: hl7v2", "format: hl7v3")
    (site / "channels" / "his-adt.yaml").write_text(text)
    errors = [str(finding) for finding in check(load_settings(site, {})) if finding.severity == "error"]
    assert errors == [block("text", "JL-C").strip()]


def test_the_site_that_it_makes_is_clean(tmp_path: Path) -> None:
    done = run(["bash", "-euc", block("sh", "mkdir -p site")], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "clean"


def test_the_demo_ends_with_the_verdict_that_it_promises(tmp_path: Path) -> None:
    done = run(["jingluo", "demo"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = [line for line in done.stdout.splitlines() if line.startswith("demo: ")]
    assert verdicts == [block("text", "demo: ").strip()]


def test_every_page_that_it_names_exists() -> None:
    pages = re.findall(r"\]\(([^)]+\.md)\)", README)
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []
