"""The door of the mobile centres: payment, e-voucher and prescription, each application under its appId."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deploy.sandbox.centre import orders, rx_centre, sealing, vouchers, wire
from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import ALL, Call, Desk, No
from deploy.sandbox.centre.door import Door
from deploy.sandbox.centre.misbehaviour import UNDONE, Act
from deploy.sandbox.centre.sealing import Application, Letter, Unreadable
from deploy.sandbox.http import ask

if TYPE_CHECKING:
    from deploy.sandbox.centre.party import Centre

_PATHS = {
    "/org/local/api/hos/uldFeeInfo": "6201",
    "/org/local/api/hos/pay_order": "6202",
    "/org/local/api/hos/refund_Order": "6203",
    "/org/local/api/hos/query_order_info": "6301",
    "/org/local/api/hos/revoke_order": "6401",
    "/fixmedins/uploadChk": "D001",
    "/fixmedins/rxFixmedinsSign": "D002",
    "/fixmedins/rxFileUpld": "D003",
    "/fixmedins/rxUndo": "D004",
    "/fixmedins/hospRxDetlQuery": "D005",
    "/fixmedins/rxChkInfoQuery": "D006",
    "/fixmedins/rxSetlInfoQuery": "D007",
}
_HANDLERS: Mapping[str, Mapping[str, Callable[[Desk, Call], Row | None]]] = {
    "payment": orders.HANDLERS,
    "prescription": rx_centre.HANDLERS,
    "voucher": vouchers.HANDLERS,
}


class MobileCentre(Door):
    """`MobileCentre(centre, *applications)`: on the books of a `Centre`; `start`, `url`, `behave`, `stop` as there.

    Addresses are those of guide.md; D006 and D007 also at `/fixmedins/D006`; e-voucher calls anywhere, by transType.
    Beside the kinds of misbehaviour.py there are for 6202 `pending` (does it, answers that it is not done) and for
    6203 `exp` (does it, answers EXP) and `fail` (does it not, answers FAIL). Transactions are named by their codes.
    """

    def __init__(self, centre: Centre, *applications: Application, port: int = 0) -> None:
        super().__init__("mobile", port)
        self._centre = centre
        self._applications = {one.app_id: one for one in applications}
        self._serial = 0
        self.notify_url = ""  # where it tells of a paid order by itself (6302), where it is not ''

    def behave(self, code: str, kind: str, **how: Any) -> None:
        """As the centre's, under the name MP-6201 or D001; its own kinds too."""
        self._centre.behave(_named(code), kind, **how)

    async def notify(self, url: str, pay_ord_id: str, forged: bool = False) -> tuple[int, bytes]:
        """6302: tells the institution what became of an order: status and body of its answer."""
        order = self._centre.books.orders[pay_ord_id]
        mine = (
            one
            for one in self._applications.values()
            if one.use == "payment" and one.hospital == order.hospital
        )
        application = next(mine)
        data = orders.notice(self._centre.desk, order)
        body = await asyncio.to_thread(
            sealing.sealed, {"timestamp": self._stamp()}, data, application, forged
        )
        at = urlsplit(url)
        headers = {"Content-Type": "application/json"}
        return await ask(at.port or 80, "POST", at.path or "/", headers, body)

    def read(self, body: bytes, app_id: str) -> Letter:
        """An envelope of the institution's: the answer to a notice. Raises Unreadable."""
        return sealing.opened(body, self._applications[app_id])

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        try:
            application = self._of(asked.body)
        except Unreadable as error:
            return await wire.say(writer, f'{{"code":-1,"message":"{error}","success":false}}'.encode())
        try:
            letter = await asyncio.to_thread(sealing.opened, asked.body, application)
        except Unreadable as error:
            return await wire.say(writer, await self._sealed(application, None, -1, str(error)))
        code = (
            str(letter.head.get("transType") or "") or _PATHS.get(asked.path) or asked.path.rpartition("/")[2]
        )
        centre = self._centre
        act = centre.misbehaviour.next(_named(code), centre.now().timestamp())
        if act.kind in UNDONE:
            return await self._undone(reader, writer, act, application)
        if act.kind == "delayed":
            await asyncio.sleep(act.seconds)
        data, number, text = self._done(application, letter, code, act)
        if self.notify_url and code == "6202" and data:
            order = str(data["payOrdId"])
            self.tell_later(order, self.notify(self.notify_url, order))
        forged = act.kind == "forged"
        await wire.say_as(reader, writer, act, await self._sealed(application, data, number, text, forged))

    async def _undone(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act, application: Application
    ) -> None:
        if await self.silent(reader, writer, act):
            return
        if act.kind == "fail":
            return await wire.say(writer, await self._sealed(application, {"refStatus": "FAIL"}))
        number = int(act.code or -1) if act.code.lstrip("-").isdigit() or not act.code else -1
        await wire.say(writer, await self._sealed(application, None, number, act.text or "系统忙,请稍后再试"))

    def _done(
        self, application: Application, letter: Letter, code: str, act: Act
    ) -> tuple[Row | None, int, str]:
        """Data, code and message of the answer."""
        centre = self._centre
        handler = _HANDLERS[application.use].get(code)
        try:
            if handler is None:
                raise No(f"交易[{code}]不存在")
            hospital = centre.desk.institution(application.hospital)
            call = Call(
                code, f"{application.app_id[-8:]}{self._next():010d}", {}, letter.data, centre.now(), hospital
            )
            with centre.books.lock:
                data = handler(centre.desk, replace(call, blind=act.blind or ALL))
        except No as no:
            return None, -1, str(no)
        if act.kind == "pending" and data:
            data = {**data, "ordStas": orders.STATES["paying"]}
        if act.kind == "exp":
            data = {"refStatus": "EXP"}
        return (None if act.kind == "null" else data), 0, ""

    async def _sealed(
        self, application: Application, data: Row | None, code: int = 0, text: str = "", forged: bool = False
    ) -> bytes:
        head = {"code": code, "message": text, "success": code == 0, "timestamp": self._stamp()}
        return await asyncio.to_thread(sealing.sealed, head, data, application, forged)

    def _of(self, body: bytes) -> Application:
        tree = sealing.parsed(body)
        found = self._applications.get(str(tree.get("appId") or tree.get("appCode") or ""))
        if found is None:
            raise Unreadable("appId无效")
        return found

    def _stamp(self) -> str:
        return f"{self._centre.now():%Y%m%d%H%M%S}"

    def _next(self) -> int:
        self._serial += 1
        return self._serial


def _named(code: str) -> str:
    """As people name it."""
    return f"MP-{code}" if code.isdigit() else code
