"""Reckoning with dates and times. What is not precise enough for a question is refused, not guessed.

Two values come as a list of two: `let: {stay: [$PV1-44, $PV1-45]}`, then `$stay | date_difference`.
"""

from __future__ import annotations

import calendar
import datetime as _datetime
import re
from decimal import Decimal
from typing import Any, Literal

from config.registry import function
from transforms.functions.dates import CHINA, Stamp, Zone, ahead_of_utc, read, zone_of
from transforms.functions.numbers import read_number
from transforms.pipes import Unusable, Word, text_of

_UNITS = {
    "y": "years",
    "mo": "months",
    "w": "weeks",
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
}
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_NEEDS = {"years": 1, "months": 2, "weeks": 3, "days": 3, "hours": 4, "minutes": 5, "seconds": 6}
_EPOCH = _datetime.datetime(1970, 1, 1, tzinfo=_datetime.UTC)
In = Literal["years", "months", "weeks", "days", "hours", "minutes", "seconds"]


class Span(Word):
    """A span of time with its unit: `7d`, `-2h`, `1y`; the units are y, mo, w, d, h, m, s."""

    __slots__ = ()

    @classmethod
    def check(cls, text: str) -> None:
        if not _SPAN.fullmatch(text):
            raise ValueError(f"{text!r} is no span of time: 7d, -2h, 3mo; units are y, mo, w, d, h, m, s")


_SPAN = re.compile(r"([+-]?\d{1,6})(y|mo|w|d|h|m|s)", re.ASCII)


@function
def date_add(value: str, *, span: Span) -> str:
    """A date or time so much later, or earlier, as precise as it came, in ISO 8601: `| date_add 7d`, `-2h`,
    `3mo`. The last day of a month stays within the month. Refuses what is less precise than the span.

    >>> date_add("20260105", span="7d"), date_add("2026-01-31", span="1mo"), date_add("2026-01", span="-1y")
    ('2026-01-12', '2026-02-28', '2025-01')
    >>> date_add("20260105233000+0800", span="45m")
    '2026-01-06T00:15:00+08:00'
    """
    found = _SPAN.fullmatch(span)
    assert found is not None
    count, unit = int(found[1]), _UNITS[found[2]]
    at = _precise(read(value), unit)
    if unit in ("years", "months"):
        return _moved(at, count * (12 if unit == "years" else 1)).iso
    later = _naive(at) + _datetime.timedelta(seconds=count * _SECONDS[unit])
    return _like(at, later).iso


@function
def date_difference(values: list[Any], *, in_: In = "days") -> int | None:
    """From the first of two dates to the second, in whole `days`, `hours`, ..., negative where the second is
    earlier. Days are those of the calendar where one has no time. Nothing where one of the two is missing.

    >>> date_difference(["20260105", "2026-01-12"]), date_difference(["202601050930", "202601051215"], in_="hours")
    (7, 2)
    >>> date_difference(["2025-12-31T23:00:00Z", "2026-01-01T08:00:00+08:00"], in_="minutes")
    60
    """
    if len(values) != 2:
        return None
    first, second = (_precise(read(text_of(value)), in_) for value in values)
    if in_ in ("years", "months"):
        months = _months(first, second)
        return int(months / 12) if in_ == "years" else months
    if in_ in ("days", "weeks") and not (first.hour and second.hour):
        apart = _datetime.timedelta((_naive(second).date() - _naive(first).date()).days)
    else:
        apart = moment(second) - moment(first)
    seconds = apart.days * 86_400 + apart.seconds
    return int(Decimal(seconds) / _SECONDS[in_])


@function
def age(values: list[Any], *, in_: Literal["years", "months", "days"] = "years") -> int | None:
    """Completed years (`months`, `days`) of a list of two, the birth date and the day that counts:
    `let: {both: [$PID-7, $PV1-44]}`, then `$both | age`. Nothing where one is missing.

    >>> age(["19800229", "20260228"]), age(["20251120", "20260105"], in_="months")
    (45, 1)
    """
    return date_difference([_day(value) for value in values], in_=in_)


@function
def age_text(values: list[Any]) -> str | None:
    """An age as a Chinese record writes it: days in the first month, months in the first year, years and months
    to the sixth, then years. Of a list of two, as `age`.

    >>> age_text(["20251224", "20260105"]), age_text(["20250805", "20260105"]), age_text(["1980", "2026"])
    ('12天', '5个月', '46岁')
    >>> age_text(["20221001", "20260105"])
    '3岁3个月'
    """
    if len(values) != 2:
        return None
    first, second = (read(text_of(value)) for value in values)
    if not (first.month and second.month):
        return f"{int(second.year) - int(first.year)}岁"
    months = _months(first, second)
    if months == 0 and first.day and second.day:
        return f"{date_difference([first.date, second.date])}天"
    if months < 12:
        return f"{months}个月"
    years, rest = divmod(months, 12)
    return f"{years}岁{rest}个月" if rest and years < 6 else f"{years}岁"


@function
def date_zone(value: str, *, zone: Zone, of: Zone = CHINA) -> str:
    """The same time on another zone's clocks, in ISO 8601. What has no zone is in `of`. A date stays as it is.

    >>> date_zone("20260105093000", zone="Z"), date_zone("2026-01-05T01:30:00Z", zone="+08:00")
    ('2026-01-05T01:30:00Z', '2026-01-05T09:30:00+08:00')
    """
    at = read(value)
    if not at.hour:
        return at.date
    there = moment(at, of).astimezone(zone_of(zone))
    return _like(at, there)._replace(zone="Z" if zone == "Z" else ahead_of_utc(there)).iso


