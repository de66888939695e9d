"""Alipay's gateway on loopback: parameters in the query or the form, RSA2 both ways."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.sandbox.alipay.bill import bill
from deploy.sandbox.alipay.books import Books, Trade
from deploy.sandbox.alipay.methods import Desk, No, yuan
from deploy.sandbox.centre import wire
from deploy.sandbox.paying import Notice, PayDoor, china

_FORM = "%Y-%m-%d %H:%M:%S"
# 4m, 10m, 10m, 1h, 2h, 6h, 15h after one another: the merchant said something else than `success`.
RETRIES_S = (240, 600, 600, 3600, 7200, 21600, 54000)


class AlipaySandbox(PayDoor):
    """`AlipaySandbox(app_id, app_key)`: `app_key` is the application's public key, `public_pem` Alipay's.

    `await sandbox.start()`, then `sandbox.gateway` is the address. `sandbox.pays(number)` is the payer. `lies` names
    what a query is not to see, by out_trade_no: that nobody has paid, or there is no such trade.
    """

    retries_s = RETRIES_S

    def __init__(
        self,
        app_id: str,
        app_key: RSAPublicKey,
        *,
        seller: str = "2088000000000001",
        port: int = 0,
        seed: int = 0,
        now: Callable[[], datetime] = china,
        tells: bool = False,
        key: RSAPrivateKey | None = None,
    ) -> None:
        super().__init__("alipay", port, seed, now, tells)
        self.app_id, self.seller = app_id, seller
        self.books = Books()
        self.desk = Desk(self.books, self._notice, lambda: self.url)
        self.retry_cancels = 0  # so many cancels are answered with retry_flag Y, and do nothing
        self.mistaken = ""  # an order that all answers are said to be of
        self.lies: dict[str, str] = {}  # out_trade_no to a trade_status, or '' for no such trade
        self._app_key = app_key
        self._key = key or generate_private_key(65537, 2048)

    @property
    def gateway(self) -> str:
        return f"{self.url}/gateway.do"

    @property
    def public_pem(self) -> str:
        form = PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(Encoding.PEM, form).decode()

    def pays(self, out_trade_no: str) -> None:
        """Raises No where it cannot be paid any more."""
        self.desk.pays(out_trade_no, self.now())

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        if asked.path.startswith("/bill/"):
            return await self._bill(writer, asked.path.rpartition("/")[2])
        charset = dict(parse_qsl(asked.query)).get("charset", "utf-8")
        codec = "gb18030" if charset.lower() in ("gbk", "gb2312") else "utf-8"
        fields = dict(parse_qsl(asked.query, encoding=codec)) | dict(
            parse_qsl(asked.body.decode("ascii", "replace"), encoding=codec)
        )
        act = self.next(fields.get("method", ""))
        forged = act.kind == "forged"
        await self.answered(reader, writer, act, lambda code: self._answer(fields, codec, code, forged))

    def _answer(self, fields: Mapping[str, str], codec: str, code: str, forged: bool) -> bytes:
        method = fields.get("method", "")
        try:
            if code:
                raise No("ACQ.SYSTEM_ERROR", "系统繁忙", "40004" if code == "refused" else code)
            if fields.get("app_id") != self.app_id:
                raise No("isv.invalid-app-id", "无效的AppID参数", "40002")
            if not self._holds(fields, codec):
                raise No("isv.invalid-signature", "无效签名", "40002")
            said = self._done(method, json.loads(fields.get("biz_content") or "{}") | _beside(fields))
        except No as no:
            said = {"code": no.code, "msg": "Business Failed", "sub_code": no.sub_code, "sub_msg": no.text}
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        sign = self._sign((text + " " * forged).encode(codec))
        return f'{{"{method.replace(".", "_")}_response":{text},"sign":"{sign}"}}'.encode(codec)

    def _done(self, method: str, biz: Mapping[str, Any]) -> dict[str, Any]:
        number = str(biz.get("out_trade_no") or "")
        if method == "alipay.trade.cancel" and self.retry_cancels > 0:
            self.retry_cancels -= 1
            return {"code": "10000", "msg": "Success", "out_trade_no": number, "retry_flag": "Y"}
        if self.mistaken:
            return self.desk.do(method, biz, self.now()) | {"out_trade_no": self.mistaken}
        if method == "alipay.trade.query" and number in self.lies:
            if not self.lies[number]:
                raise No("ACQ.TRADE_NOT_EXIST", "交易不存在")
            return self.desk.do(method, biz, self.now()) | {
                "trade_status": self.lies[number],
                "send_pay_date": "",
            }
        return self.desk.do(method, biz, self.now())

    async def _bill(self, writer: asyncio.StreamWriter, token: str) -> None:
        """Its address dies after 30 seconds."""
        until, day = self.books.bills.get(token, (self.now(), ""))
        if self.now() >= until:
            return await wire.say(writer, b"expired", 403, "text/plain")
        await wire.say(writer, bill(self.books, day, self.seller), 200, "application/zip")

    def _notice(self, trade: Trade, more: Mapping[str, str]) -> None:
        now = self.now()
        paid = trade.paid or now
        fields = {
            "notify_time": f"{now:{_FORM}}",
            "notify_type": "trade_status_sync",
            "notify_id": f"{now:%Y%m%d}00222{self.books.next():012d}",
            "app_id": self.app_id,
            "charset": "utf-8",
            "version": "1.0",
            "sign_type": "RSA2",
            "trade_no": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "seller_id": trade.seller or self.seller,
            "trade_status": trade.state,
            "total_amount": yuan(trade.fen),
            "receipt_amount": yuan(trade.fen),
            "subject": trade.subject,
            "gmt_create": f"{trade.made:{_FORM}}",
            "gmt_payment": f"{paid:{_FORM}}",
            **more,
        }
        body = urlencode(self.signed_notice(fields)).encode()
        self.notify(
            Notice(
                trade.out_trade_no,
                trade.notify_url,
                body,
                "application/x-www-form-urlencoded; text/html; charset=utf-8",
            )
        )

    def signed_notice(self, fields: Mapping[str, str]) -> dict[str, str]:
        data = _joined(fields, ("sign", "sign_type"))
        return {**fields, "sign": self._sign(data.encode())}

    def acknowledged(self, status: int, body: bytes) -> bool:
        return status == 200 and body.strip() == b"success"

    def _sign(self, data: bytes) -> str:
        return b64encode(self._key.sign(data, PKCS1v15(), SHA256())).decode()

    def _holds(self, fields: Mapping[str, str], codec: str) -> bool:
        data = _joined(fields, ("sign",)).encode(codec)
        try:
            self._app_key.verify(b64decode(fields.get("sign", "")), data, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


def _joined(fields: Mapping[str, str], without: tuple[str, ...]) -> str:
    pairs = sorted((name, value) for name, value in fields.items() if value and name not in without)
    return "&".join("=".join(pair) for pair in pairs)


def _beside(fields: Mapping[str, str]) -> dict[str, str]:
    """`notify_url` stands beside biz_content."""
    return {"notify_url": fields["notify_url"]} if fields.get("notify_url") else {}
