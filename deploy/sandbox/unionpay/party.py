"""UnionPay on loopback: backTransReq.do, queryTrans.do and the file door, signed both ways."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from deploy.sandbox.centre import wire
from deploy.sandbox.paying import Notice, PayDoor, china
from deploy.sandbox.signing import sm3
from deploy.sandbox.unionpay.books import Books, Trade
from deploy.sandbox.unionpay.keys import SIGNER, certificate
from deploy.sandbox.unionpay.statement import statement
from deploy.sandbox.unionpay.trades import Desk, No, told

RETRIES_S = (60, 120, 240, 300)
_NAMES = {"00": "query", "31": "void", "04": "refund", "99": "reversal", "76": "file"}


class UnionPaySandbox(PayDoor):
    """`UnionPaySandbox(mer_id, merchant_certificate)`, or with `secure_key` for signMethod 11 and 12.

    `await sandbox.start()`, then `sandbox.gateway` and `sandbox.files` are the addresses; `sandbox.trusted` is the
    authority's certificate. It is told to misbehave by `code`, `purchase`, `query`, `void`, `refund`, `reversal`,
    `file`; `sandbox.desk.mumbles` are respCodes for trades that are done all the same.
    """

    retries_s = RETRIES_S

    def __init__(
        self,
        mer_id: str,
        merchant_certificate: str = "",
        *,
        secure_key: str = "",
        port: int = 0,
        seed: int = 0,
        now: Callable[[], datetime] = china,
        tells: bool = False,
        key: RSAPrivateKey | None = None,
    ) -> None:
        super().__init__("unionpay", port, seed, now, tells)
        self.mer_id = mer_id
        self.books = Books()
        self.desk = Desk(self.books, self._notice)
        self._secure_key = secure_key
        self._merchant = (
            load_pem_x509_certificate(merchant_certificate.encode()) if merchant_certificate else None
        )
        self._key = key or generate_private_key(65537, 2048)
        public = self._key.public_key()
        self.trusted = certificate("UnionPay Example CA", public, "UnionPay Example CA", self._key, 1, True)
        self._shown = certificate(f"041@EXAMPLE@{SIGNER}@1", public, "UnionPay Example CA", self._key, 2)

    @property
    def gateway(self) -> str:
        return f"{self.url}/gateway/api"

    @property
    def files(self) -> str:
        return f"{self.url}/files"

    def pays(self, order_id: str) -> None:
        """Raises No where it cannot be paid any more."""
        self.desk.pays(order_id, self.now())

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        fields = dict(parse_qsl(asked.body.decode("ascii", "replace")))
        kind = fields.get("txnType", "")
        name = _NAMES.get(kind, "code" if fields.get("txnSubType") == "07" else "purchase")
        act = self.next(name)
        forged = act.kind == "forged"
        await self.answered(reader, writer, act, lambda code: self._answer(fields, asked.path, code, forged))

    def _answer(self, fields: Mapping[str, str], path: str, code: str, forged: bool) -> bytes:
        try:
            if code:
                raise No("06" if code == "refused" else code, "系统繁忙，请稍后再试")
            if not self._holds(fields):
                raise No("11", "验证签名失败")
            said = self._done(fields, path)
        except No as no:
            said = {"respCode": no.code, "respMsg": no.text}
        names = ("bizType", "orderId", "txnSubType", "txnTime", "txnType", "signMethod", "merId")
        same = {name: fields[name] for name in names if fields.get(name)}
        signed = self.signed({**same, **said})
        if forged:
            signed["txnTime"] = signed["txnTime"][:-1] + "x"
        return "&".join(f"{name}={value}" for name, value in signed.items()).encode()

    def _done(self, fields: Mapping[str, str], path: str) -> dict[str, str]:
        if path.endswith("/queryTrans.do"):
            return self.desk.query(fields, self.now())
        if path.endswith("/backTransReq.do"):
            return self.desk.trade(fields, self.now())
        month_day = fields.get("settleDate", "")
        of = datetime.strptime(f"{self.now():%Y}{month_day}", "%Y%m%d").date()
        if of >= self.now().date():
            raise No("98", "文件不存在")
        packed = zlib.compress(statement(self.books, self.mer_id, of))
        return {"respCode": "00", "respMsg": "成功", "fileContent": b64encode(packed).decode()}

    def _notice(self, trade: Trade) -> None:
        fields = {
            "txnType": trade.kind,
            "txnSubType": "00",
            "bizType": "000000",
            "orderId": trade.order_id,
            "txnTime": trade.txn_time,
            "merId": self.mer_id,
            "signMethod": "12" if self._secure_key else "01",
            "respCode": trade.end,
            "respMsg": "成功[0000000]",
            **told(trade),
        }
        more = {"origQryId": trade.original, "reqReserved": trade.reserved}
        fields |= {name: value for name, value in more.items() if value}
        self.notify(Notice(trade.order_id, trade.back_url, urlencode(self.signed(fields)).encode()))

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        known = {**fields, "version": "5.1.0", "encoding": "UTF-8", "accessType": "0"}
        method = known.get("signMethod", "01")
        if method != "01":
            return known | {"signature": self._keyed(method, known)}
        known["signPubKeyCert"] = self._shown
        signature = self._key.sign(_digest(known), PKCS1v15(), SHA256())
        return known | {"signature": b64encode(signature).decode()}

    def _holds(self, fields: Mapping[str, str]) -> bool:
        if fields.get("merId") != self.mer_id or fields.get("version") != "5.1.0":
            return False
        method = fields.get("signMethod", "")
        if method != "01":
            return bool(self._secure_key) and self._keyed(method, fields) == fields.get("signature")
        if self._merchant is None or fields.get("certId") != str(self._merchant.serial_number):
            return False
        key = self._merchant.public_key()
        assert isinstance(key, RSAPublicKey)
        try:
            key.verify(b64decode(fields.get("signature", "")), _digest(fields), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _keyed(self, method: str, fields: Mapping[str, str]) -> str:
        def made(text: str) -> str:
            return (sm3(text.encode()) if method == "12" else hashlib.sha256(text.encode()).digest()).hex()

        return made(f"{_joined(fields)}&{made(self._secure_key)}")


def _joined(fields: Mapping[str, str]) -> str:
    return "&".join("=".join(pair) for pair in sorted(fields.items()) if pair[1] and pair[0] != "signature")


def _digest(fields: Mapping[str, str]) -> bytes:
    return hashlib.sha256(_joined(fields).encode()).hexdigest().encode()
