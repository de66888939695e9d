"""WeChat Pay's API v3 on loopback: requests are held against the merchant's key, answers and notices are signed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.misbehaviour import UNDONE
from deploy.sandbox.paying import Notice, PayDoor, china
from deploy.sandbox.wechat.bill import bill
from deploy.sandbox.wechat.books import Books, Bought, Repaid
from deploy.sandbox.wechat.desk import Desk, Done, No
from deploy.sandbox.wechat.keys import ALGORITHM, AUTH, Crypto, SigningKey, holds, sealed

RETRIES_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
_CLOCK_S = 300
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_PAGES = (
    ("POST", r"/v3/pay/transactions/(native|jsapi|app|h5)", ""),
    ("POST", r"/v3/pay/transactions/codepay", "codepay"),
    ("POST", r"/v3/pay/transactions/out-trade-no/(\w+)/close", "close"),
    ("POST", r"/v3/pay/transactions/out-trade-no/(\w+)/reverse", "reverse"),
    ("GET", r"/v3/pay/transactions/out-trade-no/(\w+)", "query"),
    ("POST", r"/v3/refund/domestic/refunds", "refund"),
    ("POST", r"/v3/refund/domestic/refunds/(\w+)/apply-abnormal-refund", "abnormal"),
    ("GET", r"/v3/refund/domestic/refunds/(\w+)", "refund_query"),
    ("GET", r"/v3/bill/tradebill", "bill"),
    ("GET", r"/v3/billdownload/file", "download"),
)


class WechatSandbox(PayDoor):
    """`sandbox.pays(number)` is the payer. `keys` are what merchants are given to verify by; `rotate()` makes a new
    one, and signs with that from then on. What is asked is called native, jsapi, app, h5, codepay, query, close,
    reverse, refund, refund_query, abnormal, bill, download: by these names it is told to misbehave."""

    retries_s = RETRIES_S

    def __init__(
        self,
        merchant: str,
        app: str,
        merchant_key: str,
        api_key: str,
        *,
        crypto: Crypto = "rsa",
        port: int = 0,
        seed: int = 0,
        now: Callable[[], datetime] = china,
        tells: bool = False,
        key: RSAPrivateKey | None = None,
    ) -> None:
        """`merchant_key` is the public one, PEM or (SM2) hexadecimal; `api_key` the APIv3 key."""
        super().__init__("wechat", port, seed, now, tells)
        self.books = Books()
        self.desk = Desk(merchant, app, self.books, self._tell_of)
        self.crypto: Crypto = crypto
        self._merchant_key, self._api_key = merchant_key, api_key
        self._signs: dict[str, SigningKey] = {"PUB_KEY_ID_0100000001": SigningKey(crypto, key)}
        self.serial = "PUB_KEY_ID_0100000001"
        self._nonces: set[str] = set()

    @property
    def keys(self) -> dict[str, str]:
        return {name: key.public for name, key in self._signs.items()}

    def rotate(self) -> None:
        self.serial = f"PUB_KEY_ID_{100000001 + len(self._signs):010d}"
        self._signs[self.serial] = SigningKey(self.crypto)

    def pays(self, number: str, fen: int | None = None) -> bool:
        return self.desk.pays(number, self.now(), fen)

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        name, found = _page(asked)
        act = self.next(name)
        if act.kind in UNDONE:
            if not await self.silent(reader, writer, act):
                no = No(act.code or "SYSTEM_ERROR", "系统错误")
                await self._say(reader, writer, act, no.status, _no(no))
            return
        if act.kind == "delayed":
            await asyncio.sleep(act.seconds)
        try:
            self._signed_by_merchant(asked)
            if name == "download":
                day = self.books.bills[dict(parse_qsl(asked.query))["token"]]
                return await wire.say_as(reader, writer, act, gzip.compress(self._bill(day) or b""))
            status, tree = self._done(name, found, asked)
        except No as no:
            status, tree = no.status, _no(no)
        await self._say(reader, writer, act, status, tree)

    async def _say(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Any, status: int, tree: Any
    ) -> None:
        body = b"" if tree is None else json.dumps(tree, ensure_ascii=False).encode()
        headers = self.signature(body + b" " * (act.kind == "forged"))
        await wire.say_as(reader, writer, act, body, status, headers)

    def _done(self, name: str, found: str, asked: wire.Asked) -> Done:
        tree = json.loads(asked.body) if asked.body else {}
        desk, now = self.desk, self.now()
        match name:
            case "codepay":
                return desk.codepay(tree, now)
            case "close":
                return desk.close(found, now)
            case "reverse":
                return desk.reverse(found, now)
            case "query":
                return desk.query(found)
            case "refund":
                return desk.refund(tree, now)
            case "refund_query":
                return desk.query_refund(found)
            case "abnormal":
                return desk.abnormal(found, tree, now)
            case "bill":
                return self._bill_asked(dict(parse_qsl(asked.query))["bill_date"])
            case "":
                raise No("RESOURCE_NOT_EXISTS", "no such page")
            case _:
                return desk.create(name, tree, now)

    def _bill_asked(self, day: str) -> Done:
        """It is there from 10:00 of the next day."""
        text = self._bill(day)
        if text is None or f"{self.now():%Y-%m-%d}" <= day:
            raise No("NO_STATEMENT_EXIST", "账单文件不存在")
        token = secrets.token_hex(8)
        self.books.bills[token] = day
        return 200, {
            "hash_type": "SHA1",
            "hash_value": hashlib.sha1(text).hexdigest(),
            "download_url": f"{self.url}/v3/billdownload/file?token={token}",
        }

    def _bill(self, day: str) -> bytes | None:
        return bill(self.books, day, self.desk.merchant, self.desk.app)

    def _signed_by_merchant(self, asked: wire.Asked) -> None:
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        said = dict(_FIELD.findall(rest))
        path = asked.path + (f"?{asked.query}" if asked.query else "")
        text = f"{asked.method}\n{path}\n{said.get('timestamp')}\n{said.get('nonce_str')}\n".encode()
        if (
            scheme != AUTH[self.crypto]
            or said.get("mchid") != self.desk.merchant
            or abs(int(said.get("timestamp", "0")) - self.now().timestamp()) > _CLOCK_S
            or said["nonce_str"] in self._nonces
            or not holds(
                self.crypto, self._merchant_key, text + asked.body + b"\n", said.get("signature", "")
            )
        ):
            raise No("SIGN_ERROR", "签名错误")
        self._nonces.add(said["nonce_str"])

    def signature(self, body: bytes) -> dict[str, str]:
        """The headers that prove an answer or a notice."""
        at, nonce = str(int(self.now().timestamp())), secrets.token_hex(16)
        text = f"{at}\n{nonce}\n".encode() + body + b"\n"
        return {
            "Wechatpay-Timestamp": at,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self.serial,
            "Wechatpay-Signature-Type": AUTH[self.crypto],
            "Wechatpay-Signature": self._signs[self.serial].sign(text),
        }

    def headers_of(self, notice: Notice) -> Mapping[str, str]:
        """Signed anew each time that it is sent."""
        return self.signature(notice.body)

    def _tell_of(self, one: Bought, refund: Repaid | None) -> None:
        if refund is None:
            tree = self.desk.shown(one, plain=True) | {"trade_state": "SUCCESS"}
            self.notify(self.notice("TRANSACTION.SUCCESS", "transaction", tree, one.number, one.notify_url))
            return
        tree = self.desk.shown_refund(one, refund) | {"mchid": self.desk.merchant}
        tree["refund_status"] = tree.pop("status")
        event = f"REFUND.{refund.state}"
        self.notify(self.notice(event, "refund", tree, refund.number, refund.notify_url))

    def notice(self, event: str, original: str, tree: Mapping[str, Any], about: str, url: str) -> Notice:
        nonce = secrets.token_hex(6)
        plain = json.dumps(tree, ensure_ascii=False).encode()
        whole = {
            "id": f"EV-{self.now():%Y%m%d%H%M%S}{self.books.next():08d}",
            "create_time": f"{self.now():%Y-%m-%dT%H:%M:%S}+08:00",
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": event,
            "resource": {
                "original_type": original,
                "algorithm": ALGORITHM[self.crypto],
                "ciphertext": sealed(self.crypto, self._api_key, plain, nonce.encode(), original.encode()),
                "associated_data": original,
                "nonce": nonce,
            },
        }
        return Notice(about, url, json.dumps(whole, ensure_ascii=False).encode(), "application/json")


def _page(asked: wire.Asked) -> tuple[str, str]:
    """Its name, and the number in its address. A service provider's pages are the same."""
    path = asked.path.replace("/pay/partner/", "/pay/")
    for method, pattern, name in _PAGES:
        match = re.fullmatch(pattern, path)
        if match is not None and method == asked.method:
            found = match[1] if match.groups() else ""
            return name or found, found
    return "", ""


def _no(no: No) -> dict[str, str]:
    return {"code": no.code, "message": no.text}
