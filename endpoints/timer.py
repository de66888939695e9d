"""A clock as a source: kind `timer`. A message at each time that a cron expression names.

Once each, whatever runs and dies meanwhile: one process has the turn, and what was kept with it says which time is
done. The message's id follows from the time, so one that is taken again after a crash is the same message.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog
from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from config import registry
from config.errors import JingluoError
from endpoints.base import Deliver, Ground, Options, Told
from endpoints.polling import Poller
from schemas.message import Message, Once, Reply

log = structlog.get_logger()

_LONGEST_WAIT_S = 30.0  # the system's clock may be set meanwhile
_LATE_S = 60.0  # so late is not missed: a process took over
_FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L, LW",
    "month": "1-12, JAN-DEC",
    "day-of-week": "0-7, SUN-SAT, 5L, MON#2",
}


class SourceOptions(Options):
    """`from: {timer: {cron: "30 2 * * *"}}`."""

    takes_again: ClassVar[bool] = True
    makes: ClassVar[str] = "json"

    cron: str = Field(
        description="minute hour day month weekday, as in crontab; six fields begin with the second"
    )
    zone: str = Field("", description="Asia/Shanghai; without it, this machine's")
    missed: Literal["once", "skip"] = Field(
        "once", description="what becomes of times when no engine ran: one message for the last, or none"
    )

    @field_validator("cron")
    @classmethod
    def _names_times(cls, cron: str) -> str:
        try:
            next(CronSim(cron, datetime(2026, 1, 1)))
        except CronSimError as error:
            raise _wrong(_reason(cron, str(error))) from None
        except StopIteration:
            raise _wrong(f"{cron!r} names a day that no year has") from None
        return cron

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            zone_of(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            said = f"this machine knows no time zone {zone!r}; write Asia/Shanghai, or install tzdata"
            raise ValueError(said) from None
        return zone


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("JL-C150", "{reason}", {"reason": reason})


def _reason(cron: str, said: str) -> str:
    """cronsim names the field; we also say what stands there, and what may."""
    parts, names = cron.split(), list(_FIELDS)
    if len(parts) not in (5, 6):
        return f"{cron!r} has {len(parts)} fields; five, minute hour day month weekday, or six, with the second first"
    name = said.removeprefix("Bad ")
    if name not in names:
        return said
    at = names.index(name) - (6 - len(parts))
    return f"the {name} {parts[at]!r} is none; {_FIELDS[name]}, with * , - and /"


def zone_of(name: str) -> tzinfo:
    """The zone of that name; without one, this machine's. Raises ValueError, OSError and ZoneInfoNotFoundError."""
    name = name or os.environ.get("TZ", "").lstrip(":")
    if name:
        return ZoneInfo(name)
    local = Path("/etc/localtime")
    if not local.exists():
        return ZoneInfo("UTC")
    with local.open("rb") as file:
        return ZoneInfo.from_file(file, "local")


class _Kept(msgspec.Struct, frozen=True):
    """Unix seconds. `until`: all times of `cron` up to it are done. `ran`: the last that made a message, or 0."""

    until: int
    ran: int = 0
    cron: str = ""


_decode = msgspec.json.Decoder(_Kept).decode


@registry.source("timer")
class TimerSource:
    """Hands over one message a time, and waits for its reply before it looks at the next."""

    Options: ClassVar[type[Options]] = SourceOptions
    codes = frozenset(("done", "stays"))

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._zone = zone_of(options.zone)
        self._cron = f"{options.cron} {options.zone}".strip()
        self._turn = ground.turn()
        self._poller = Poller(f"timer {ground.name}", self._turn, self._look)
        self.pause, self.resume = self._poller.pause, self._poller.resume
        self.close, self.stop = self._poller.close, self._poller.stop
        self._deliver: Deliver

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await self._poller.start()

    def told(self, message: Message, reply: Reply) -> Told:
        return Told("stays" if reply.state == "failed" else "done")

    async def _look(self) -> float:
        """Does what is due; how long there is nothing to do then, seconds."""
        now = int(self.ground.now())
        kept = _decode(self._turn.value) if self._turn.value else _Kept(now)
        if kept.cron != self._cron:  # a new channel, or a new expression: nothing was missed
            kept = _Kept(now, kept.ran, self._cron)
            await self._keep(kept)
        due = self._last(now)
        if due > kept.until:
            if self.options.missed == "skip" and now - due > _LATE_S:
                log.warning("timer.missed", channel=self.ground.name, scheduled=self._text(due))
                await self._keep(_Kept(due, kept.ran, self._cron))
            else:
                await self._run_at(due, kept.ran)
                await self._keep(_Kept(due, due, self._cron))
        wait_s = self._next(now) - self.ground.now()
        return min(max(wait_s, 0.0), _LONGEST_WAIT_S)

    async def _run_at(self, due: int, ran: int) -> None:
        """Raises JingluoError where the engine cannot take it now."""
        body = {"scheduled": self._text(due), "previous": self._text(ran) if ran else None}
        once = Once(b"timer %d" % due, at_ms=due * 1000)
        source = f"timer {self.options.cron}"
        reply = await self._deliver(Message(msgspec.json.encode(body), source, once=once))
        if reply.state == "failed":
            raise JingluoError(reply.code, reply.text)
        if reply.state == "refused":
            log.error("timer.refused", channel=self.ground.name, code=reply.code, message=reply.id)

    async def _keep(self, kept: _Kept) -> None:
        await self._turn.keep(msgspec.json.encode(kept).decode())

    def _last(self, now: int) -> int:
        """The last time that is not after `now`, Unix seconds."""
        after = self._at(now) + timedelta(seconds=1)
        return int(next(CronSim(self.options.cron, after, reverse=True)).timestamp())

    def _next(self, now: int) -> int:
        return int(next(CronSim(self.options.cron, self._at(now))).timestamp())

    def _at(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self._zone)

    def _text(self, at: int) -> str:
        return self._at(at).isoformat()
