"""The HIS of the branch hospital: twenty years old, and speaks nothing but SOAP 1.1 in GBK.

It calls `Call(tradeCode, xml)`, and writes `encoding="gb2312"` before names that GB2312 does not have, as such programs
do. What has no good answer it sends again, under the same HISTradeNo.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from html import unescape

from deploy.sandbox.books import SentBook
from deploy.sandbox.http import ask

PATH = "/soap/his"
TRADE_CODE = "2101"
_TRIES = 20
_WAIT_S = 0.2
_RESULT = re.compile(r"<ResultCode>(\w+)</ResultCode>")
_HEADERS = {"Content-Type": "text/xml; charset=GBK", "SOAPAction": '"http://tempuri.org/Call"'}
_ENVELOPE = """<?xml version="1.0" encoding="GBK"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<Call xmlns="http://tempuri.org/"><tradeCode>{code}</tradeCode><xml><![CDATA[{xml}]]></xml></Call>
</soap:Body></soap:Envelope>"""


class BranchHis:
    """`sent` is its book."""

    def __init__(self) -> None:
        self.sent = SentBook()

    async def register(
        self, visits: Sequence[tuple[str, str]], port: int, tell: Callable[[], object]
    ) -> None:
        """(number, Request) pairs, one after the other."""
        for number, xml in visits:
            body = _ENVELOPE.format(code=TRADE_CODE, xml=xml).encode("gb18030")
            self.sent.answers[number] = ""
            for attempt in range(_TRIES):
                try:
                    _, answer = await ask(port, "POST", PATH, _HEADERS, body)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    answer = b""
                result = _RESULT.search(unescape(answer.decode("gb18030", "replace")))
                self.sent.answers[number] = result[1] if result else ""
                self.sent.repeated += attempt > 0
                if result and result[1] == "0000":
                    break
                await asyncio.sleep(_WAIT_S)
            tell()