@function
def hl7local(value: str, *, zone: Zone = CHINA) -> str:
    """A time as HL7 writes it, on one zone's clocks, without the zone and without parts of a second: for receivers
    that know no other zone. As precise as it came.

    >>> hl7local("2026-01-05T01:30:00.5Z"), hl7local("2026-01-05")
    ('20260105093000', '20260105')
    """
    at = read(value)
    if at.hour and at.zone:
        at = _like(at, moment(at).astimezone(zone_of(zone)))
    return "".join(at[:6])


@function
def date_first(value: str) -> str:
    """The first day that an imprecise date may mean.

    >>> date_first("2026"), date_first("202602"), date_first("20260205093000")
    ('2026-01-01', '2026-02-01', '2026-02-05')
    """
    at = read(value)
    return f"{at.year}-{at.month or '01'}-{at.day or '01'}"


@function
def date_last(value: str) -> str:
    """The last day that an imprecise date may mean.

    >>> date_last("2026"), date_last("202602"), date_last("20260205093000")
    ('2026-12-31', '2026-02-28', '2026-02-05')
    """
    at = read(value)
    month = at.month or "12"
    return f"{at.year}-{month}-{at.day or calendar.monthrange(int(at.year), int(month))[1]}"


@function
def weekday(value: str) -> int:
    """The day of the week: 1 is Monday, 7 Sunday.

    >>> weekday("20260105")
    1
    """
    return _naive(_precise(read(value), "days")).isoweekday()


@function
def epoch(value: str, *, in_: Literal["s", "ms"] = "s", zone: Zone = CHINA) -> int:
    """Seconds since 1970 (UTC), or milliseconds. What has no zone is in `zone`.

    >>> epoch("2026-01-05T09:30:00+08:00"), epoch("20260105093000", in_="ms")
    (1767576600, 1767576600000)
    """
    apart = moment(_precise(read(value), "minutes"), zone) - _EPOCH
    return (
        apart // _datetime.timedelta(seconds=1)
        if in_ == "s"
        else apart // _datetime.timedelta(milliseconds=1)
    )


@function
def from_epoch(value: str, *, in_: Literal["s", "ms"] = "s", zone: Zone = CHINA) -> str:
    """A time of seconds since 1970, or milliseconds, in ISO 8601: `| from_epoch ms`.

    >>> from_epoch("1767576600"), from_epoch("1767576600250", in_="ms", zone="Z")
    ('2026-01-05T09:30:00+08:00', '2026-01-05T01:30:00.250Z')
    """
    thousandths = int(read_number(value) * (1000 if in_ == "s" else 1))
    at = (_EPOCH + _datetime.timedelta(milliseconds=thousandths)).astimezone(zone_of(zone))
    fraction = f".{thousandths % 1000:03d}" if thousandths % 1000 else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + ("Z" if zone == "Z" else ahead_of_utc(at))


# What the functions share.


def moment(at: Stamp, zone: str = CHINA) -> _datetime.datetime:
    return _naive(at).replace(tzinfo=zone_of(at.zone or zone))


def _naive(at: Stamp) -> _datetime.datetime:
    """The begin of what it may mean, as its own clock shows it; a leap second as the one before."""
    year, month, day, hour, minute, second = (int(part or 0) for part in at[:6])
    micro = int(at.fraction[1:7].ljust(6, "0")) if at.fraction else 0
    return _datetime.datetime(year, month or 1, day or 1, hour, minute, min(second, 59), micro)


def _like(at: Stamp, made: _datetime.datetime) -> Stamp:
    """A time with as much precision as another."""
    digits = f"{made:%Y%m%d%H%M%S}".rjust(14, "0")
    parts = (digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:])
    year, month, day, hour, minute, second = (new if old else "" for old, new in zip(at, parts, strict=False))
    return Stamp(year, month, day, hour, minute, second, at.fraction, at.zone)


def _precise(at: Stamp, unit: str) -> Stamp:
    if not at[_NEEDS[unit] - 1]:
        raise Unusable(f"not precise enough for {unit}")
    return at


def _moved(at: Stamp, months: int) -> Stamp:
    count = int(at.year) * 12 + int(at.month or 1) - 1 + months
    year, month = divmod(count, 12)
    if not 1 <= year <= 9999:
        raise Unusable("a date that no calendar has")
    last = calendar.monthrange(year, month + 1)[1]
    day = f"{min(int(at.day), last):02d}" if at.day else ""
    return at._replace(year=f"{year:04d}", month=at.month and f"{month + 1:02d}", day=day)


def _months(first: Stamp, second: Stamp) -> int:
    """Completed months, towards zero; by the clock's own dates."""
    if first.date > second.date:
        return -_months(second, first)
    months = (int(second.year) - int(first.year)) * 12 + int(second.month or 1) - int(first.month or 1)
    early = first.day and second.day and second.day + second.hour < first.day + (second.hour and first.hour)
    return months - 1 if early else months


def _day(value: Any) -> str:
    return read(text_of(value)).date
