"""Numbers of the register: citizens (GB 11643), legal persons (GB 32100).

The numbers in the examples are nobody's: the area 999999 does not exist.
"""

from __future__ import annotations

import datetime
import re
from typing import Literal

from config.registry import function
from transforms.pipes import Unusable

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_USCC_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(r"[1-9AN][0-9A-HJ-NP-RTUWXY][0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}")


def _citizen(value: str) -> str | None:
    """The 18 characters of a valid number; a number of 15 digits (before 2000) is made long. None: not
    valid.
    """
    text = value.strip().upper()
    if re.fullmatch(r"[0-9]{15}", text):
        text = f"{text[:6]}19{text[6:]}"
        text += _check_digit(text)
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", text) or _check_digit(text) != text[17]:
        return None
    try:
        datetime.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return None
    return text


def _check_digit(text: str) -> str:
    """ISO 7064 MOD 11-2 over the first 17 digits."""
    return _CHECK[sum(int(digit) * weight for digit, weight in zip(text[:17], _WEIGHTS, strict=True)) % 11]


@function
def citizen_id(value: str) -> str | None:
    """A valid citizen identification number in 18 characters (GB 11643), or nothing. 15 digits are made 18.

    >>> citizen_id("99999920010115002x"), citizen_id("999999198001010010"), citizen_id("999999800101001")
    ('99999920010115002X', None, '999999198001010011')
    """
    return _citizen(value)


@function
def citizen_check(value: str) -> str:
    """Refuses the message where a citizen identification number is not valid.

    >>> citizen_check("99999920010115002x")
    '99999920010115002X'
    """
    text = _citizen(value)
    if text is None:
        raise Unusable("not a valid citizen identification number (GB 11643)")
    return text


@function
def citizen_birth(value: str) -> str | None:
    """The birth date in a citizen identification number.

    >>> citizen_birth("99999920010115002X")
    '2001-01-15'
    """
    text = _citizen(value)
    return f"{text[6:10]}-{text[10:12]}-{text[12:14]}" if text else None


@function
def citizen_sex(value: str) -> str | None:
    """The sex in a citizen identification number: `male` or `female`.

    >>> citizen_sex("999999198001010011"), citizen_sex("999999197912310029")
    ('male', 'female')
    """
    text = _citizen(value)
    return ("male" if int(text[16]) % 2 else "female") if text else None


@function
def citizen_division(value: str, *, level: Literal["county", "city", "province"] = "county") -> str | None:
    """The code of the place (GB/T 2260) in a citizen identification number, or in a code of a place: of the
    county, or of the city or the province it is in. Of a number it is where it was given, not where people live.

    >>> citizen_division("999999198001010011"), citizen_division("110105", level="province")
    ('999999', '110000')
    """
    text = value.strip()
    code = text if re.fullmatch(r"[1-9][0-9]{5}", text, re.ASCII) else (_citizen(text) or "")[:6]
    cut = {"county": 6, "city": 4, "province": 2}[level]
    return code[:cut].ljust(6, "0") if code else None


@function
def citizen_mask(value: str) -> str:
    """A citizen identification number for texts that people see: the first and the last two characters alone.

    >>> citizen_mask("999999198001010011")
    '9***************11'
    """
    text = value.strip()
    return f"{text[0]}{'*' * (len(text) - 3)}{text[-2:]}" if len(text) >= 15 else "*" * len(text)


@function
def uscc(value: str) -> str | None:
    """A valid unified social credit code of a legal person (GB 32100), or nothing. The example is the
    standard's own.

    >>> uscc("91350100m000100y43"), uscc("91350100M000100Y44")
    ('91350100M000100Y43', None)
    """
    text = value.strip().upper()
    if not _USCC.fullmatch(text):
        return None
    total = sum(_USCC_SIGNS.index(sign) * pow(3, at, 31) for at, sign in enumerate(text[:17]))
    return text if _USCC_SIGNS[-total % 31] == text[17] else None


@function
def uscc_check(value: str) -> str:
    """Refuses the message where a unified social credit code is not valid.

    >>> uscc_check("91350100M000100Y43")
    '91350100M000100Y43'
    """
    text = uscc(value)
    if text is None:
        raise Unusable("not a valid unified social credit code (GB 32100)")
    return text


@function
def uscc_organization(value: str) -> str | None:
    """The organization code (GB 11714) in a unified social credit code.

    >>> uscc_organization("91350100M000100Y43")
    'M000100Y-4'
    """
    text = uscc(value)
    return f"{text[8:16]}-{text[16]}" if text else None
