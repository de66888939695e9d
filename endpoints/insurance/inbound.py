"""The source `nhsa`: what the centre asks of the hospital in the infno envelope, 6 fields back.

6201 订单确认, 6202 医保结算结果通知, 7102 电子处方审核结果通知, 7103 购药结果通知 of the baseline.
The envelope is not signed: who may call is what `callers`, the network and the gateway say.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, ClassVar

from msgspec.structs import replace
from pydantic import Field, field_validator

from config.errors import BadMessage
from endpoints.base import Ground, Listed, WebOptions
from endpoints.insurance.door import CentreDoor, CentreDoorOptions, Understood, Unproved, words
from endpoints.insurance.province import ProvinceOptions
from schemas.json import Json
from schemas.message import Message, Reply
from schemas.nhsa import catalogue
from schemas.nhsa.check import checker

_JSON = Json()
_CHINA_S = 8 * 3600
_MAX_TEXT = 200  # err_msg in the envelope's table
CALLED = ("6201", "6202", "7102", "7103")


class InboundOptions(ProvinceOptions, CentreDoorOptions):
    """`from: {nhsa: {path: /insurance/notice, accepts: ["7102", "7103"]}}`."""

    accepts: Listed = Field(CALLED, description="transactions that the centre calls")
    fixmedins_code: str = Field("", description="ours: a message for another institution is refused")
    mdtrtarea_admvs: str = Field(
        "000000", pattern=r"^\d{6}$", description="our division; our reference numbers begin with it"
    )

    @field_validator("accepts")
    @classmethod
    def _called(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        for name in said:
            try:
                inbound = catalogue.transaction(name).inbound
            except LookupError as error:
                raise ValueError(str(error)) from None
            if not inbound:
                raise ValueError(f"{name} is not called by a centre; there are {', '.join(CALLED)}")
        return said


class InboundSource(CentreDoor):
    """A message is the envelope as it came; its `input` is what the tables describe."""

    Options: ClassVar[type[WebOptions]] = InboundOptions

    def __init__(self, options: InboundOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options = options

    def understood(self, body: bytes) -> Understood:
        try:
            tree = _JSON.decode(body)
        except BadMessage as error:
            raise Unproved("JL-N320", f"no envelope: {error.text} 报文无法解析") from None
        if not isinstance(tree, dict) or not isinstance(tree.get("input"), dict):
            raise Unproved("JL-N320", "no envelope: an object with infno, msgid and input 报文无法解析")
        infno, msgid = (str(tree.get(name) or "") for name in ("infno", "msgid"))
        fault = self._fault(infno, msgid, tree)
        facts = {"infno": infno[:20], "msgid": msgid[:40]}
        same = _JSON.encode([infno, msgid, tree["input"]])
        return Understood(_JSON.encode(tree), facts, fault, "JL-N321" if fault else "", same)

    def _fault(self, infno: str, msgid: str, tree: dict[str, Any]) -> str:
        options = self.options
        if infno not in options.accepts:
            return f"infno: {infno[:20]!r} is not taken here 不受理此交易; there are {', '.join(options.accepts)}"
        if not 0 < len(msgid) <= 40:
            return "msgid: is required 必填"
        if options.fixmedins_code and tree.get("fixmedins_code") != options.fixmedins_code:
            return "fixmedins_code: another institution's 非本机构报文"
        faults = checker(catalogue.transaction(infno), options.of).notice(tree["input"])
        return "; ".join(map(str, faults[:5]))

    def say(self, reply: Reply) -> bytes:
        return self.plain(reply)

    def plain(self, reply: Reply) -> bytes:
        """`infcode` 0 with what the destination answered, -1 with why not. Who repeats it reads the same numbers."""
        now_s = self.ground.now()
        taken_ms = int(reply.id[:12], 16) if len(reply.id) == 32 else int(now_s * 1000)
        serial = int.from_bytes(hashlib.blake2b(reply.id.encode(), digest_size=8).digest(), "big") % 10**10
        output, text = self._output(reply)
        return _JSON.encode(
            {
                "infcode": "-1" if text else "0",
                "inf_refmsgid": f"{self.options.mdtrtarea_admvs}{_stamp(taken_ms)[:14]}{serial:010d}",
                "refmsg_time": _stamp(taken_ms),
                "respond_time": _stamp(int(now_s * 1000)),
                "err_msg": text[:_MAX_TEXT],
                "output": output,
            }
        )

    def _output(self, reply: Reply) -> tuple[Any, str]:
        """A destination's answer, and what kept it from being one. Of another centre's, its own outcome and output."""
        text = words(reply)
        if text or reply.state != "answered" or not reply.body:
            return None, text
        try:
            tree = _JSON.decode(reply.body)
        except BadMessage:
            return None, ""
        if isinstance(tree, dict) and "outcome" in tree:
            refused = "" if tree["outcome"] == "OK" else str(tree.get("err_msg") or tree["outcome"])
            return tree.get("output"), refused
        return tree, ""

    def received(self, message: Message) -> Message:
        """A test's message is an envelope too."""
        try:
            read = self.understood(message.body)
        except Unproved as error:
            return replace(message, fault=error.text, fault_code=error.code)
        headers = {**message.headers, **read.headers}
        return replace(message, body=read.body, headers=headers, fault=read.fault, fault_code=read.fault_code)


def _stamp(ms: int) -> str:
    """yyyyMMddHHmmssSSS in China's time."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(ms / 1000 + _CHINA_S)) + f"{ms % 1000:03d}"
