"""`plain` and `apikey`: a front-end server inside the private network, which signs for the institution.

The province's own server takes the account's key as a header, or asks for nothing.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from config.secrets import Secret
from endpoints.insurance.transports.base import Call, TransportOptions, address, transport


class PlainOptions(TransportOptions):
    """`{kind: plain}`."""

    kind: Literal["plain"] = "plain"


class ApiKeyOptions(TransportOptions):
    """`{kind: apikey, api_key: secret://insurance-key}`."""

    kind: Literal["apikey"] = "apikey"
    header: str = Field("apikey", pattern=r"^[A-Za-z0-9_-]+$", description="the header that holds it")
    api_key: Secret = Field(min_length=1, description="as `secret://name`")


@transport("plain")
class Plain:
    Options: ClassVar[type[TransportOptions]] = PlainOptions

    def __init__(self, options: PlainOptions, url: str) -> None:
        self._options, self._url = options, url

    def request(self, infno: str, path: str, body: bytes, now_s: float, nonce: str) -> Call:
        return Call(address(self._url, self._options.address, infno, path), {})


@transport("apikey")
class ApiKey:
    Options: ClassVar[type[TransportOptions]] = ApiKeyOptions

    def __init__(self, options: ApiKeyOptions, url: str) -> None:
        self._options, self._url = options, url

    def request(self, infno: str, path: str, body: bytes, now_s: float, nonce: str) -> Call:
        where = address(self._url, self._options.address, infno, path)
        return Call(where, {self._options.header: str(self._options.api_key)})
