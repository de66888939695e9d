"""The front-end services (前置服务) of HIS: `Call(tradeCode, xml)`, a `Request` in and a `Response` out.

No standard; as public clients and servers have it. The codes of results differ from site to site, and so are options.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from endpoints.operations import Outlined
from endpoints.webservice.conventions import Asked, Said, State, answered, text, words
from endpoints.webservice.conventions.outline import outline, text_at
from schemas.message import Reply

CODES: Mapping[State, str] = {"accepted": "0000", "refused": "9999", "failed": "9999", "pending": "0004"}


class Call:
    service = "HisFront"
    namespace = "http://tempuri.org/"
    operation = "Call"
    action = "tradeCode"
    message = "xml"

    def __init__(self, codes: Mapping[State, str]) -> None:
        """`codes` are over those of `CODES`."""
        self._codes = {str(state): code for state, code in {**CODES, **codes}.items()}

    def action_in(self, head: bytes) -> str:
        return text_at(outline(head), "{*}TradeCode")

    def answer(self, asked: Asked, reply: Reply, now_s: float) -> Said:
        state = "accepted" if reply.state == "answered" else reply.state
        code = self._codes[state]
        if reply.silent:
            return Said(code, "")
        if reply.state == "answered" and reply.body:
            return Said(code, answered(reply))
        return self._response(asked, code, reply.id, f"{reply.code} {words(reply)}".strip(), "", now_s)

    def outlined(self, asked: Asked, reply: Reply, outlined: Outlined, now_s: float) -> Said:
        """A destination's answer, whose own code and text stand before the rest of it."""
        code = self._codes[outlined.state]
        return self._response(asked, code, reply.id, outlined.text, outlined.inside, now_s)

    def _response(
        self, asked: Asked, code: str, number: str, content: str, inside: str, now_s: float
    ) -> Said:
        root = outline(asked.head)
        said = {
            "TradeCode": asked.action or text_at(root, "{*}TradeCode"),
            "HospitalID": text_at(root, "{*}HospitalID"),
            "HISDate": time.strftime("%Y%m%d%H%M%S", time.localtime(now_s)),
            "HISTradeNo": number,
            "ResultCode": code,
            "ResultContent": content,
        }
        inside = "".join(f"<{name}>{text(value)}</{name}>" for name, value in said.items()) + inside
        return Said(code, f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>')
