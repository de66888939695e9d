"""The corpus: every case gets exactly the finding that it says, at its place, with a hint that helps.

`pytest tests/check/test_corpus.py -s` prints how many files of each kind of mistake there are.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from corpus_parts import Case, cases

from channels.report import check_site
from config.codes import codes
from config.errors import Finding

CASES = list(cases())
KINDS = sorted({(case.code, case.kind) for case in CASES})
BROKEN = Path(__file__).parent / "broken"
CODES_AT_LEAST, REFUSED_AT_LEAST = 60, 300


def found(case: Case, site: Path) -> tuple[Finding, ...]:
    case.write(site)
    return check_site(site, env={})


def wrong(case: Case, site: Path) -> str:
    """What is not as the case says; empty where all is."""
    findings = found(case, site)
    own = [f for f in findings if f.code == case.code and f.file == case.file]
    others = sorted({f.code for f in findings if f not in own})
    severity = "warning" if case.warning else "error"
    right = [(f.line, f.column, f.severity) for f in own] == [(*case.place, severity)]
    right = right and others == sorted(case.also)
    if right and case.said in f"{own[0].message}; {own[0].hint}":
        return ""
    wanted = (
        f"{case.source}: expected {case.file}:{case.place[0]}:{case.place[1]}: {case.code}: {case.said}\n  "
    )
    return wanted + ("\n  ".join(map(str, findings)) or "nothing was found")


@pytest.mark.parametrize(("code", "kind"), KINDS, ids=lambda value: str(value))
def test_every_case_gets_its_finding_and_no_other(code: str, kind: str, tmp_path: Path) -> None:
    chosen = [case for case in CASES if (case.code, case.kind) == (code, kind)]
    mistaken = [said for case in chosen if (said := wrong(case, tmp_path))]
    assert not mistaken, "\n".join(mistaken)


def test_no_two_cases_are_the_same() -> None:
    texts = Counter(tuple(sorted(case.files.items())) for case in CASES)
    assert not [text for text, times in texts.items() if times > 1]


def test_how_many_there_are_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    files, refused = Counter[str](), Counter[str]()
    for case in CASES:
        files[case.code] += 1
        refused[case.code] += not case.warning
    sites = Counter(f"JL-{path.name[:4]}" for path in BROKEN.iterdir() if path.is_dir())
    print("\ncode     files  refused  sites  what is wrong")
    for code in sorted({*files, *sites}):
        print(f"{code} {files[code]:6} {refused[code]:8} {sites[code]:6}  {codes()[code].means}")
    different = len({*files, *sites})
    print(f"{different} codes, {len(KINDS)} kinds; {files.total()} files, {refused.total()} of them refused")
    assert different >= CODES_AT_LEAST
    assert refused.total() >= REFUSED_AT_LEAST
