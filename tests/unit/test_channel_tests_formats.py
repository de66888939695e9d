"""Tests of channels that speak other formats than HL7 v2, and what a bug in a channel's own Python comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from proving_parts import play

from config import registry

XML = """\
channel: a
from: {http: {path: /v1/a}}
format: xml
index: {number: $/Patient/@id}
to:
  cda: {send: {file: {folder: out}}}
  rows: {map: rows, send: {file: {folder: out}}}
tests:
  - name: t
    given: <Patient id="1"><Name>张三</Name><Sex>M</Sex></Patient>
    expect:
      reply: {code: 202, $.state: accepted}
      cda:
        $/Patient/Name: 张三
        $/Patient/Age: null
        $: '<?xml version="1.0"?><Patient id="1"> <Name> 张三 </Name> <Sex>F</Sex> </Patient>'
        except: $//Sex
      rows: {"$.rows[0].id": 1, $: "id;name\\n1;张三\\n"}
      journal: {kind: Patient, index: {number: 1}}
"""
ROWS = """\
map: rows
from: xml
to: {delimited: {separator: ";", charset: GB18030}}
make: {rows: [{id: $/Patient/@id, name: $/Patient/Name}]}
"""
PRICES = """\
channel: a
from: {file: {folder: in, pattern: "*.csv"}}
format: {delimited: {separator: ";", charset: GB18030}}
when: {"$.rows[0].code": {exists: true}}
to:
  json: {map: prices, send: {http: {url: "http://x.example/p"}}}
tests:
  - name: t
    given: |
      code;name;price
      A;阿司匹林;12.50
    expect:
      reply: done
      json: {$.items: [{code: A, name: 阿司匹林, price: 12.5}]}
"""
PRICES_MAP = """\
map: prices
from: {delimited: {separator: ";"}}
to: json
make: {items: {each: $.rows, make: {code: $.code, name: $.name, price: $.price | number}}}
"""


def site(folder: Path, channel: str, **maps: str) -> Path:
    (folder / "channels").mkdir()
    (folder / "channels" / "a.yaml").write_text(channel, encoding="utf-8")
    (folder / "maps").mkdir()
    for name, text in maps.items():
        (folder / "maps" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("channel", "maps"), [(XML, {"rows": ROWS}), (PRICES, {"prices": PRICES_MAP})])
def test_a_channel_of_another_format_is_played_as_well(
    tmp_path: Path, channel: str, maps: dict[str, str]
) -> None:
    report = play(site(tmp_path, channel, **maps))
    assert [str(finding) for finding in report.findings] == []
    assert [str(failure) for result in report.failed for failure in result.failures] == []
    assert len(report.results) == 1


def test_what_differs_in_xml_and_in_rows_is_shown_by_path(tmp_path: Path) -> None:
    channel = XML.replace("<Name> 张三 ", "<Name> 李四 ").replace("1;张三", "1;李四")
    (result,) = play(site(tmp_path, channel, rows=ROWS)).failed
    assert [str(failure) for failure in result.failures] == [
        "t: cda: $/Patient/Name: expected '李四', got '张三'",
        "t: rows: $.rows[0].name: expected '李四', got '张三'",
    ]


def test_a_bug_in_a_sites_own_python_fails_its_test_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_here(value: str) -> str:
        """Its author forgot something."""
        raise LookupError(value)

    registry.functions.known()
    monkeypatch.setitem(registry.functions._things, "broken_here", broken_here)
    test = "  - name: {}\n    given: {}\n    expect: {{reply: accepted, out: sent, journal: {{state: accepted}}}}\n"
    channel = (
        "channel: a\nfrom: {http: {path: /v1/a}}\nformat: json\nwhen: {$.a | broken_here: x}\n"
        "to: {out: {send: {file: {folder: out}}}}\ntests:\n"
    )
    channel += test.format("bug", "{a: x}") + test.format("none", "{b: x}").replace(
        "sent", "filtered"
    ).replace("state: accepted", "state: filtered")
    report = play(site(tmp_path, channel))
    assert [str(failure) for result in report.failed for failure in result.failures] == [
        "bug: out: expected 'sent', got 'nothing'",
        "bug: reply: expected 'accepted', got 'failed (JL-D900 internal error, nothing was kept)'",
        "bug: journal: expected 'accepted', got 'nothing'",
    ]
