"""`jingluo test` of channels that send to one another: `then` is what becomes of a message in the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from proving_parts import GIVEN

from channels.report import check_site
from config.settings import load_settings
from router.proving.runner import Report, run_tests

ADT = """\
channel: adt
from: {mllp: {port: 2601}}
format: hl7v2
order: {by: $PID-3.1}
to:
  next: {map: person, send: {channel: people}, retry: {first: 10s}}
tests:
"""
PEOPLE = """\
channel: people
from: {channel: {}}
format: json
index: {patient: $.number}
order: {by: $.number}
duplicates: {by: $.number}
when: {$.sex: male}
to:
  emr: {when: {$.at: {exists: true}}, send: {http: {url: "https://emr.example/p"}}}
  last: {send: {channel: last}}
"""
LAST = """\
channel: last
from: {channel: {}}
format: json
to: {out: {send: {file: {folder: out}}}}
"""
MAP = """\
map: person
from: hl7v2
to: json
make: {number: $PID-3.1 | required, sex: $PID-8 | table gender default unknown}
"""


def site(folder: Path, tests: str, people: str = PEOPLE) -> Path:
    for name in ("channels", "maps"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "maps" / "person.yaml").write_text(MAP)
    for name, text in (("adt", ADT + tests), ("people", people), ("last", LAST)):
        (folder / "channels" / f"{name}.yaml").write_text(text)
    return folder


def play(folder: Path, **options: bool) -> Report:
    report = run_tests(load_settings(folder, {}), {}, **options)
    assert not report.findings
    return report


def said(report: Report) -> list[str]:
    return [str(failure).partition(": ")[2] for result in report.failed for failure in result.failures]


def of(expect: str, more: str = "") -> str:
    return f"  - name: t\n{GIVEN}{more}    expect: {{next: {expect}}}\n"


def test_what_becomes_of_a_message_in_the_next_channels_holds(tmp_path: Path) -> None:
    then = "{emr: filtered, last: {$.number: P0001, then: {out: sent}}, order: P0001"
    then += ", journal: {index: {patient: P0001}}}"
    assert said(play(site(tmp_path, of(f"{{$.sex: male, then: {then}}}")))) == []


def test_what_is_otherwise_there_fails_with_the_channel_in_its_path(tmp_path: Path) -> None:
    then = "{emr: sent, last: {$.number: P2, then: {out: dead}}, journal: filtered, order: P2}"
    assert said(play(site(tmp_path, of(f"{{then: {then}}}")))) == [
        "next: people: emr: expected 'sent', got 'filtered'",
        "next: people: last: last: out: expected 'dead', got 'sent'",
        "next: people: journal: expected 'filtered', got 'accepted'",
        "next: people: order: expected 'P2', got 'P0001'",
        "next: people: last: $.number: expected 'P2', got 'P0001'",
    ]


def test_what_the_other_channel_does_not_take_is_a_dead_letter_here(tmp_path: Path) -> None:
    people = PEOPLE.replace("\nwhen:", "\nvalidate: person.json\nwhen:")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "person.json").write_text('{"required": ["ward"]}')
    report = play(site(tmp_path, of("{state: dead, code: JL-V001}"), people))
    assert said(report) == []
    (failure,) = said(play(site(tmp_path, of("{then: {last: sent}}"), people)))
    assert failure == "next: expected 'sent', got 'dead (JL-V001 /ward: is missing)'"


def test_a_test_says_that_the_other_channel_is_full_or_refuses(tmp_path: Path) -> None:
    tests = of("{state: dead, code: JL-D905}", "    while: {next: refused}\n")
    tests += "  - name: u\n    given: *adt\n    while: {next: [failed, accepted]}\n"
    tests += "    expect: {next: {tries: 2, then: {last: sent}}}\n"
    assert said(play(site(tmp_path, tests))) == []


def test_the_next_channel_knows_what_came_before(tmp_path: Path) -> None:
    tests = of("{then: {journal: duplicate}}", "    before: [{given: *adt, ago: 1h}]\n")
    assert said(play(site(tmp_path, tests))) == []


def test_a_message_expected_in_a_file_there_is_written_by_update(tmp_path: Path) -> None:
    folder = site(tmp_path, of("{then: {last: {file: last.json}}}"))
    assert play(folder, update=True).written == ["last.json"]
    assert said(play(folder)) == []


def test_mistakes_in_what_is_expected_there_have_their_places(tmp_path: Path) -> None:
    out = PEOPLE.replace("last: {send: {channel: last}}", "last: {send: {file: {folder: o}}}")
    folder = site(tmp_path, of("{then: {lsat: sent, last: {then: {}}, emr: snet, reply: AA}}"), out)
    found = [(f.code, f.message) for f in check_site(folder, env={}) if f.file == "channels/adt.yaml"]
    assert found == [
        ("JL-C081", "no destination is called 'lsat'"),
        ("JL-C086", "'last' sends to no channel: nothing follows"),
        ("JL-C082", "'snet' cannot be"),
        ("JL-C081", "no destination is called 'reply'"),
    ]


ORDERS = """\
channel: adt
from: {http: {path: /v1/orders}}
format: json
order: {by: $.patient}
to:
  next: {split: "$.tests[]", send: {channel: people}}
tests:
"""
TEST = "channel: people\nfrom: {channel: {}}\nformat: json\nvalidate: test.json\norder: {by: $.code}\n"
TEST += "to: {out: {when: {$.code: [A, B]}, send: {file: {folder: out}}}}\n"


def divided(folder: Path, expect: str, given: str = "{tests: [{code: A}, {x: 1}, {code: C}]}") -> list[str]:
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / "schemas" / "test.json").write_text('{"required": ["code"]}')
    site(folder, "", TEST)
    text = f"{ORDERS}  - name: t\n    given: {given}\n    expect: {{next: {expect}}}\n"
    (folder / "channels" / "adt.yaml").write_text(text)
    return said(play(folder))


@pytest.mark.parametrize(
    "expect",
    [
        "{items: 3}",
        "{items: [sent, dead, sent]}",
        "{items: [{$.code: A, then: {out: sent, order: A}}, {state: dead, code: JL-V001}, {then: {out: filtered}}]}",
    ],
)
def test_the_items_of_a_message_are_looked_at_one_by_one(tmp_path: Path, expect: str) -> None:
    assert divided(tmp_path, expect) == []


def test_an_item_that_is_otherwise_is_named_by_its_number(tmp_path: Path) -> None:
    assert divided(tmp_path, "{items: [{$.code: B}, sent, {then: {out: sent}}, sent]}") == [
        "next: items: expected 4, got 3",
        "next: item 2: expected 'sent', got 'dead (JL-V001 item 2 of $.tests[]: /code: is missing)'",
        "next: item 3: people: out: expected 'sent', got 'filtered'",
        "next: item 1: $.code: expected 'B', got 'A'",
    ]


def test_a_message_without_a_list_is_dead_and_with_an_empty_one_it_has_no_items(tmp_path: Path) -> None:
    assert divided(tmp_path, "{state: dead, code: JL-M090}", "{test: []}") == []
    assert divided(tmp_path, "{items: 0}", "{tests: []}") == []
