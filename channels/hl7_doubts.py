"""What HL7 v2 has to say of a channel's paths and conditions: warnings, for a site may know better."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from channels.hl7_fields import SEGMENTS, VERSIONS, highest
from channels.model import ChannelText
from config.errors import Problem
from config.registry import nearest
from config.text import At
from schemas.hl7.names import NAMES, field_name
from transforms.conditions import literals

_PATH = re.compile(r"\$([A-Z][A-Z0-9]{2})(?:\[[^\]]*\])?-([0-9]{1,4})")
_STATED = re.compile(r"hl7v2/([0-9.]+)")


def stated_version(text: ChannelText) -> str:
    """The one version that the channel takes, where it says so: `validate: hl7v2/2.5`, `when: {$MSH-12: 2.5}`."""
    conditions = literals(text.when)
    said = conditions.get("MSH-12") or conditions.get("MSH-12.1") or set()
    said = said or set(_STATED.findall(text.validate_.as_ if text.validate_ else ""))
    found = next(iter(said)) if len(said) == 1 else ""
    return found if found in VERSIONS else ""


def doubts(spec: Any, at: At, version: str = "") -> Iterator[Problem]:
    """A warning for every path in a condition or expression that the version, or none of them, has."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            yield from _of_text(key, (*at, key), version, on_key=True)
            yield from doubts(value, (*at, key), version)
    elif isinstance(spec, list):
        for number, value in enumerate(spec):
            yield from doubts(value, (*at, number), version)
    else:
        yield from _of_text(spec, at, version)


def _of_text(text: Any, at: At, version: str, on_key: bool = False) -> Iterator[Problem]:
    if not isinstance(text, str):
        return
    for segment, field in _PATH.findall(text):
        last = highest(segment, version)
        if segment.startswith("Z") or int(field) <= last:
            continue
        standard = f"HL7 v{version}" if version else "HL7 v2"
        if not last:
            what, hint = f"{standard} has no segment {segment}", _segment(segment, version)
        else:
            name = field_name(segment, last)
            what = f"{standard} has no field {segment}-{field}"
            hint = f"the last one is {segment}-{last}" + (f" ({name})" if name else "")
        yield Problem(at, "JL-C037", what, hint, "warning", on_key)


def _segment(segment: str, version: str) -> str:
    if highest(segment):
        since = next(known for known in VERSIONS if highest(segment, known))
        return f"it came with {since}" if since > version else "it was withdrawn"
    near = nearest(segment, NAMES) or nearest(segment, SEGMENTS)
    return f"did you mean {near}?" if near else ""
