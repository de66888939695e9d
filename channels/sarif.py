"""Findings as SARIF 2.1.0, which code hosts and editors show beside the line.

OASIS, Static Analysis Results Interchange Format 2.1.0: a run names its tool with its rules; a result names
its rule, level, text and region. Lines and columns count from 1, columns in Unicode code points.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote

from config.codes import codes
from config.errors import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(findings: Sequence[Finding]) -> str:
    """One run. A path that is relative is the site's, `%SITE%`."""
    known = [code for code, said in codes().items() if said.family == "Configuration"]
    known += sorted({finding.code for finding in findings} - set(known))
    driver = {
        "name": "jingluo",
        "version": _version(),
        "rules": [_rule(code) for code in known],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, known.index(finding.code)) for finding in findings],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2)


def _rule(code: str) -> dict[str, Any]:
    said = codes().get(code)
    means, do = (said.means, said.do) if said else (code, f"jingluo docs errors {code}")
    return {"id": code, "shortDescription": {"text": means}, "help": {"text": do}}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    text = f"{finding.message}; {finding.hint}" if finding.hint else finding.message
    place: dict[str, Any] = {"uri": quote(finding.file)}
    if finding.file.startswith("/"):
        place["uri"] = f"file://{place['uri']}"
    else:
        place["uriBaseId"] = "%SITE%"
    region = {"startLine": finding.line, "startColumn": finding.column}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region}}],
    }


def _version() -> str:
    try:
        return version("jingluo")
    except PackageNotFoundError:
        return "0"
