"""`jingluo test`: a channel's tests are played by the engine's own decisions, with all around it told how to behave."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from proving_parts import CHANNEL, GIVEN, MAP, failures, play, site

from channels.loader import check, load_site
from config.settings import load_settings
from router.proving.runner import Report, run_tests


@pytest.fixture(scope="module")
def shipped() -> Report:
    return run_tests(load_settings(None, {}), {}, coverage=True)


def test_every_shipped_channel_and_map_has_tests_and_they_hold(shipped: Report) -> None:
    assert shipped.findings == []
    assert [f"{result.of}: {failure}" for result in shipped.failed for failure in result.failures] == []
    assert shipped.untested == []


def test_the_tests_of_the_shipped_maps_reach_nine_lines_of_ten(shipped: Report) -> None:
    assert shipped.coverage is not None
    of_maps = {
        file: (lines.share, lines.missed)
        for file, lines in shipped.coverage.files.items()
        if "/types/" not in file and lines.share < 0.9 and len(lines.missed) > 1  # one that only refuses
    }
    assert of_maps == {}
    assert shipped.coverage.share >= 0.9


def test_the_tests_of_the_shipped_channels_go_every_way(shipped: Report) -> None:
    assert {routes.channel.name: routes.missed for routes in shipped.routes if routes.missed} == {}


def each(parts: Iterable[str]) -> str:
    """A test for each part, all of the same message."""
    return "".join(
        f"  - name: t{n}\n" + ("    given: *adt\n" if n else GIVEN) + f"    {part}\n"
        for n, part in enumerate(parts)
    )


HELD = [
    "{reply: AA, lis: sent, emr: sent, order: P0001}",
    "{reply: {state: accepted, code: AA, $MSA-1: AA, $MSA-2: 1}}",
    "{lis: {$PID-3.1: P0001, $PID-5.2: San, $ZZZ: null}, emr: {$.sex: male, $.number: P0001}}",
    '{emr: {$: {number: P0001, sex: male, at: "2026-01-05T00:00:00.000Z", married: "no"}}}',
    "{emr: {$: {number: P0001, sex: male, married: 'no'}, except: $.at}}",
    "{lis: {holds: {$PID-7: {before: 1990-01-01}, $MSH-9.2: [A01, A02]}}}",
    "{lis: {$: *adt}, journal: accepted}",
    "{journal: {state: accepted, kind: ADT^A01, index: {patient: P0001}}}",
]


def test_what_is_so_holds(tmp_path: Path) -> None:
    assert failures(tmp_path, each(f"expect: {expect}" for expect in HELD)) == []


FAILED = [
    ("{reply: AE}", "reply.code: expected 'AE', got 'AA'"),
    ("{reply: refused}", "reply: expected 'refused', got 'accepted'"),
    ("{reply: {$MSA-2: 2}}", "reply: $MSA-2: expected '2', got '1'"),
    ("{lis: filtered}", "lis: expected 'filtered', got 'sent'"),
    ("{lis: {$PID-3.1: P0002}}", "lis: $PID-3.1: expected 'P0002', got 'P0001'"),
    ("{lis: {holds: {$PID-8: F}}}", "lis: holds: expected {'$PID-8': 'F'}, got False"),
    ("{emr: {$.sex: female}}", "emr: $.sex: expected 'female', got 'male'"),
    ("{emr: {$.sex: null}}", "emr: $.sex: expected nothing, got 'male'"),
    ("{emr: {tries: 2}}", "emr.tries: expected 2, got 1"),
    ("{emr: {$: {sex: male, number: '1', married: 'no'}, except: [$.at]}}", "emr: $.number: expected '1', got 'P0001'"),
    ("{journal: filtered}", "journal: expected 'filtered', got 'accepted'"),
    ("{journal: {index: {patient: P}}}", "journal.index.patient: expected 'P', got 'P0001'"),
    ("{order: P0002}", "order: expected 'P0002', got 'P0001'"),
]  # fmt: skip


def test_what_is_not_so_fails_with_its_path(tmp_path: Path) -> None:
    said = failures(tmp_path, each(f"expect: {expect}" for expect, _ in FAILED))
    assert said == [said for _, said in FAILED]


WHILE = [
    ("{lis: AE}", "{lis: {state: retrying, code: JL-E120, tries: 1}, emr: sent, reply: AA}"),
    ("{lis: [AE, silence, AA]}", "{lis: {state: sent, tries: 3}}"),
    ("{lis: AR}", "{lis: {state: held, code: JL-E120}}"),  # then: hold
    ("{emr: 404}", "{emr: {state: dead, code: JL-E224, $.sex: male}}"),
    ("{emr: {answer: 503, headers: {retry-after: '50'}}, clock: {passes: 49s}}", "{emr: {tries: 1}}"),
    ("{emr: {answer: 503, headers: {retry-after: '50'}}, clock: {passes: 51s}}", "{emr: {tries: 2}}"),
    ("{emr: 500, clock: {passes: 2h}}", "{emr: {state: dead, code: JL-E224}}"),  # for: 1h
    ("{emr: 500, clock: {passes: 30m}}", "{emr: retrying}"),
    ("{emr: {after: 31s}}", "{emr: {state: retrying, code: JL-D904}}"),  # timeout: 30s
    ("{clock: 2031-02-03T04:05:06+08:00}", "{emr: {$.at: '2031-02-02T20:05:06.000Z'}}"),
    ("{tables: {gender: {M: man}}}", "{emr: {$.sex: man}}"),
    ("{tables: {gender: {F: woman}}}", "{emr: {$.sex: unknown}}"),
]


def test_destinations_tables_and_the_clock_behave_as_the_test_says(tmp_path: Path) -> None:
    tests = each(f"while: {world}\n    expect: {expect}" for world, expect in WHILE)
    assert failures(tmp_path, tests) == []


def test_a_resend_is_known_for_as_long_as_the_channel_says(tmp_path: Path) -> None:
    text = f"  - name: first\n{GIVEN}    expect: {{journal: accepted}}\n"
    resend = "  - name: {}\n    given: *adt\n    before: [{{given: *adt, ago: {}}}]\n    expect: {}\n"
    text += resend.format("within a day", "23h", "{reply: AA, journal: duplicate, lis: nothing}")
    text += resend.format("after it", "25h", "{reply: AA, journal: accepted, lis: sent}")
    assert failures(tmp_path, text) == []


def test_a_destinations_answer_is_the_reply_and_too_late_it_is_pending(tmp_path: Path) -> None:
    channel = CHANNEL.replace("index:", "reply: lis\ntimeout: 20s\nindex:")
    text = f"  - name: yes\n{GIVEN}    expect: {{reply: {{state: answered, code: AA, $MSA-2: 1}}}}\n"
    text += "  - name: no\n    given: *adt\n    while: {lis: AR}\n    expect: {reply: {state: pending, code: AA}}\n"
    text += "  - name: late\n    given: *adt\n    while: {lis: {after: 21s}}\n    expect: {reply: pending, lis: sent}\n"
    assert failures(tmp_path, text, channel=channel) == []


def test_a_reply_that_is_none_says_nothing(tmp_path: Path) -> None:
    channel = CHANNEL.replace("index:", "reply: none\nindex:")
    text = f"  - name: t\n{GIVEN}    expect: {{reply: none, lis: sent}}\n"
    assert failures(tmp_path, text, channel=channel) == []


def test_a_message_is_given_in_the_charset_that_its_sender_uses(tmp_path: Path) -> None:
    channel = CHANNEL.replace("port: 2601", "port: 2601, charset: GB18030")
    text = f"  - name: t\n{GIVEN.replace('Zhang^San', '欧阳^小明')}    expect: {{lis: {{$PID-5: 欧阳}}}}\n"
    assert failures(tmp_path, text, channel=channel) == []


def test_only_what_is_chosen_by_name_is_played(tmp_path: Path) -> None:
    tests = f"  - name: one\n{GIVEN}    expect: {{lis: sent}}\n"
    tests += "  - name: two\n    given: *adt\n    expect: {emr: sent}\n"
    of_map = f"{MAP}tests:\n  - name: three\n{GIVEN}    expect: {{$.sex: male}}\n"
    folder = site(tmp_path, tests, of_map=of_map)

    def played(*chosen: str) -> list[str]:
        return [result.name for result in play(folder, *chosen).results]

    assert played() == ["three", "one", "two"]
    assert played("adt") == ["one", "two"]
    assert played("adt: t*") == ["two"]
    assert played("person", "adt: one") == ["three", "one"]
    assert played("no-such") == []


def test_an_expected_message_is_written_by_update_and_then_compared(tmp_path: Path) -> None:
    expect = "{lis: {file: samples/lis.hl7}, emr: {file: samples/emr.json, except: [$.at]}}"
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {expect}\n")
    (missing,) = play(folder).failed
    assert [failure.path for failure in missing.failures] == ["lis: samples/lis.hl7", "emr: samples/emr.json"]
    report = play(folder, update=True)
    assert (report.failed, report.written) == ([], ["samples/lis.hl7", "samples/emr.json"])
    assert '  "number": "P0001"' in (tmp_path / "samples" / "emr.json").read_text()
    assert play(folder).failed == []
    assert play(folder, update=True).written == []  # nothing is new
    (tmp_path / "maps" / "person.yaml").write_text(MAP.replace("$PID-3.1", "$PID-5.1"))
    (changed,) = play(folder).failed
    assert [str(failure) for failure in changed.failures] == [
        "t: emr: $.number: expected 'P0001', got 'Zhang'"
    ]


def test_a_map_is_compared_with_a_file_too(tmp_path: Path) -> None:
    of_map = (
        f"{MAP}tests:\n  - name: m\n{GIVEN}    expect: {{file: person.json, except: $.at, $.sex: male}}\n"
    )
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {{lis: sent}}\n", of_map=of_map)
    assert [failure.path for failure in play(folder, "person").failed[0].failures] == ["person.json"]
    assert play(folder, "person", update=True).written == ["person.json"]
    assert play(folder, "person").failed == []
    (folder / "person.json").write_text((folder / "person.json").read_text().replace("male", "female"))
    (changed,) = play(folder, "person").failed
    assert [str(failure) for failure in changed.failures] == ["m: $.sex: expected 'female', got 'male'"]


def test_update_does_not_hide_what_is_wrong_beside_the_file(tmp_path: Path) -> None:
    expect = "{emr: {file: emr.json, $.sex: female}}"
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {expect}\n")
    report = play(folder, update=True)
    assert report.written == ["emr.json"]
    assert [failure.path for failure in report.failed[0].failures] == ["emr: $.sex"]


def test_coverage_names_the_routes_and_the_map_lines_that_no_test_reached(tmp_path: Path) -> None:
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {{lis: sent}}\n")
    report = play(folder, coverage=True)
    (routes,) = report.routes
    assert [route.words for route in routes.missed] == [
        "a message that the channel's `when` leaves",
        "a message that is not for lis",
    ]
    assert report.coverage is not None
    (lines,) = report.coverage.files.values()
    text = (folder / "maps" / "person.yaml").read_text().splitlines()
    assert [text[line - 1].strip().split(":")[0] for line in lines.missed] == []
    assert report.untested == ["person"]


def test_a_line_that_gave_nothing_to_any_test_is_not_reached(tmp_path: Path) -> None:
    of_map = MAP + "  born: $PID-7 | date\n  died: $PID-29 | date\n"
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {{lis: sent}}\n", of_map=of_map)
    coverage = play(folder, coverage=True).coverage
    assert coverage is not None
    (lines,) = coverage.files.values()
    assert lines.missed == [of_map.splitlines().index("  died: $PID-29 | date") + 1]


def test_a_list_that_only_keeps_things_for_later_is_no_line(tmp_path: Path) -> None:
    of_map = (
        MAP + "  kept: [{each: $NK1, keep: {as: $-2.1, make: {name: $-2.2}}, make: null}, {kept: true}]\n"
    )
    given = GIVEN + "      NK1|1|Li^Si\n"
    tests = f"  - name: t\n{given}    expect: {{emr: {{'$.kept[0].name': Si}}}}\n"
    coverage = play(site(tmp_path, tests, of_map=of_map), coverage=True).coverage
    assert coverage is not None
    (lines,) = coverage.files.values()
    assert lines.missed == []
    assert 1 not in lines.times  # a file as a whole is none either


def test_mistakes_in_tests_are_findings_of_check_and_keep_no_channel_from_running(tmp_path: Path) -> None:
    folder = site(tmp_path, f"  - name: t\n{GIVEN}    expect: {{lsi: sent}}\n")
    settings = load_settings(folder, {})
    env = {"JINGLUO_SECRET_EMR_TOKEN": "invented"}
    assert [finding.code for finding in check(settings, env)] == ["JL-C081"]
    assert [channel.name for channel in load_site(settings, env).channels] == ["adt"]
    assert [finding.code for finding in play(folder).findings] == ["JL-C081"]
