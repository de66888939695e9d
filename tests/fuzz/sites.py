"""Sites for the targets that need one: a folder of this process, gone when it ends."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from channels.report import check_site
from config.callers import Callers
from config.callers_file import read_callers
from config.secrets import Secrets

_KEPT = tempfile.TemporaryDirectory(prefix="jingluo-fuzz-")
_CALLERS = """\
callers:
  app:
    token: {issuer: sso, audience: jingluo, claims: {client_id: app}, secret: secret://token-key}
"""
ISSUER = "sso"


@cache
def folder() -> Path:
    site = Path(_KEPT.name)
    (site / "channels").mkdir()
    return site


def check_channel(data: bytes) -> None:
    """All that `jingluo check` finds in a site whose one channel file is this."""
    (folder() / "channels" / "adt.yaml").write_bytes(data)
    for finding in check_site(folder(), env={}):
        assert finding.code, finding
        assert min(finding.line, finding.column) >= 1, finding


@cache
def callers_with_tokens() -> Callers:
    """One caller that shows tokens of an issuer with a key that nobody knows."""
    path = folder() / "callers.yaml"
    path.write_text(_CALLERS, encoding="utf-8")
    callers = read_callers(path, path.name, folder(), Secrets("nowhere", {"token-key": "k" * 40}), {}, None)
    path.unlink()
    assert callers.known, callers.findings
    return callers
