"""Telephone numbers. Those of China, mobile (1xx) and fixed (area code and number)."""

from __future__ import annotations

import re

from config.registry import function

_MARKS = re.compile(r"[\s()\-.（）－—]")
_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_FIXED = re.compile(r"(?:(?:\+86|0086)0?|0)((?:10|2[0-9])[2-8][0-9]{7}|[3-9][0-9]{2}[2-8][0-9]{6,7})")


@function
def phone(value: str) -> str:
    """A telephone number without spaces, brackets and dashes; a mobile number without China's code.

    >>> phone("+86 154-0000-0000"), phone("(010) 5555 0000")
    ('15400000000', '01055550000')
    """
    text = _MARKS.sub("", value)
    match = _MOBILE.fullmatch(text)
    return match[1] if match else text


@function
def phone_international(value: str) -> str | None:
    """A number with China's code, as E.164 and FHIR write it; nothing of what is none. A number that begins
    with another country's code stays.

    >>> phone_international("154 0000 0000"), phone_international("010-5555 0000")
    ('+8615400000000', '+861055550000')
    >>> phone_international("+49 30 1234567"), phone_international("5555")
    ('+49301234567', None)
    """
    text = _MARKS.sub("", value)
    match = _MOBILE.fullmatch(text) or _FIXED.fullmatch(text)
    if match:
        return f"+86{match[1]}"
    return text if re.fullmatch(r"\+(?!86)[1-9][0-9]{6,14}", text) else None


@function
def phone_kind(value: str) -> str | None:
    """`mobile` or `fixed`; nothing of what is neither.

    >>> phone_kind("154 0000 0000"), phone_kind("(010) 5555 0000"), phone_kind("5555")
    ('mobile', 'fixed', None)
    """
    text = _MARKS.sub("", value)
    return "mobile" if _MOBILE.fullmatch(text) else "fixed" if _FIXED.fullmatch(text) else None


@function
def phone_mask(value: str) -> str:
    """A number for texts that people see: the first three and the last four digits of a mobile number, the last
    two of any other.

    >>> phone_mask("+86 154 0000 1234"), phone_mask("010-55550012")
    ('154****1234', '*********12')
    """
    text = phone(value)
    if _MOBILE.fullmatch(text):
        return f"{text[:3]}****{text[7:]}"
    return "*" * max(len(text) - 2, 0) + text[-2:] if len(text) > 4 else "*" * len(text)
