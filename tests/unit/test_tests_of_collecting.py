"""`jingluo test` of channels that gather: several messages in one case, and a clock that goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from channels.report import check_site
from config.settings import load_settings
from router.proving.runner import Report, run_tests

ADT = "MSH|^~\\&|HIS|A|LIS|A|20260105||ADT^A01|1|P|2.5\nPID|1||P1\n"
CHARGES = """\
channel: charges
from: {http: {path: /v1/charges}}
format: json
to:
  upload:
    when: {$.kind: {not: note}}
    collect: {by: $.visit, count: 3, within: 5m}
    send: {channel: uploads}
tests:
"""
UPLOADS = """\
channel: uploads
from: {channel: {}}
format: json
index: {visit: "$.[0].visit"}
to:
  payer: {send: {http: {url: "https://payer.example/upload"}}}
  night: {collect: {within: 1d}, send: {channel: nights}}
"""
NIGHTS = """\
channel: nights
from: {channel: {}}
format: json
to: {out: {send: {file: {folder: out}}}}
"""


def play(folder: Path, tests: str) -> Report:
    (folder / "channels").mkdir()
    for name, text in (("charges", CHARGES + tests), ("uploads", UPLOADS), ("nights", NIGHTS)):
        (folder / "channels" / f"{name}.yaml").write_text(text)
    report = run_tests(load_settings(folder, {}), {})
    assert not report.findings, report.findings
    return report


def failures(folder: Path, tests: str) -> list[str]:
    return [
        f"{f.path}: {f.expected} {f.got}" for result in play(folder, tests).failed for f in result.failures
    ]


def test_groups_go_by_their_count_and_by_their_time(tmp_path: Path) -> None:
    tests = """\
  - name: three charges of a visit are one upload, whatever comes between
    before:
      - {given: {visit: A, n: 1}, ago: 4m}
      - {given: {visit: B, n: 2}, ago: 3m}
      - {given: {visit: A, n: 3}, ago: 2m}
    given: {visit: A, n: 4}
    while: {clock: {passes: 1m}}
    expect:
      upload:
        state: sent
        tries: 1
        groups: [{messages: 3, "$.[2].n": 4, then: {payer: sent, journal: {index: {visit: A}}}}]
  - name: what is not full goes when its time is over
    before:
      - {given: {visit: A, n: 1}, ago: 6m}
      - {given: {visit: A, n: 2}, ago: 5m}
    given: {visit: A, n: 3}
    while: {clock: {passes: 1m}}
    expect: {upload: {state: waiting, groups: [{messages: 2, $: [{visit: A, n: 1}, {visit: A, n: 2}]}]}}
  - name: the clock goes on until all of it went
    given: {visit: A, n: 1}
    expect:
      upload: {groups: [{messages: 1, then: {night: {groups: [{messages: 1, then: {out: sent}}]}}}]}
  - name: what belongs to nothing is dead, and what is kept out is filtered
    before: [{kind: note}]
    given: {n: 1}
    expect: {upload: {state: dead, code: JL-M092, groups: 0}}
  - name: a channel that takes nothing is tried again
    given: {visit: A}
    while: {upload: [failed, accepted]}
    expect: {upload: {state: sent, tries: 2, groups: 1}}
  - name: what it refuses is dead
    given: {visit: A}
    while: {upload: refused}
    expect: {upload: {state: dead, code: JL-D905, groups: [{state: dead, code: JL-D905, "$.[0].visit": A}]}}
"""
    assert failures(tmp_path, tests) == []


def test_what_is_otherwise_is_shown(tmp_path: Path) -> None:
    tests = """\
  - before: [{visit: A, n: 1}]
    given: {visit: B, n: 2}
    expect: {upload: {state: waiting, groups: [{messages: 2, "$.[0].n": 2, then: {payer: filtered}}]}}
"""
    assert failures(tmp_path, tests) == [
        "upload: waiting sent",
        "upload: groups: 1 2",
        "upload: group 1.messages: 2 1",
        "upload: group 1: uploads: payer: filtered sent",
        "upload: group 1: $.[0].n: 2 1",
    ]


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("{groups: many}", "groups must be a number"),
        ("{items: 2}", "say it of each of the `groups`"),
        ("{then: {payer: sent}}", "say it of each of the `groups`"),
        ("{groups: [{messages: 2, then: {payr: sent}}]}", "no destination is called 'payr'"),
        ("{groups: [gone]}", "'gone' cannot be"),
    ],
)
def test_what_cannot_be_expected_is_a_finding(tmp_path: Path, expect: str, said: str) -> None:
    (tmp_path / "channels").mkdir()
    tests = f"  - {{given: {{visit: A}}, expect: {{upload: {expect}}}}}\n"
    for name, text in (("charges", CHARGES + tests), ("uploads", UPLOADS), ("nights", NIGHTS)):
        (tmp_path / "channels" / f"{name}.yaml").write_text(text)
    (found,) = check_site(tmp_path, env={})
    assert said in found.message


def test_a_batch_goes_through_the_next_channel_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "adt.yaml").write_text(
        "channel: adt\nfrom: {mllp: {port: 2601}}\nformat: hl7v2\n"
        "to: {night: {collect: {count: 2}, send: {channel: night}}}\n"
        f"tests:\n  - before: [&one {json.dumps(ADT)}]\n    given: *one\n"
        "    expect: {night: {groups: [{messages: 2, then: {out: sent, journal: {kind: ''}}}]}}\n"
    )
    (tmp_path / "channels" / "night.yaml").write_text(
        "channel: night\nfrom: {channel: {}}\nformat: hl7v2\nbatch: whole\n"
        "to: {out: {send: {file: {folder: out}}}}\n"
    )
    report = run_tests(load_settings(tmp_path, {}), {})
    assert not report.findings
    assert not report.failed, report.failed
