"""The platform's door: `{url}/METHOD`, the envelope with its signature, and answers as it was told to give them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import time
from typing import Any

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.door import Door
from deploy.sandbox.centre.misbehaviour import KINDS, Act, Misbehaviour
from deploy.sandbox.einvoice.desk import Bill, Desk, No

OWN = ("lie",)  # says yes, and does nothing
_UNDONE = ("lose", "deaf", "refuse", "status", "lie")

__all__ = ["OWN", "Bill", "Platform"]


class Platform(Door):
    """`asked` are the methods that came, in their order."""

    def __init__(
        self, port: int = 0, appid: str = "SANDBOX", key: str = "sandbox", dedupe: bool = True, seed: int = 0
    ) -> None:
        super().__init__("einvoice", port, seed)
        self.appid, self.key = appid, key
        self.desk = Desk(dedupe)
        self.acts = Misbehaviour(seed, (*KINDS, *OWN))
        self.asked: list[str] = []

    def behave(
        self, method: str, kind: str, *, times: float = math.inf, skip: int = 0, text: str = ""
    ) -> None:
        """Raises ValueError."""
        self.acts.add(method, Act(kind, text=text), times=times, skip=skip)

    def well(self) -> None:
        self.acts.well()

    def take(self, path: str, body: bytes) -> tuple[Act, bytes]:
        """How it behaves to this one, and what it would answer: done, unless the behaviour is not to."""
        method = path.rpartition("/")[2]
        try:
            outer = json.loads(body)
            right = self._sign(outer["data"], outer["noise"], outer["version"])
            if outer["appid"] != self.appid or outer["sign"] != right:
                return Act(), self._said("E9001", "签名验证失败")
            asked = json.loads(base64.b64decode(outer["data"]), parse_float=str)
        except (ValueError, KeyError, TypeError):
            return Act(), self._said("E9000", "报文格式有误")
        self.asked.append(method)
        act = self.acts.next(method, time.monotonic())
        if act.kind == "refuse":
            return Act(), self._said("E0500", act.text or "系统维护")
        if act.kind in _UNDONE:
            return (Act() if act.kind == "lie" else act), self._said("S0000", {})
        self.desk.blind = 1 if act.kind == "lag" else 0
        try:
            answer = self._said("S0000", self.desk.do(method, asked))
        except No as no:
            answer = self._said(no.code, str(no))
        if act.kind == "forged":
            return Act(), answer.replace(b'"sign": "', b'"sign": "0')
        return act, answer

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        act, body = self.take(asked.path, asked.body)
        if not await self.silent(reader, writer, act):
            await wire.say_as(reader, writer, act, body)

    def _said(self, result: str, message: Any) -> bytes:
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        inner = {"result": result, "message": base64.b64encode(text.encode()).decode()}
        data = base64.b64encode(json.dumps(inner).encode()).decode()
        noise = hashlib.sha256(data.encode()).hexdigest()[:16]
        return json.dumps({"data": data, "noise": noise, "sign": self._sign(data, noise, "1.0")}).encode()

    def _sign(self, data: str, noise: str, version: str) -> str:
        text = f"appid={self.appid}&data={data}&noise={noise}&key={self.key}&version={version}"
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
