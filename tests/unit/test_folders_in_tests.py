"""`jingluo test` of channels whose ends are folders: nothing is connected, and what the ends say is what they would."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load_settings
from router.proving.runner import run_tests

ENDS = {
    "file": "folder: in",
    "sftp": "host: lis, user: a, password: secret://a, fingerprint: 'SHA256:%s', folder: in" % ("A" * 43),
    "ftp": "host: lis, user: a, password: secret://a, folder: in",
    "s3": 'url: "http://s3", bucket: lab, access_key: a, secret: secret://a, folder: in',
}
CHANNEL = """\
channel: a
from: {{{kind}: {{{end}}}}}
format: json
to:
  out: {{send: {{{kind}: {{{end}2, name: "{{$.id}}-{{channel}}.json", exists: refuse}}}}}}
tests:
  - name: it is written and the file is done
    given: {{id: ../7}}
    expect: {{reply: done, out: sent}}
  - name: a name that is there is a dead letter
    given: {{id: 7}}
    while: {{out: {{answer: exists}}}}
    expect: {{reply: done, out: dead}}
  - name: a full disk is tried again
    given: {{id: 7}}
    while: {{out: {{answer: full}}}}
    expect: {{reply: done, out: retrying}}
  - name: what cannot be read goes to failed
    given: "{{no json"
    expect: {{reply: {{code: failed, state: refused}}}}
"""


@pytest.mark.parametrize("kind", ENDS)
def test_folders_are_played_offline(tmp_path: Path, kind: str) -> None:
    (tmp_path / "channels").mkdir()
    text = CHANNEL.format(kind=kind, end=ENDS[kind])
    (tmp_path / "channels/a.yaml").write_text(text, encoding="utf-8")
    env = {"JINGLUO_SECRET_A": "x"}
    report = run_tests(load_settings(tmp_path, env), env)
    assert [str(finding) for finding in report.findings] == []
    assert [str(failure) for result in report.failed for failure in result.failures] == []
    assert len(report.results) == 4
