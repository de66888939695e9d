"""One call of Alipay's gateway: what leaves, and what an answer is once its signature holds."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec
from cryptography.x509 import load_pem_x509_certificate

from config.errors import Refused, Unreachable
from endpoints.payment.alipay.options import AlipayOptions
from endpoints.payment.alipay.signing import root_serial, serial, sign
from endpoints.payment.keys import holds, private_key, public_key
from endpoints.payment.times import at
from endpoints.rest.sending import Answer
from schemas.json import Json

_JSON = Json()


class Ask(Protocol):
    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Awaitable[Answer]: ...


class Said(msgspec.Struct, frozen=True):
    """An answer of Alipay's. `code` '' where there is none that can be trusted: nobody knows what was done."""

    code: str = ""
    sub_code: str = ""
    text: str = ""
    fields: Mapping[str, Any] = {}

    def get(self, name: str) -> str:
        return str(self.fields.get(name) or "")


class Gateway:
    """Raises ValueError where a key or a certificate of `options` cannot be read."""

    def __init__(self, options: AlipayOptions, ask: Ask, now_ms: Callable[[], int]) -> None:
        self.options = options
        self._ask = ask
        self._now_ms = now_ms
        self._key = private_key(options.private_key, known=True)
        self.public = public_key(options.public_key)
        self.codec = "gb18030" if options.charset == "GBK" else "utf-8"
        self._certificates: dict[str, str] = {}
        self._serial = ""
        if options.app_certificate:
            self._serial = serial(load_pem_x509_certificate(options.public_key.encode()))
            self._certificates = {
                "app_cert_sn": serial(load_pem_x509_certificate(options.app_certificate.encode())),
                "alipay_root_cert_sn": root_serial(options.root_certificates),
            }

    def asked(self, method: str, biz: Mapping[str, Any]) -> dict[str, str]:
        """The signed parameters of a call."""
        options = self.options
        fields = {
            "app_id": options.app_id,
            "method": method,
            "format": "JSON",
            "charset": options.charset.lower(),
            "sign_type": "RSA2",
            "timestamp": f"{at(self._now_ms()):%Y-%m-%d %H:%M:%S}",
            "version": "1.0",
            "biz_content": json.dumps(biz),  # in ASCII: no charset can change it
            **self._certificates,
        }
        if options.app_auth_token:
            fields["app_auth_token"] = str(options.app_auth_token)
        if options.notify_url and method in ("alipay.trade.precreate", "alipay.trade.pay"):
            fields["notify_url"] = options.notify_url
        return fields | {"sign": sign(self._key, fields, self.codec)}

    async def call(self, method: str, biz: Mapping[str, Any]) -> Said:
        """Raises Unreachable where nothing left. What nobody can read is a `Said` without a code."""
        body = urlencode(self.asked(method, biz), encoding=self.codec).encode()
        charset = self.options.charset.lower()
        headers = {"Content-Type": f"application/x-www-form-urlencoded;charset={charset}"}
        try:
            answer = await self._ask("POST", f"{self.options.url}?charset={charset}", headers, body)
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return Said(text=str(error))
        except Refused as error:
            return Said(text=str(error))
        if answer.status != 200:
            return Said(text=f"status {answer.status}")
        said = self.read(method, answer.body)
        for name in ("out_trade_no", "out_request_no"):
            if name in biz and said.get(name) not in ("", biz[name]):
                return Said(text="an answer to another order 应答订单不符")
        return said

    async def fetch(self, url: str) -> bytes | None:
        """What lies at an address that an answer gave; None where it was not to be had."""
        try:
            answer = await self._ask("GET", url, {}, b"")
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return None
        return answer.body if answer.status == 200 else None

    def read(self, method: str, body: bytes) -> Said:
        """The signature is over the very characters of the answer's object, so these are cut out, not written anew."""
        try:
            whole = msgspec.json.decode(body.decode(self.codec).encode(), type=dict[str, msgspec.Raw])
            name = f"{method.replace('.', '_')}_response"
            raw = bytes(whole[name if name in whole else "error_response"])
            signature = msgspec.json.decode(whole.get("sign", msgspec.Raw(b'""')), type=str)
            theirs = msgspec.json.decode(whole.get("alipay_cert_sn", msgspec.Raw(b'""')), type=str)
            fields = _JSON.decode(raw, "utf-8")
        except (ValueError, KeyError, msgspec.MsgspecError):
            return Said(text="an answer that cannot be read 应答无法识别")
        if self._serial and theirs and theirs != self._serial:
            return Said(text="an answer under another certificate of Alipay's 支付宝公钥证书已更换")
        if not isinstance(fields, dict) or not holds(self.public, raw.decode().encode(self.codec), signature):
            said = str(fields.get("sub_msg") or fields.get("msg") or "") if isinstance(fields, dict) else ""
            return Said(text=f"an answer whose signature does not hold 应答验签失败 {said}"[:200].strip())
        text = str(fields.get("sub_msg") or fields.get("msg") or "")[:200]
        return Said(str(fields.get("code") or ""), str(fields.get("sub_code") or ""), text, fields)
