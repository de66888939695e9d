"""The simulated WeChat Pay with mixed orders: /v3/med-ins/ beside its ordinary pages, on the same cash."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.misbehaviour import UNDONE
from deploy.sandbox.mixed.books import Insurance, MixedBooks
from deploy.sandbox.wechat import WechatSandbox
from deploy.sandbox.wechat.desk import No


class _Cash:
    """The cash half, in WeChat's ordinary books."""

    def __init__(self, sandbox: MixedWechat) -> None:
        self._sandbox = sandbox

    def prepaid(self, number: str) -> tuple[str, int] | None:
        return self._sandbox.books.prepaid(number)

    def pay(self, number: str) -> bool:
        return self._sandbox.books.pay(number, self._sandbox.now())

    def state(self, number: str) -> str:
        return self._sandbox.books.state(number)

    def lock(self, number: str) -> None:
        self._sandbox.books.lock(number)


class MixedWechat(WechatSandbox):
    """`pays_mixed(number)` is the patient, `authorise(code)` too. Asked for are mixed, mixed_query and mixed_told.
    `telling`: whether a paid order is told to the hospital at all."""

    telling = True

    def __init__(self, *known: Any, insurance: Insurance, **more: Any) -> None:
        super().__init__(*known, **more)
        self.mixed = MixedBooks(_Cash(self), insurance)

    def authorise(self, code: str) -> None:
        self.mixed.now_s = self.now().timestamp()
        self.mixed.authorise(code)

    def pays_mixed(self, number: str, cash: bool = True, insurance: bool = True) -> None:
        self.mixed.pays(number, cash, insurance)
        order = self.mixed.of(number)
        assert order is not None
        tree = self.mixed.shown(order)
        if self.telling and tree["mix_pay_status"] == "MIX_PAY_SUCCESS":
            url = str(order.asked.get("callback_url") or "")
            self.notify(self.notice("MEDICAL_INSURANCE.SUCCESS", "medical_insurance", tree, number, url))

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        if not asked.path.startswith("/v3/med-ins/"):
            return await super().served(reader, writer, asked)
        ends = {"orders": "mixed", "notify": "mixed_told"}
        act = self.next(ends.get(asked.path.rpartition("/")[2], "mixed_query"))
        if act.kind in UNDONE:
            if not await self.silent(reader, writer, act):
                no = No(act.code or "SYSTEM_ERROR", "系统错误")
                await self._say(reader, writer, act, no.status, {"code": no.code, "message": no.text})
            return
        try:
            self._signed_by_merchant(asked)
            status, tree = self._mixed(asked)
        except No as no:
            status, tree = no.status, {"code": no.code, "message": no.text}
        await self._say(reader, writer, act, status, None if status == 204 else tree)

    def _mixed(self, asked: wire.Asked) -> tuple[int, dict[str, Any]]:
        self.mixed.now_s = self.now().timestamp()
        body = json.loads(asked.body) if asked.body else {}
        if asked.path.endswith("/orders") and asked.headers.get("wechatpay-serial") not in self.keys:
            raise No("PARAM_ERROR", "敏感信息加密证书序列号错误")
        return self.mixed.answer(asked.method, asked.path, dict(parse_qsl(asked.query)), body)
