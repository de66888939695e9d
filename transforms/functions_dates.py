"""The pipe functions for dates and times. They keep the precision that the sender gave, and invent nothing.

HL7 v2 writes `YYYYMMDDHHMMSS.SSSS+ZZZZ` (any tail may be missing; 2.A.22 DTM), FHIR and ISO 8601 write
`YYYY-MM-DDThh:mm:ss.sss+zz:zz`. Both are read everywhere.
"""

from __future__ import annotations

import datetime as _datetime
import re
from typing import NamedTuple

from config.registry import function
from transforms.pipes import Unusable

_HL7 = re.compile(
    r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d{1,9})?(?:([+-])(\d\d)(\d\d))?",
    re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,9})?)?)?"
    r"(?:Z|([+-])(\d\d):?(\d\d))?)?)?)?",
    re.ASCII,
)
# Days that every month has and times that every clock has, in digits: read in a third of the time of the others.
_DAY = re.compile(r"(?!0000)(\d{4})(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])", re.ASCII)
_MOMENT = re.compile(_DAY.pattern + r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?", re.ASCII)
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,9})?(?:[+-]\d\d:?\d\d)?", re.ASCII)
_ZONE = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d|Z", re.ASCII)
CHINA = "+08:00"


class Stamp(NamedTuple):
    """What was written: parts as text, '' where it stops. `zone` is `+08:00`, `Z` or ''."""

    year: str
    month: str
    day: str
    hour: str
    minute: str
    second: str
    fraction: str
    zone: str

    @property
    def date(self) -> str:
        if not self.month:
            return self.year
        return f"{self.year}-{self.month}-{self.day}" if self.day else f"{self.year}-{self.month}"


def read(value: str) -> Stamp:
    """Raises Unusable where the text is no date, or a day that no calendar has."""
    text = value.strip()
    match = _HL7.fullmatch(text) or _ISO.fullmatch(text)
    if match is None:
        raise Unusable("not a date")
    year, month, day, hour, minute, second, fraction, sign, zone_h, zone_m = match.groups("")
    zone = f"{sign}{zone_h}:{zone_m}" if sign else "Z" if text.endswith("Z") else ""
    _check(year, month, day, hour, minute, second)
    if zone and not _ZONE.fullmatch(zone):
        raise Unusable("not a time zone")
    return Stamp(year, month, day, hour, minute, second, fraction, zone)


def _check(year: str, month: str, day: str, hour: str, minute: str, second: str) -> None:
    is_day = year > "0000" and "01" <= (month or "01") <= "12" and "01" <= (day or "01") <= "28"
    if is_day and hour < "24" and minute < "60" and second < "60":
        return  # what every month and every clock has
    try:
        _datetime.datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            min(int(second or 0), 59),
        )
    except ValueError:
        raise Unusable("a date that no calendar has") from None
    if second > "60":
        raise Unusable("a date that no calendar has")


@function
def date(value: str) -> str:
    """A FHIR date, as precise as it came: `2026`, `2026-01`, `2026-01-05`. A time is left away.

    >>> date("20260105"), date("202601"), date("20260105093000+0800")
    ('2026-01-05', '2026-01', '2026-01-05')
    """
    usual = _DAY.fullmatch(value)
    return "-".join(usual.groups()) if usual else read(value).date


@function
def datetime(value: str, *, zone: str = CHINA) -> str:
    """A FHIR dateTime, as precise as it came. A time has a zone: the sender's own, else `zone` (China's by
    default).

    >>> datetime("20260105"), datetime("202601050930"), datetime("20260105093000.5-0500")
    ('2026-01-05', '2026-01-05T09:30:00+08:00', '2026-01-05T09:30:00.5-05:00')
    """
    if len(value) <= 8:
        return date(value)
    if usual := _MOMENT.fullmatch(value):
        year, month, day, hour, minute, second = usual.groups("00")
        return f"{year}-{month}-{day}T{hour}:{minute}:{second}{zone}"
    at = read(value)
    if not at.hour:
        return at.date
    return f"{at.date}T{at.hour}:{at.minute or '00'}:{at.second or '00'}{at.fraction}{at.zone or zone}"


@function
def instant(value: str, *, zone: str = CHINA) -> str | None:
    """A FHIR instant: date, time to the second and zone. Nothing where the sender did not give a time.

    >>> instant("20260105093000"), instant("20260105")
    ('2026-01-05T09:30:00+08:00', None)
    """
    made = datetime(value, zone=zone)
    return made if "T" in made else None


@function
def time(value: str) -> str | None:
    """A FHIR time: `hh:mm:ss` of a time or of a date with a time.

    >>> time("0930"), time("20260105093015")
    ('09:30:00', '09:30:15')
    """
    text = value.strip()
    match = _TIME.fullmatch(text) if len(text) < 8 or ":" in text[:3] else None
    if match is None:
        at = read(text)
        return f"{at.hour}:{at.minute or '00'}:{at.second or '00'}{at.fraction}" if at.hour else None
    hour, minute, second, fraction = match.groups("")
    _check("2000", "", "", hour, minute, second)
    return f"{hour}:{minute or '00'}:{second or '00'}{fraction}"


@function
def hl7date(value: str) -> str:
    """An HL7 v2 date (DT), as precise as it came.

    >>> hl7date("2026-01-05T09:30:00+08:00"), hl7date("2026-01")
    ('20260105', '202601')
    """
    return "".join(read(value)[:3])


@function
def hl7datetime(value: str) -> str:
    """An HL7 v2 date and time (DTM), as precise as it came, with the zone where there was one.

    >>> hl7datetime("2026-01-05T09:30:00+08:00"), hl7datetime("2026-01-05")
    ('20260105093000+0800', '20260105')
    """
    at = read(value)
    zone = "+0000" if at.zone == "Z" else at.zone.replace(":", "")
    return "".join(at[:7]) + zone
