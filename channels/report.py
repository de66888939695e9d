"""How a check's findings are shown: lines for people, JSON and SARIF for machines, an exit code for scripts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from channels.loader import check
from channels.sarif import as_sarif
from config.errors import ConfigError, Finding, JingluoError
from config.settings import load_settings

CLEAN, FINDINGS, UNREADABLE = 0, 1, 2


def check_site(
    site: Path | None = None, env: Mapping[str, str] = os.environ, shipped: bool = False
) -> tuple[Finding, ...]:
    """`jingluo check`: everything that is wrong with a site, its settings too. Never raises for a file."""
    try:
        return check(load_settings(site, env), env, shipped)
    except ConfigError as error:
        return error.findings
    except JingluoError as error:
        return (Finding("installation", 1, 1, error.code, error.text),)


def as_text(findings: Sequence[Finding]) -> str:
    """A line each, `file:line:column: code: message; hint`, and how many."""
    errors = sum(finding.severity == "error" for finding in findings)
    counts = f"{errors} {'error' if errors == 1 else 'errors'}, {len(findings) - errors} warnings"
    return "\n".join([*map(str, findings), counts if findings else "clean"])


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects with file, line, column, code, message, hint, severity."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2)


FORMS: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
}


def exit_code(findings: Sequence[Finding], strict: bool = False) -> int:
    """0 clean, 1 findings, 2 something could not be read. Warnings count where `strict` says so."""
    if any(finding.code in ("JL-C001", "JL-C002") for finding in findings):
        return UNREADABLE
    return FINDINGS if any(strict or finding.severity == "error" for finding in findings) else CLEAN
