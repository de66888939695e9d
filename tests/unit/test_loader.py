"""A site's files to channels: what runs, what is refused, and what a digest depends on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels import report
from channels.loader import Site, check, load_site
from channels.model import Channel
from config.settings import load_settings
from transforms.mapping import Compiler

GOOD = """\
channel: {name}
title: 分发
from: {{mllp: {{port: {port}, charset: GB18030}}}}
format: hl7v2
order: {{by: $PID-3.1, lanes: 8}}
index: {{patient: $PID-3.1}}
when: {{$MSH-9.1: ADT}}
to:
  lis:
    when: {{$MSH-9.2: [A01, A04]}}
    send: {{system: lis}}
    retry: {{first: 2s, max: 1m, for: 2h}}
"""
SYSTEMS = "systems:\n  lis: {kind: mllp, host: lis.example, port: 2575, timeout: 10s}\n"
ADT = b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01|1|P|2.5\rPID|1||P1\r"
ORU = b"MSH|^~\\&|HIS|A|LIS|A|20260105080000||ORU^R01|1|P|2.5\rPID|1||P1\r"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "systems.yaml").write_text(SYSTEMS)
    put(tmp_path, "adt", GOOD.format(name="adt", port=2601))
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    (folder / "channels" / f"{name}.yaml").write_text(text, encoding="utf-8")


def load(folder: Path, **env: str) -> Site:
    return load_site(load_settings(folder, env), env)


def only(folder: Path, **env: str) -> Channel:
    site = load(folder, **env)
    assert site.findings == ()
    (channel,) = site.channels
    return channel


def test_a_channel_file_becomes_a_channel_that_reads_its_messages(folder: Path) -> None:
    channel = only(folder)
    (branch,) = channel.branches
    adt, oru = channel.format.decode(ADT), channel.format.decode(ORU)
    assert channel.when is not None
    assert branch.when is not None
    assert channel.order_by is not None
    assert (channel.when(adt), channel.when(oru), branch.when(adt)) == (True, False, True)
    assert (channel.order_by(adt), channel.index["patient"](adt), channel.lanes) == ("P1", "P1", 8)
    assert (channel.kind, channel.options.port, channel.options.charset) == ("mllp", 2601, "GB18030")
    assert (branch.kind, branch.options.host, branch.options.timeout) == ("mllp", "lis.example", 10.0)
    assert (branch.retry.first_s, branch.retry.max_s, branch.retry.for_s) == (2.0, 60.0, 7200.0)
    assert (channel.file, channel.reply, channel.title) == ("channels/adt.yaml", "accepted", "分发")


def test_a_bad_channel_is_refused_by_name_and_the_good_ones_load(folder: Path) -> None:
    put(folder, "bad", GOOD.format(name="bad", port=2602).replace("format: hl7v2", "format: hl7"))
    put(folder, "text", "a: [")
    (folder / "channels" / "bytes.yaml").write_bytes(b"\xff\xfe\x00a")
    site = load(folder)
    assert [channel.name for channel in site.channels] == ["adt"]
    assert site.refused == ("channels/bad.yaml", "channels/bytes.yaml", "channels/text.yaml")
    assert {finding.file for finding in site.findings} == set(site.refused)


def test_a_warning_keeps_nothing_from_running(folder: Path) -> None:
    put(folder, "other", GOOD.format(name="third", port=2602))
    site = load(folder)
    assert [channel.name for channel in site.channels] == ["adt", "third"]
    assert [(finding.code, finding.severity) for finding in site.findings] == [("JL-C022", "warning")]


def test_all_mistakes_of_a_file_show_at_once(folder: Path) -> None:
    text = GOOD.format(name="adt", port=99999).replace("lanes: 8", "lanes: 8, lane: 3").replace("2s", "2")
    put(folder, "adt", text.replace("system: lis", "system: lsi").replace("$PID-3.1}", "$PID.3}"))
    codes = {finding.code for finding in load(folder).findings if finding.severity == "error"}
    assert codes == {"JL-C010", "JL-C013", "JL-C014", "JL-C018", "JL-C101"}


def test_overrides_of_a_channel_win_over_the_system(folder: Path) -> None:
    put(folder, "adt", GOOD.format(name="adt", port=2601).replace("system: lis", "system: lis, timeout: 3s"))
    assert only(folder).branches[0].options.timeout == 3.0


def test_a_mistake_in_a_system_is_shown_there_once_and_refuses_all_who_use_it(folder: Path) -> None:
    put(folder, "adt2", GOOD.format(name="adt2", port=2602))
    (folder / "systems.yaml").write_text(SYSTEMS.replace("10s", "10"))
    site = load(folder)
    assert [(f.file, f.line, f.code) for f in site.findings] == [("systems.yaml", 2, "JL-C013")]
    assert (site.channels, site.refused) == ((), ("channels/adt.yaml", "channels/adt2.yaml"))


@pytest.mark.parametrize(
    "text", ["systems: [", "systems: 5", "- 1", "systems: {lis: 5}", "systems: {lis: {}}"]
)
def test_a_broken_systems_file_is_findings_and_not_a_failure(folder: Path, text: str) -> None:
    (folder / "systems.yaml").write_text(text)
    site = load(folder)
    assert site.channels == ()
    assert any(finding.file == "systems.yaml" for finding in site.findings)


@pytest.mark.parametrize("value", ["5", "[]", "{}", "~", "x", "[{}]", "{a: {b: [1]}}"])
def test_no_value_of_any_key_makes_the_loader_fail(folder: Path, value: str) -> None:
    lines = GOOD.format(name="adt", port=2601).splitlines()
    for number, line in enumerate(lines):
        head, _, _ = line.partition(":")
        broken = [*lines[:number], f"{head}: {value}", *lines[number + 1 :]]
        put(folder, "adt", "\n".join(broken))
        load(folder)


def test_a_secret_is_put_in_from_its_place_and_its_absence_is_said(folder: Path) -> None:
    emr = '  emr: {kind: http, url: "http://emr.example/", auth: {bearer: secret://emr-token}}\n'
    (folder / "systems.yaml").write_text("systems:\n" + emr)
    put(folder, "adt", GOOD.format(name="adt", port=2601).replace("system: lis", "system: emr"))
    channel = only(folder, JINGLUO_SECRET_EMR_TOKEN="t0p")
    assert channel.branches[0].options.auth.bearer == "t0p"
    site = load(folder)
    assert [(f.file, f.code) for f in site.findings] == [("systems.yaml", "JL-C032")]
    assert site.channels == ()


def test_the_digest_changes_with_what_decides_and_not_with_comments_or_tests(folder: Path) -> None:
    maps, text = folder / "maps", GOOD.format(name="adt", port=2601)
    maps.mkdir()
    (maps / "m.yaml").write_text("map: m\nfrom: hl7v2\nto: json\nmake: {id: $PID-3.1}\n")
    put(folder, "adt", text + "    map: m\n")
    first = only(folder).digest
    put(folder, "adt", "# a comment\n" + text + "    map: m\ntests: []\n")
    assert only(folder).digest == first
    (folder / "systems.yaml").write_text(SYSTEMS.replace("10s", "11s"))
    second = only(folder).digest
    (maps / "m.yaml").write_text("map: m\nfrom: hl7v2\nto: json\nmake: {id: $PID-3.2}\n")
    third = only(folder).digest
    assert len({first, second, third}) == 3
    assert load(folder).digest == load(folder).digest


def test_the_digest_changes_with_a_table_that_only_a_condition_uses(folder: Path) -> None:
    table = folder / "tables" / "wards.csv"
    table.parent.mkdir()
    table.write_text("# source: HIS\ncode,value\n01,medicine\n")
    text = GOOD.format(name="adt", port=2601)
    put(folder, "adt", text.replace("$MSH-9.1: ADT", "$PV1-3.1: {in_table: wards}"))
    first = only(folder).digest
    table.write_text("# source: HIS\ncode,value\n01,surgery\n")
    assert only(folder).digest != first


def test_a_map_gives_a_destination_its_format_and_its_bytes(folder: Path) -> None:
    (folder / "maps").mkdir()
    (folder / "maps" / "m.yaml").write_text("map: m\nfrom: hl7v2\nto: json\nmake: {id: $PID-3.1}\n")
    put(folder, "adt", GOOD.format(name="adt", port=2601) + "    map: m\n")
    channel = only(folder)
    (branch,) = channel.branches
    assert branch.format == "json"
    assert branch.map is not None
    assert json.loads(branch.map(channel.format.decode(ADT))) == {"id": "P1"}


def test_a_map_with_a_mistake_is_shown_relative_to_the_site(folder: Path) -> None:
    (folder / "maps").mkdir()
    (folder / "maps" / "m.yaml").write_text("map: m\nfrom: hl7v2\nto: json\nmake: {id: $PID-3.1 | uper}\n")
    put(folder, "adt", GOOD.format(name="adt", port=2601) + "    map: m\n")
    site = load(folder)
    assert "maps/m.yaml" in {finding.file for finding in site.findings}
    assert site.channels == ()


def test_a_loop_that_a_condition_may_end_is_a_warning(folder: Path) -> None:
    text = GOOD.format(name="adt", port=2601)
    put(folder, "adt", text.replace("{system: lis}", "{mllp: {host: localhost, port: 2601}}"))
    (folder / "systems.yaml").unlink()
    site = load(folder)
    assert [(f.code, f.severity) for f in site.findings] == [("JL-C028", "warning")]
    assert len(site.channels) == 1


def test_the_report_is_lines_json_and_an_exit_code(folder: Path) -> None:
    assert report.as_text(report.check_site(folder, {})) == "clean"
    assert report.exit_code(report.check_site(folder, {})) == report.CLEAN
    put(folder, "adt", GOOD.format(name="adt", port=2601) + "ordr: 1\n")
    findings = report.check_site(folder, {})
    line = "channels/adt.yaml:13:1: JL-C010: unknown key 'ordr'; did you mean 'order'?"
    assert report.as_text(findings).splitlines()[0] == line
    assert json.loads(report.as_json(findings))[0]["line"] == 13
    assert report.exit_code(findings) == report.FINDINGS
    (folder / "jingluo.yaml").write_text("http: {port: x}\n")
    assert [finding.file for finding in report.check_site(folder, {})] == ["jingluo.yaml"]
    assert report.exit_code(report.check_site(folder / "nowhere", {})) == report.UNREADABLE


def test_warnings_fail_a_check_only_where_it_is_strict(folder: Path) -> None:
    put(folder, "adt", GOOD.format(name="adt2", port=2601))
    findings = report.check_site(folder, {})
    assert (report.exit_code(findings), report.exit_code(findings, strict=True)) == (0, 1)


MAP = "map: {name}\nfrom: hl7v2\nto: json\nmake: {{id: $PID-3.1}}\n"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the maps that are compiled."""
    names: list[str] = []
    compile_map = Compiler.map

    def noted(self: Compiler, data: Any, *rest: Any) -> Any:
        if "map" in data:  # what a settlement sends is a map without a name
            names.append(data["map"])
        return compile_map(self, data, *rest)

    monkeypatch.setattr(Compiler, "map", noted)
    return names


def test_what_runs_compiles_the_maps_it_uses_and_a_check_all_of_the_site(
    folder: Path, compiled: list[str]
) -> None:
    (folder / "maps").mkdir()
    for name in ("used", "spare"):
        (folder / "maps" / f"{name}.yaml").write_text(MAP.format(name=name))
    (folder / "maps" / "wrong.yaml").write_text(MAP.format(name="wrong").replace("$PID", "$PIDD"))
    put(folder, "adt", GOOD.format(name="adt", port=2601) + "    map: used\n")
    only(folder)
    assert compiled == ["used"]
    compiled.clear()
    assert [finding.file for finding in check(load_settings(folder, {}), {})] == ["maps/wrong.yaml"]
    assert sorted(compiled) == ["spare", "used", "wrong"]


def test_a_check_of_the_example_hospital_compiles_of_the_shipped_maps_those_it_uses_or_all(
    compiled: list[str],
) -> None:
    settings = load_settings(None, {})
    assert check(settings, {}) == ()
    assert "adt-to-fhir" in compiled
    assert "vxu-to-fhir" not in compiled
    assert check(settings, {}, shipped=True) == ()
    assert "vxu-to-fhir" in compiled
