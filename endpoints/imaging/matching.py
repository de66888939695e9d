"""Whether a step is what a question asks for: the matching of PS3.4 C.2.2.2, on trees of keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The keys that are matched (PS3.4 table K.6-1, and those that devices send besides); all others are only answered.
_RANGES = {"ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "PatientBirthDate"}
_NAMES = {"PatientName", "ScheduledPerformingPhysicianName", "ReferringPhysicianName"}
_TEXTS = {
    "ScheduledStationAETitle",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepID",
    "Modality",
    "PatientID",
    "PatientSex",
    "AccessionNumber",
    "RequestedProcedureID",
    "StudyInstanceUID",
    "AdmissionID",
}
DATE = "ScheduledProcedureStepStartDate"
STEPS = "ScheduledProcedureStepSequence"


def fits(asked: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Whether all that is asked for is so. A key without a value asks for nothing."""
    return all(_is_so(keyword, wanted, step.get(keyword)) for keyword, wanted in asked.items())


def _is_so(keyword: str, wanted: Any, value: Any) -> bool:
    if wanted in (None, "", []):
        return True
    if isinstance(wanted, list) and isinstance(wanted[0], Mapping):
        return any(fits(wanted[0], item) for item in value or [{}])
    if keyword in _RANGES:
        return _in_range(str(wanted), str(value or ""))
    return keyword not in _TEXTS | _NAMES or _is_any(keyword, wanted, value)


def days(asked: Mapping[str, Any]) -> tuple[str, str]:
    """First and last day that a question is about."""
    wanted = next((str(item.get(DATE) or "") for item in asked.get(STEPS) or ()), "")
    first, dash, last = wanted.partition("-")
    return (first, last or "99999999") if dash else (first, first or "99999999")


def _in_range(wanted: str, value: str) -> bool:
    """`20260105`, `20260105-20260107`, `-20260107`; times too, where 09 means from 09:00 on or until 09:59:59.

    >>> _in_range("0900-1200", "093000"), _in_range("20260105-", "20260104"), _in_range("09", "0930")
    (True, False, False)
    """
    first, dash, last = (part.strip() for part in wanted.partition("-"))
    if not value:
        return False
    if not dash:
        return _whole(value) == _whole(first)
    return (not first or _whole(value) >= _whole(first)) and (not last or value[: len(last)] <= last)


def _whole(value: str) -> str:
    """A time without its fraction, as six digits; a date as it is."""
    digits = value.partition(".")[0].replace(":", "")
    return digits if len(digits) >= 8 else digits.ljust(6, "0")


def _is_any(keyword: str, wanted: Any, value: Any) -> bool:
    """Names are alike in capitals and small letters."""
    values = value if isinstance(value, list) else [value or ""]
    patterns = [str(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
    texts = [part for one in values for part in _parts(keyword, str(one))]
    if keyword in _NAMES:
        patterns, texts = [one.lower() for one in patterns], [one.lower() for one in texts]
    return any(_like(pattern, text) for pattern in patterns for text in texts)


def _parts(keyword: str, value: str) -> list[str]:
    """A name as a whole, and in each of its ways of writing: `Zhang^Wei=张^伟` is also `张^伟`."""
    return [value, *value.split("=")] if keyword in _NAMES and "=" in value else [value]


def _like(pattern: str, text: str) -> bool:
    """`*` is any text, `?` any letter. In time that no pattern can make long, as that of regular expressions.

    >>> _like("A*1?", "ABC12"), _like("A*", "B"), _like("**", ""), _like("a*a*a*a*a*a*b", "a" * 1000)
    (True, False, True, False)
    """
    at, place, star, since = 0, 0, -1, 0
    while place < len(text):
        wanted = pattern[at : at + 1]
        if wanted == "*":
            star, since = at, place
            at += 1
        elif wanted in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:  # the last star takes one letter more
            since += 1
            at, place = star + 1, since
        else:
            return False
    return not pattern[at:].strip("*")
