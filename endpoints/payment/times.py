"""China's time, which payment channels write without saying so. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))


def at(ms: int) -> datetime:
    """
    >>> at(0).isoformat()
    '1970-01-01T08:00:00+08:00'
    """
    return datetime.fromtimestamp(ms / 1000, CHINA)


def ms_of(text: str, form: str) -> int:
    """Unix milliseconds of a text in China's time; 0 where it is none.

    >>> ms_of("19700101080001", "%Y%m%d%H%M%S"), ms_of("never", "%Y")
    (1000, 0)
    """
    try:
        return int(datetime.strptime(text, form).replace(tzinfo=CHINA).timestamp() * 1000)
    except ValueError:
        return 0
