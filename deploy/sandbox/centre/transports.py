"""What the way of a message brings with it, and whether that is right. Each raises `Unlawful` with the reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

_WINDOW_S = 300
_HEADERS = ("_api_access_key", "_api_name", "_api_timestamp", "_api_version")


class Unlawful(Exception):
    """The gateway before the centre does not let it in."""


class Transport(Protocol):
    def check(self, headers: Mapping[str, str], now_s: float) -> None:
        """`headers` have names in lower case. Raises Unlawful."""


@dataclass(frozen=True, slots=True)
class Open:
    """A front-end server in the private network: nothing is asked for."""

    def check(self, headers: Mapping[str, str], now_s: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class ApiKey:
    key: str
    header: str = "apikey"

    def check(self, headers: Mapping[str, str], now_s: float) -> None:
        if not hmac.compare_digest(headers.get(self.header.lower(), ""), self.key):
            raise Unlawful("apikey无效")


@dataclass(frozen=True, slots=True)
class XTif:
    """hex(SHA256(timestamp + key + nonce + timestamp)); a nonce is good once within the window."""

    account: str
    secret: str
    upper: bool = False
    seen: dict[str, float] = field(default_factory=dict)

    def check(self, headers: Mapping[str, str], now_s: float) -> None:
        stamp, nonce = headers.get("x-tif-timestamp", ""), headers.get("x-tif-nonce", "")
        if headers.get("x-tif-paasid") != self.account:
            raise Unlawful("x-tif-paasid无效")
        if not stamp.isdigit() or abs(now_s - int(stamp)) > _WINDOW_S:
            raise Unlawful("x-tif-timestamp超出允许的时间范围")
        if not 6 <= len(nonce) <= 36:
            raise Unlawful("x-tif-nonce长度不符")
        right = hashlib.sha256(f"{stamp}{self.secret}{nonce}{stamp}".encode()).hexdigest()
        right = right.upper() if self.upper else right
        if not hmac.compare_digest(headers.get("x-tif-signature", ""), right):
            raise Unlawful("x-tif-signature签名错误")
        for old in [old for old, at in self.seen.items() if now_s - at > 2 * _WINDOW_S]:
            del self.seen[old]
        if nonce in self.seen:
            raise Unlawful("x-tif-nonce重复使用")
        self.seen[nonce] = now_s


@dataclass(frozen=True, slots=True)
class Csb:
    """base64(HMAC-SHA1(secret, the other headers sorted and joined)): one service name for all transactions."""

    access_key: str
    secret: str
    name: str
    version: str = "1.0.0"

    def check(self, headers: Mapping[str, str], now_s: float) -> None:
        brought = {name: headers.get(name, "") for name in _HEADERS}
        if brought["_api_access_key"] != self.access_key or brought["_api_name"] != self.name:
            raise Unlawful("_api_access_key或_api_name无效")
        if brought["_api_version"] != self.version:
            raise Unlawful("_api_version无效")
        stamp = brought["_api_timestamp"]
        if not stamp.isdigit() or abs(now_s * 1000 - int(stamp)) > _WINDOW_S * 1000:
            raise Unlawful("_api_timestamp超出允许的时间范围")
        text = "&".join(f"{name}={value}" for name, value in sorted(brought.items()))
        right = base64.b64encode(hmac.digest(self.secret.encode(), text.encode(), "sha1")).decode()
        if not hmac.compare_digest(headers.get("_api_signature", ""), right):
            raise Unlawful("_api_signature签名错误")
