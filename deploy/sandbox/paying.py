"""What the simulated payment channels share: a door that misbehaves as it was told, a clock, and notices (通知) that
are sent again until they are acknowledged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.door import Door
from deploy.sandbox.centre.misbehaviour import UNDONE, Act, Misbehaviour
from deploy.sandbox.http import ask

CHINA = timezone(timedelta(hours=8))


def china() -> datetime:
    return datetime.now(CHINA)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told to the merchant. `about` is the order's number."""

    about: str
    url: str
    body: bytes
    kind: str = "application/x-www-form-urlencoded"
    headers: Mapping[str, str] | None = None


class PayDoor(Door):
    """`behave("alipay.trade.pay", "mute", times=1)` tells it how to misbehave (centre/misbehaviour.py), by the name of
    what is asked; `code` answers another code. `notices` are those that nobody has acknowledged. They are sent by
    `await send_notices()`, or by themselves where `tells` is true, then again after each of `retries_s`.
    """

    retries_s: Sequence[float] = ()

    def __init__(
        self,
        name: str,
        port: int = 0,
        seed: int = 0,
        now: Callable[[], datetime] = china,
        tells: bool = False,
    ) -> None:
        super().__init__(name, port, seed)
        self.misbehaviour = Misbehaviour(seed)
        self.notices: list[Notice] = []
        self.sent: list[
            tuple[str, int]
        ] = []  # of each try the order's number and the status heard; 0 for nobody
        self._tells = tells
        self._now, self._passed = now, timedelta()

    def now(self) -> datetime:
        return self._now() + self._passed

    def let_pass(self, seconds: float = 0) -> None:
        self._passed += timedelta(seconds=seconds)

    def behave(
        self,
        name: str,
        kind: str,
        *,
        times: float = math.inf,
        skip: int = 0,
        share: float = 1,
        seconds: float = 0,
        code: str = "",
    ) -> None:
        """From now on, of what is asked by this name ('*': all). Raises ValueError for a kind that there is not."""
        self.misbehaviour.add(name, Act(kind, seconds, code), times=times, skip=skip, share=share)

    def well(self) -> None:
        self.misbehaviour.well()

    def next(self, name: str) -> Act:
        return self.misbehaviour.next(name, self.now().timestamp())

    def acknowledged(self, status: int, body: bytes) -> bool:
        """Whether the merchant's answer ends a notice."""
        return status in (200, 204)

    def headers_of(self, notice: Notice) -> Mapping[str, str]:
        """What goes with it, this time."""
        return notice.headers or {}

    def notify(self, notice: Notice) -> None:
        """Keeps it, and sends it by itself where the door tells."""
        if not notice.url:
            return
        self.notices.append(notice)
        if self._tells:
            self.tell_later(notice.about, self._retried(notice))

    async def send_notices(self, copies: int = 1, backwards: bool = False) -> None:
        """Every notice that nobody has acknowledged, `copies` times each; the newest first where `backwards`."""
        pending = list(self.notices)
        for notice in reversed(pending) if backwards else pending:
            for _ in range(copies):
                await self.send_notice(notice)

    async def send_notice(self, notice: Notice) -> bool:
        url = urlsplit(notice.url)
        headers = {"Content-Type": notice.kind, **self.headers_of(notice)}
        try:
            status, body = await ask(url.port or 80, "POST", url.path, headers, notice.body)
        except (OSError, EOFError, TimeoutError):
            status, body = 0, b""
        self.sent.append((notice.about, status))
        done = self.acknowledged(status, body)
        if done and notice in self.notices:
            self.notices.remove(notice)
        return done

    async def _retried(self, notice: Notice) -> tuple[int, object]:
        for wait_s in (0, *self.retries_s):
            await asyncio.sleep(wait_s)
            if await self.send_notice(notice):
                break
        return self.sent[-1][1], None

    async def answered(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        act: Act,
        answer: Callable[[str], bytes],
    ) -> None:
        """`answer(code)` does what was asked and writes it; with a code it does nothing, and says that."""
        if act.kind in UNDONE:
            if not await self.silent(reader, writer, act):
                await wire.say(writer, answer(act.code or "refused"))
            return
        if act.kind == "delayed":
            await asyncio.sleep(act.seconds)
        await wire.say_as(reader, writer, act, answer(""))
