"""Dates and times. They keep the precision that the sender gave, and invent nothing.

HL7 v2 writes `YYYYMMDDHHMMSS.SSSS+ZZZZ` (any tail may be missing; 2.A.22 DTM), FHIR and ISO 8601 write
`YYYY-MM-DDThh:mm:ss.sss+zz:zz`, Chinese forms `2026年2月5日 14时30分`, `二〇二六年二月五日` and `2026/2/5 14:30`.
All are read everywhere.
"""

from __future__ import annotations

import datetime as _datetime
import functools
import re
import zoneinfo
from collections.abc import Callable
from typing import NamedTuple

from config.registry import function
from transforms.pipes import Unusable, Word, prepares, remembering

_HL7 = re.compile(
    r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d{1,9})?(?:([+-])(\d\d)(\d\d))?",
    re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,9})?)?)?"
    r"(?:Z|([+-])(\d\d):?(\d\d))?)?)?)?",
    re.ASCII,
)
_CHINESE = re.compile(
    r"(\d{4})年(?:(\d{1,2})月(?:(\d{1,2})[日号]\s*(?:(\d{1,2})[时点:：]"
    r"(?:(\d{1,2})(?:[分:：](?:(\d{1,2})秒?)?)?)?)?)?)?",
    re.ASCII,
)
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:\s+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?", re.ASCII)
# Days that every month has and times that every clock has, in digits: read in a third of the time of the others.
_DAY = re.compile(r"(?!0000)(\d{4})(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])", re.ASCII)
_MOMENT = re.compile(_DAY.pattern + r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?", re.ASCII)
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,9})?(?:[+-]\d\d:?\d\d)?", re.ASCII)
_ZONE = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d|Z", re.ASCII)


class Zone(Word):
    """A time zone: `+08:00`, `Z`, or a name of the tz database such as `Asia/Urumqi`."""

    __slots__ = ()

    @classmethod
    def check(cls, text: str) -> None:
        if not _ZONE.fullmatch(text):
            try:
                zoneinfo.ZoneInfo(text)
            except (ValueError, OSError, KeyError):
                raise ValueError(f"{text!r} is no time zone: +08:00, Z or Asia/Shanghai") from None


CHINA = Zone("+08:00")


def zone_of(zone: str) -> _datetime.tzinfo:
    if zone == "Z":
        return _datetime.UTC
    if zone[0] not in "+-":
        return zoneinfo.ZoneInfo(zone)
    ahead = _datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return _datetime.timezone(-ahead if zone[0] == "-" else ahead)


def offset(zone: str, year: str, month: str, day: str, hour: str, minute: str) -> str:
    """What a zone's clocks are ahead of UTC at a time on them: `+08:00`. An offset is that of all times."""
    if zone[0] in "+-Z":
        return zone
    at = _datetime.datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=zone_of(zone))
    return ahead_of_utc(at)


