"""What an integrator waits for: `jingluo test` of a thousand channel tests."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

from bench.samples import ADT
from bench.site import timed, write_site
from bench.table import Table

CHANNELS, TESTS = 20, 50
LIMIT_S = 10.0

_TRIES = 2
_CHANNEL = """\
channel: {name}
from: {{mllp: {{port: {port}}}}}
format: hl7v2
order: {{by: $PID-3.1, lanes: 4}}
index: {{patient: $PID-3.1, visit: $PV1-19.1}}
when: {{$MSH-9.1: ADT}}
to:
  lis: {{when: {{$MSH-9.2: [A01, A04, A08]}}, send: {{mllp: {{host: 127.0.0.1, port: 2576}}}}}}
  emr: {{map: adt-to-fhir, send: {{http: {{url: "http://127.0.0.1:8080/fhir"}}}}}}
tests:
"""
_TEST = """\
  - name: admission {n}
    given: |
{given}
    while: {{lis: [AE, AA]}}
    expect:
      reply: {{$MSA-1: AA}}
      lis: {{tries: 2, $PID-3.1: P0000172, $MSH-10: T{n:04d}}}
      emr:
        $.resourceType: Bundle
        $.entry[0].resource.gender: male
        $.entry[1].resource.class.code: IMP
      journal: {{state: accepted, index: {{patient: P0000172}}}}
"""


def run(channels: int = CHANNELS, tests: int = TESTS) -> list[Table]:
    title = (
        f"jingluo test: {channels * tests:,} tests, an admission each to MLLP and to FHIR (best of {_TRIES})"
    )
    table = Table(title, ["what", "seconds", "CPU s", "a second", "target"])
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        write_tests(Path(folder), channels, tests)
        took, cpu = min(_play(Path(folder), channels * tests) for _ in range(_TRIES))
    goal = LIMIT_S * channels * tests / (CHANNELS * TESTS)
    met = table.target("tests, s", took, goal, most=True)
    table.add("all, the interpreter's start included", took, cpu, channels * tests / took, met)
    return [table]


def write_tests(folder: Path, channels: int, tests: int) -> None:
    write_site(folder)
    for number in range(channels):
        name = f"adt-{number:02d}"
        cases = (_TEST.format(n=n, given=_given(f"T{n:04d}")) for n in range(tests))
        text = _CHANNEL.format(name=name, port=20000 + number) + "".join(cases)
        (folder / "channels" / f"{name}.yaml").write_text(text, encoding="utf-8")


def _given(control_id: str) -> str:
    return textwrap.indent(ADT.body(control_id.encode()).decode().replace("\r", "\n").strip(), "      ")


def _play(folder: Path, tests: int) -> tuple[float, float]:
    """Wall and CPU seconds."""
    done, took, cpu = timed(folder, "test")
    if done.returncode or f"{tests} tests, 0 failed" not in done.stdout:
        raise RuntimeError(f"the generated tests do not hold:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took, cpu
