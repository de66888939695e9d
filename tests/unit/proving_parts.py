"""A site of one channel with tests, and `jingluo test` of it in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.settings import load_settings
from router.proving.runner import Report, run_tests

CHANNEL = """\
channel: adt
from: {mllp: {port: 2601}}
format: hl7v2
order: {by: $PID-3.1, lanes: 2}
index: {patient: $PID-3.1}
duplicates: {by: $MSH-10, within: 24h}
when: {$MSH-9.1: ADT}
to:
  lis:
    when: {$MSH-9.2: [A01, A08]}
    send: {mllp: {host: lis.example, port: 2575}}
    retry: {first: 10s, factor: 2, for: 1h, then: hold}
  emr:
    map: person
    send: {http: {url: "https://emr.example/p", auth: {bearer: "secret://emr-token"}}}
    retry: {first: 10s, factor: 2, for: 1h}
"""
MAP = """\
map: person
from: hl7v2
to: json
make:
  number: $PID-3.1 | required
  sex: $PID-8 | table gender default unknown
  at: $@received
  married: {when: {$PID-16: M}, make: "yes", else: "no"}
"""
GIVEN = """\
    given: &adt |
      MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01|1|P|2.5
      PID|1||P0001^^^HIS||Zhang^San||19800115|M
"""


def site(folder: Path, tests: str, channel: str = CHANNEL, of_map: str = MAP) -> Path:
    """`tests`: items of the list, each with two spaces before its dash."""
    for name in ("channels", "maps"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "channels" / "adt.yaml").write_text(f"{channel}tests:\n{tests}", encoding="utf-8")
    (folder / "maps" / "person.yaml").write_text(of_map, encoding="utf-8")
    return folder


def play(folder: Path, *chosen: str, **options: Any) -> Report:
    return run_tests(load_settings(folder, {}), {}, chosen, **options)


def failures(folder: Path, tests: str, **changed: str) -> list[str]:
    """What the tests of a site say, without their names. All were played."""
    report = play(site(folder, tests, **changed))
    assert not report.findings
    assert report.results
    return [
        str(failure).removeprefix(f"{failure.test}: ")
        for result in report.failed
        for failure in result.failures
    ]
