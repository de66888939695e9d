"""The insurance's half of mixed orders, at the sandbox's centre: what WeChat has it pay (6202)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deploy.sandbox.centre import orders
from deploy.sandbox.centre.desk import ALL, Call, No
from deploy.sandbox.centre.party import Centre
from deploy.sandbox.centre.rules import Split


class AtCentre:
    """`refuses`: the centre pays nothing (医保支付失败)."""

    refuses = False

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def settle(self, order: str, authorisation: str) -> bool:
        there = self._centre.books.orders.get(order)
        if there is None or self.refuses:
            return False
        row = {
            "payOrdId": order,
            "payToken": there.pay_token,
            "payAuthNo": authorisation,
            "orgBizSer": there.med_org_ord,
        }
        try:
            with self._centre.books.lock:
                orders.pay(self._centre.desk, self._call(there.hospital, row))
        except No:
            return False
        return True

    def split(self, hospital: str, fees: dict[str, Any]) -> Split:
        """What these fees would come to, in fen: uploaded, reckoned and taken back, so that nothing is left of it."""
        desk, books = self._centre.desk, self._centre.books
        with books.lock:
            made = orders.upload(desk, self._call(hospital, fees))
            order = books.orders.pop(str(made["payOrdId"]))
            split = orders.reckoned(desk, self._call(hospital, {}), order).split
            for fee in books.unsettled(order.mdtrt_id, order.batch):
                del books.fees[fee.mdtrt_id, fee.feedetl_sn]
        return split

    def _call(self, hospital: str, row: dict[str, Any]) -> Call:
        desk, now = self._centre.desk, self._centre.now()
        call = Call("6202", f"WECHAT{desk.books.next():022d}", {}, row, now, desk.institution(hospital))
        return replace(call, blind=ALL)
