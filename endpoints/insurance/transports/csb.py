"""`csb`: Alibaba's service bus. Signed are its own headers and the form's parameters; a JSON body is neither.

Source: two public code bases of one vendor (Jiangsu), whose service has one name for all transactions.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import ClassVar, Literal

from pydantic import Field

from config.secrets import Secret
from endpoints.insurance.transports.base import Address, Call, TransportOptions, address, transport


class CsbOptions(TransportOptions):
    """`{kind: csb, service: hssServives, access_key: AK, secret: secret://csb-key}`."""

    kind: Literal["csb"] = "csb"
    address: Address = "base"
    service: str = Field(min_length=1, description="_api_name")
    version: str = Field("1.0.0", description="_api_version")
    access_key: str = Field(min_length=1, description="_api_access_key")
    secret: Secret = Field(min_length=1, description="the access key's secret, as `secret://name`")


@transport("csb")
class Csb:
    Options: ClassVar[type[TransportOptions]] = CsbOptions

    def __init__(self, options: CsbOptions, url: str) -> None:
        self._options, self._url = options, url

    def request(self, infno: str, path: str, body: bytes, now_s: float, nonce: str) -> Call:
        options = self._options
        headers = {
            "_api_name": options.service,
            "_api_version": options.version,
            "_api_access_key": options.access_key,
            "_api_timestamp": str(int(now_s * 1000)),
        }
        told = "&".join(f"{name}={value}" for name, value in sorted(headers.items()))
        made = hmac.digest(options.secret.encode(), told.encode(), hashlib.sha1)
        headers["_api_signature"] = b64encode(made).decode()
        return Call(address(self._url, options.address, infno, path), headers)
