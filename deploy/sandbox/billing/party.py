"""The HIS' door: what comes in is done as the desk does it, and answered as its behaviour says."""

from __future__ import annotations

import asyncio
import math
import time

from deploy.sandbox.billing import faces
from deploy.sandbox.billing.books import Books
from deploy.sandbox.billing.desk import Desk, Fields, No
from deploy.sandbox.centre import wire
from deploy.sandbox.centre.door import Door
from deploy.sandbox.centre.misbehaviour import KINDS, Act, Misbehaviour

# Besides those of the centre: `lie` says yes and does nothing; `twice` does it twice; `partial` the first bill only.
OWN = ("lie", "twice", "partial")
_UNDONE = ("lose", "deaf", "refuse", "status", "lie")


class Billing(Door):
    """`url` + `/soap` and `url` + `/gateway`. `asked` are the operations that came, in their order."""

    def __init__(self, port: int = 0, secret: str = "sandbox", dedupe: bool = True, seed: int = 0) -> None:
        super().__init__("billing", port, seed)
        self.secret = secret
        self.books = Books()
        self.now = "2026-01-05 09:00:00"
        self.desk = Desk(self.books, lambda: self.now, dedupe)
        self.acts = Misbehaviour(seed, (*KINDS, *OWN))
        self.asked: list[str] = []

    def behave(
        self,
        name: str,
        kind: str,
        *,
        times: float = math.inf,
        skip: int = 0,
        seconds: float = 0,
        code: str = "",
    ) -> None:
        """`name` an operation, or '*'. Raises ValueError."""
        self.acts.add(name, Act(kind, seconds, code), times=times, skip=skip)

    def well(self) -> None:
        self.acts.well()

    def take(self, path: str, body: bytes) -> tuple[Act, bytes]:
        """How it behaves to this one, and what it would answer: done, unless the behaviour is not to."""
        soap = path.endswith("/soap")
        read, say = (
            (faces.read_soap, faces.said_by_soap) if soap else (faces.read_gateway, faces.said_by_gateway)
        )
        try:
            name, fields = read(body, self.secret)
        except faces.BadSign:
            return Act(), say("ping", "no", "签名错误", {})
        self.asked.append(name)
        act = self.acts.next(name, time.monotonic())
        if act.kind == "refuse":
            return Act(), say(name, "no", act.text or "系统维护", {})
        if act.kind in _UNDONE:
            return (Act() if act.kind == "lie" else act), say(name, "yes", "成功", {})
        code, text, content = self._done(name, fields, act)
        return act, say(name, code, text, content)

    def _done(self, name: str, fields: Fields, act: Act) -> tuple[str, str, Fields]:
        self.desk.blind = self.books.serial if act.kind == "lag" else 0
        try:
            content = self.desk.do(name, fields, 1 if act.kind == "partial" else 0)
            if act.kind == "twice":
                self.desk.dedupe = False
                content = self.desk.do(name, fields)
                self.desk.dedupe = True
        except No as no:
            return no.code, str(no), {}
        return "yes", "成功", content

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        act, body = self.take(asked.path, asked.body)
        if await self.silent(reader, writer, act):
            return
        if asked.path.endswith("/soap") and act.kind in ("well", "lag", "twice", "partial"):
            return await wire.say(writer, body, kind="text/xml; charset=utf-8")
        await wire.say_as(reader, writer, act, body)
