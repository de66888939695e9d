"""`x-tif`: the gateway of most provinces. Four headers; the signature covers the time and the nonce, not the body.

Source: 医疗保障信息平台定点医药机构接口, as four public code bases of Guangdong and Hunan send it.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

from pydantic import Field

from config.secrets import Secret
from endpoints.insurance.transports.base import Account, Call, TransportOptions, address, transport


class Other(Account):
    """Self-pay uploads (42xx) often have a gateway of their own."""

    account: str = Field("", description="in place of the transport's")
    secret: Secret = Secret("")


class XTifOptions(TransportOptions):
    """`{kind: x-tif, account: YY01, secret: secret://insurance-key}`."""

    kind: Literal["x-tif"] = "x-tif"
    account: str = Field(min_length=1, description="x-tif-paasid")
    secret: Secret = Field(min_length=1, description="the account's key, as `secret://name`")
    upper_case: bool = Field(False, description="the signature in capital hexadecimal digits")
    others: tuple[Other, ...] = Field((), description="transactions with another address or account")


@transport("x-tif")
class XTif:
    Options: ClassVar[type[TransportOptions]] = XTifOptions

    def __init__(self, options: XTifOptions, url: str) -> None:
        self._options, self._url = options, url

    def request(self, infno: str, path: str, body: bytes, now_s: float, nonce: str) -> Call:
        options = self._options
        url, account, secret = self._url, options.account, options.secret
        for other in options.others:
            if other.has(infno):
                url, account, secret = other.url or url, other.account or account, other.secret or secret
                break
        time = str(int(now_s))
        signature = hashlib.sha256(f"{time}{secret}{nonce}{time}".encode()).hexdigest()
        headers = {
            "x-tif-paasid": account,
            "x-tif-timestamp": time,
            "x-tif-nonce": nonce,
            "x-tif-signature": signature.upper() if options.upper_case else signature,
        }
        return Call(address(url, options.address, infno, path), headers)
