"""Channels with databases and timers, as an integrator checks and tests them: no server is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from channels.report import check_site
from config.settings import load_settings
from router.proving.runner import run_tests

MANUAL = Path(__file__).parents[2] / "endpoints" / "sql" / "README.md"

CHANNEL = """\
channel: results
from:
  database:
    url: sqlite:///lis.db
    query: select id, name from lis_out where state = 0
    mark: update lis_out set state = 1 where id = :id
format: json
validate: row.json
to:
  his: {send: {database: {url: "sqlite:///his.db", statement: "insert into t values (:id)"}}}
tests:
  - name: a result goes to the HIS, and its row is marked
    given: {id: 1, name: 测试}
    expect: {reply: {code: marked}, his: {$.id: 1}}
  - name: what the HIS has already is a dead letter
    given: {id: 1}
    while: {his: {answer: refused}}
    expect: {his: {state: dead, code: JL-E361}}
  - name: a deadlock is tried again, and so is a commit that nobody heard of
    given: {id: 1}
    while: {his: [{answer: again}, {answer: lost}, {answer: done}]}
    expect: {his: {state: sent, tries: 3}}
  - name: a row that is none is refused
    given: {id: one}
    expect: {reply: {code: refused}}
"""
NIGHTLY = """\
channel: nightly
from: {timer: {cron: "30 2 * * *", zone: Asia/Shanghai}}
format: json
to:
  his: {send: {database: {url: "sqlite:///his.db", call: "close_day(:scheduled)"}}}
tests:
  - name: every night the day is closed
    given: {scheduled: "2026-01-05T02:30:00+08:00", previous: null}
    expect: {reply: {code: done}, his: {$.scheduled: "2026-01-05T02:30:00+08:00"}}
"""


def test_channels_are_tested_without_a_database(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "row.json").write_text('{"properties": {"id": {"type": "integer"}}}')
    (tmp_path / "channels" / "results.yaml").write_text(CHANNEL, encoding="utf-8")
    (tmp_path / "channels" / "nightly.yaml").write_text(NIGHTLY, encoding="utf-8")
    assert [str(f) for f in check_site(tmp_path, env={})] == []
    report = run_tests(load_settings(tmp_path, {}), {})
    assert (len(report.results), report.failed) == (5, [])


def test_the_examples_of_the_manual_are_clean(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    for block in re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL):
        name = re.match(r"# (\S+)\n", block)
        assert name, "a block begins with its file's name"
        (tmp_path / name[1]).write_text(block, encoding="utf-8")
    env = {"JINGLUO_SECRET_HIS_DB": "invented", "JINGLUO_SECRET_LIS_DB": "invented"}
    assert [str(f) for f in check_site(tmp_path, env=env)] == []


def test_a_password_in_an_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "nightly.yaml").write_text(
        NIGHTLY.replace("sqlite:///his.db", "mysql://u:p@h/x")
    )
    assert [f.code for f in check_site(tmp_path, env={})] == ["JL-C031"]


@pytest.mark.parametrize("map", ["start: $\nmake: {name: x}", "make: $.row", "make: {use: row}"])
def test_nothing_is_said_of_a_map_whose_keys_the_message_decides(tmp_path: Path, map: str) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "maps" / "types").mkdir(parents=True)
    (tmp_path / "maps" / "types" / "row.yaml").write_text("fragment: row\nfrom: json\nmake: {id: $.id}\n")
    (tmp_path / "maps" / "m.yaml").write_text(f"map: m\nfrom: json\nto: json\n{map}\n")
    text = NIGHTLY.partition("tests:")[0].replace("his: {send", "his: {map: m, send")
    (tmp_path / "channels" / "nightly.yaml").write_text(text)
    assert "JL-C153" not in [f.code for f in check_site(tmp_path, env={})]
