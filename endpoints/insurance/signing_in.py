"""签到 (9001): one for each operator, device and day, shared by all processes through the records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from config.errors import Refused
from endpoints.insurance.answer import Answer
from endpoints.insurance.envelope import china_time
from endpoints.insurance.facts import flat
from endpoints.insurance.options import SignInOptions
from endpoints.insurance.records import Records, SignIn

_REMEMBERED = 10_000  # operators and devices of one process

Who = tuple[str, str]  # opter, device
Ask = Callable[[Any], Awaitable[Answer]]  # 9001 with this input, or 9002


class SignIns:
    """`system` is whose: its fixmedins_code."""

    def __init__(self, options: SignInOptions, system: str, records: Callable[[], Records]) -> None:
        self._options, self._system, self._records = options, system, records
        self._held: dict[Who, SignIn] = {}
        self._turns: dict[Who, asyncio.Lock] = {}

    async def get(self, who: Who, at_ms: int, ask: Ask) -> SignIn:
        """The one that holds, made where there is none. Of two who ask at once one does, and both have it.

        Raises Refused (JL-N017) where the centre refuses it, and what `ask` raises.
        """
        day = f"{china_time(at_ms):%Y-%m-%d}"
        held = self._held.get(who)
        if held is not None and held.day == day:
            return held
        async with self._turn(who):
            held = self._held.get(who)
            if held is not None and held.day == day:
                return held
            known = await self._records().signed(self._system, *who, day)
            if known is None:
                made = SignIn(self._system, *who, day, await self._made(who, ask))
                known = await self._records().sign_in(made)
            self._held[who] = known
            return known

    async def known(self, who: Who, at_ms: int) -> SignIn | None:
        return await self._records().signed(self._system, *who, f"{china_time(at_ms):%Y-%m-%d}")

    async def over(self, who: Who, sign_no: str, at_ms: int) -> None:
        """It holds no longer, for nobody; one that was made meanwhile does."""
        held = self._held.get(who)
        if held is not None and held.sign_no == sign_no:
            del self._held[who]
        day = f"{china_time(at_ms):%Y-%m-%d}"
        await self._records().sign_out(SignIn(self._system, *who, held.day if held else day, sign_no))

    async def sign_out(self, known: SignIn) -> None:
        self._held.pop((known.opter, known.device), None)
        await self._records().sign_out(known)

    async def _made(self, who: Who, ask: Ask) -> str:
        said = self._options
        node = {"opter_no": who[0], "mac": said.mac, "ip": said.ip, **said.more}
        if said.password:
            node["password"] = str(said.password)
        answer = await ask({"signIn": node})
        sign_no = flat(answer.output).get("sign_no", "")
        if answer.outcome != "OK" or not sign_no:
            text = answer.text or "the answer has no sign_no"
            raise Refused("JL-N017", f"9001: {text} 签到失败", retry=True)
        return sign_no

    def _turn(self, who: Who) -> asyncio.Lock:
        if len(self._turns) >= _REMEMBERED:
            self._turns = {one: turn for one, turn in self._turns.items() if turn.locked()}
            self._held.clear()
        return self._turns.setdefault(who, asyncio.Lock())