def ahead_of_utc(at: _datetime.datetime) -> str:
    minutes = int((at.utcoffset() or _datetime.timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


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
    def iso(self) -> str:
        """As ISO 8601 writes it, with no more than was there."""
        clock = ":".join(filter(None, (self.hour, self.minute, self.second)))
        return f"{self.date}T{clock}{self.fraction}{self.zone}" if clock else self.date

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
        return _read_chinese(text)
    year, month, day, hour, minute, second, fraction, sign, zone_h, zone_m = match.groups("")
    zone = f"{sign}{zone_h}:{zone_m}" if sign else "Z" if text.endswith("Z") else ""
    _check(year, month, day, hour, minute, second)
    if zone and not _ZONE.fullmatch(zone):
        raise Unusable("not a time zone")
    return Stamp(year, month, day, hour, minute, second, fraction, zone)


def _read_chinese(text: str) -> Stamp:
    match = _SLASHES.fullmatch(text)
    if match is None and "年" in text[:6]:
        match = _CHINESE.fullmatch(in_digits(text) if text[0] in _NUMERALS else text)
    if match is None:
        raise Unusable("not a date")
    parts = [part and part.zfill(2) for part in match.groups("")]
    year, month, day, hour, minute, second = parts
    _check(year, month, day, hour, minute, second)
    return Stamp(year, month, day, hour, minute, second, "", "")


_NUMERALS = "〇一二三四五六七八九"
_TO_DIGITS = {ord(numeral): str(digit) for digit, numeral in enumerate(_NUMERALS)} | {
    ord("零"): "0",
    ord("○"): "0",
}
_TENS = re.compile(r"([一二三四五六七八九])?十([一二三四五六七八九])?")


def in_digits(text: str) -> str:
    """Chinese numerals below a hundred, and those of years, as digits.

    >>> in_digits("二〇二六年十二月三十日")
    '2026年12月30日'
    """
    return _TENS.sub(lambda ten: (ten[1] or "一") + (ten[2] or "〇"), text).translate(_TO_DIGITS)


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
    >>> date("2026年2月5日"), date("二〇二六年二月"), date("2026/2/5 8:05")
    ('2026-02-05', '2026-02', '2026-02-05')
    """
    usual = _DAY.fullmatch(value)
    return "-".join(usual.groups()) if usual else read(value).date


@function
def datetime(value: str, *, zone: Zone = CHINA) -> str:
    """A FHIR dateTime, as precise as it came. A time has a zone: the sender's own, else `zone` (China's by
    default).

    >>> datetime("20260105"), datetime("202601050930"), datetime("20260105093000.5-0500")
    ('2026-01-05', '2026-01-05T09:30:00+08:00', '2026-01-05T09:30:00.5-05:00')
    >>> datetime("2026年2月5日14时30分"), datetime("2026070512", zone="Europe/Berlin")
    ('2026-02-05T14:30:00+08:00', '2026-07-05T12:00:00+02:00')
    """
    if len(value) <= 8:
        return date(value)
    if usual := _MOMENT.fullmatch(value):
        year, month, day, hour, minute, second = usual.groups("00")
        ahead = zone if zone[0] in "+-Z" else offset(zone, year, month, day, hour, minute)
        return f"{year}-{month}-{day}T{hour}:{minute}:{second}{ahead}"
    at = read(value)
    if not at.hour:
        return at.date
    ahead = at.zone or offset(zone, at.year, at.month, at.day, at.hour, at.minute or "00")
    return f"{at.date}T{at.hour}:{at.minute or '00'}:{at.second or '00'}{at.fraction}{ahead}"


@prepares(datetime)
@functools.lru_cache(maxsize=256)
def _prepared_datetime(*, zone: Zone = CHINA) -> Callable[[str], str]:
    return remembering(functools.partial(datetime, zone=zone))


@function
def instant(value: str, *, zone: Zone = CHINA) -> str | None:
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


@function
def hl7time(value: str) -> str | None:
    """An HL7 v2 time (TM) of a time or of a date with a time, as precise as it came; nothing without a time.

    >>> hl7time("2026-01-05T09:30:00+08:00"), hl7time("09:30"), hl7time("2026-01-05")
    ('093000', '0930', None)
    """
    text = value.strip()
    match = _TIME.fullmatch(text) if len(text) < 8 or ":" in text[:3] else None
    if match is None:
        return "".join(read(text)[3:7]) or None
    _check("2000", "", "", *match.groups("")[:3])
    return "".join(match.groups(""))


@function
def if_date(value: str) -> str | None:
    """The text as it is where it is a date or a time of a day; nothing of what is none.

    >>> if_date("20260105"), if_date("220241021055726"), if_date("unknown")
    ('20260105', None, None)
    """
    try:
        _MOMENT.fullmatch(value) or _DAY.fullmatch(value) or read(value)
    except Unusable:
        return None
    return value


@function
def date_precision(value: str) -> str:
    """How precise it is: `year`, `month`, `day`, `hour`, `minute` or `second`.

    >>> date_precision("202601"), date_precision("2026-01-05"), date_precision("202601050930")
    ('month', 'day', 'minute')
    """
    return _PRECISIONS[sum(map(bool, read(value)[:6])) - 1]


_PRECISIONS = ("year", "month", "day", "hour", "minute", "second")
