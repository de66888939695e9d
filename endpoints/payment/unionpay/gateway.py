"""One exchange with UnionPay: what leaves, and what an answer is once its signature holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlencode

import msgspec
from cryptography.x509 import load_pem_x509_certificate

from config.errors import Refused, Unreachable
from endpoints.payment.keys import private_key
from endpoints.payment.unionpay.form import keyed, parsed, sign
from endpoints.payment.unionpay.options import UnionPayOptions
from endpoints.payment.unionpay.proof import Proof
from endpoints.rest.sending import Answer

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}


class Ask(Protocol):
    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Awaitable[Answer]: ...


class Said(msgspec.Struct, frozen=True):
    """An answer of UnionPay's. `code` is its respCode; '' where there is none that can be trusted."""

    code: str = ""
    text: str = ""
    fields: Mapping[str, str] = {}

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


class Gateway:
    """Raises ValueError where a key or a certificate of `options` cannot be read."""

    def __init__(self, options: UnionPayOptions, ask: Ask, now_ms: Callable[[], int]) -> None:
        self.options = options
        self._ask = ask
        self._proof = Proof(options, now_ms)
        if options.sign_method == "01":
            self._key = private_key(options.private_key, known=True)
            self._cert_id = str(load_pem_x509_certificate(options.certificate.encode()).serial_number)

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        """With what every request has, and `signature`. Empty fields are left out."""
        options = self.options
        known = {name: value for name, value in fields.items() if value}
        known |= {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": options.sign_method,
            "accessType": "0",
            "merId": options.mer_id,
        }
        if options.sign_method == "01":
            known["certId"] = self._cert_id
            return known | {"signature": sign(self._key, known)}
        return known | {"signature": keyed(options.sign_method, options.secure_key, known)}

    async def trade(self, fields: Mapping[str, str]) -> Said:
        """后台交易. Raises Unreachable where nothing left."""
        return await self._call(f"{self.options.url.rstrip('/')}/backTransReq.do", fields)

    async def query(self, fields: Mapping[str, str]) -> Said:
        return await self._call(f"{self.options.url.rstrip('/')}/queryTrans.do", fields)

    async def file(self, fields: Mapping[str, str]) -> Said:
        return await self._call(self.options.file_url, fields)

    async def _call(self, url: str, fields: Mapping[str, str]) -> Said:
        """An answer must name what was asked: merId, orderId and txnTime are those of the request."""
        sent = self.signed(fields)
        try:
            answer = await self._ask("POST", url, _HEADERS, urlencode(sent).encode())
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return Said(text=str(error))
        except Refused as error:
            return Said(text=str(error))
        if answer.status != 200:
            return Said(text=f"status {answer.status}")
        try:
            heard = parsed(answer.body.decode("utf-8").strip())
        except ValueError:
            return Said(text="an answer that cannot be read 应答无法识别")
        if not self._proof.holds(heard):
            text = f"an answer whose signature does not hold 应答验签失败 {heard.get('respMsg', '')}"
            return Said(text=text[:200].strip())
        if any(heard.get(name) != sent.get(name) for name in ("orderId", "txnTime") if name in sent):
            return Said(text="an answer to another order 应答订单不符")
        return Said(heard.get("respCode", ""), heard.get("respMsg", "")[:200], heard)
