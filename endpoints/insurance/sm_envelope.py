"""The SM2/SM4 envelope of 移动支付中心 (mobile payment), 电子凭证 (e-voucher) and 电子处方中心 (e-prescription).

`data` goes encrypted, the whole is signed over its plain form; the answer comes the same way, signed by the platform.
Whoever has the appId and the secret reads it, and ECB shows equal blocks: TLS is needed all the same.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config import sm2
from config.errors import BadMessage
from config.secrets import UNNEEDED, Secret
from config.sm4 import BLOCK, Sm4Ecb
from endpoints.insurance.sm_text import json_text, read_json, shortened, sign_text
from schemas.json import Json
from schemas.message import NOTHING

CHINA_S = 8 * 3600  # the platform's clock has no zone


class EnvelopeOptions(BaseModel):
    """Keys are per institution and per use: payment, voucher and prescription have their own each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Literal["payment", "portal"] = Field(
        "payment",
        description="`payment`: appId, version 2.0.1, encData; `portal`: appCode, 1.0.0, encrypted in `data`, \\uXXXX",
    )
    app_id: str = Field(min_length=BLOCK, max_length=64, pattern=r"^[!-~]+$", description="appId, or appCode")
    app_secret: Secret = Field(min_length=1, description="appSecret, as `secret://name`")
    private_key: Secret = Field(description="ours, as `secret://name`: Base64, hexadecimal or PEM")
    platform_key: str = Field(description="the platform's public key: Base64, hexadecimal or PEM")
    version: str = Field("", description="where the platform wants another than the variant's")
    encrypted_in: Literal["", "encData", "data"] = Field("", description="the same")
    escaped: bool | None = Field(
        None, description="the same: whether Chinese is written \\uXXXX before encryption"
    )
    timestamp: Literal["compact", "seconds", "milliseconds"] = Field(
        "compact", description="yyyyMMddHHmmss in China's time, or Unix time"
    )

    @field_validator("private_key")
    @classmethod
    def _private(cls, said: Secret) -> Secret:
        if said != UNNEEDED:  # a process that does not run it is given no key
            sm2.private_of(said)
        return said

    @field_validator("platform_key")
    @classmethod
    def _public(cls, said: str) -> str:
        if said != UNNEEDED:
            sm2.point_of(said)
        return said

    @model_validator(mode="after")
    def _computable(self) -> EnvelopeOptions:
        try:
            sm2.backend()
        except OSError as error:
            raise ValueError(str(error)) from None
        return self


class BadEnvelope(ValueError):
    """JL-N301 no envelope, JL-N302 not signed by the platform, JL-N303 encrypted under another key."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Sealed(NamedTuple):
    """What goes over the wire, and the same with `data` in plain form: what the signature is held against."""

    wire: bytes
    plain: bytes


class Opened(NamedTuple):
    """What came in an envelope. `data` is a tree with Decimal, None where there is none."""

    data: Any
    head: Mapping[str, str]  # what stood beside it, as text: code, message, success, type, transType ...
    signed: bool
    plain: bytes  # the whole with `data` in plain form, digit for digit


class Envelope:
    """Both ways of one application: pure, for any thread. Our signatures take 0.35 ms."""

    def __init__(self, options: EnvelopeOptions) -> None:
        payment = options.variant == "payment"
        self._options = options
        self._app = "appId" if payment else "appCode"
        self._version = options.version or ("2.0.1" if payment else "1.0.0")
        self._field = options.encrypted_in or ("encData" if payment else "data")
        self._escaped = not payment if options.escaped is None else options.escaped
        self._keys = sm2.key_pair(sm2.private_of(options.private_key))
        self._platform = sm2.point_of(options.platform_key)
        self._cipher = Sm4Ecb(derived_key(options.app_id, options.app_secret))

    def request(self, data: Any, now_s: float, more: Mapping[str, str] = NOTHING) -> Sealed:
        """`more` are further fields of the envelope: transType, orgId. Raises ValueError where `data` is no JSON."""
        head = {
            self._app: self._options.app_id,
            "version": self._version,
            "encType": "SM4",
            "signType": "SM2",
            "timestamp": self._time(now_s),
            **more,
        }
        return self._sealed(head, data)

    def answer(self, data: Any, now_s: float, *, code: int = 0, message: str = "") -> Sealed:
        """What the platform reads after its notice."""
        head = {
            self._app: self._options.app_id,
            "code": code,
            "message": message,
            "success": code == 0,
            "version": self._version,
            "encType": "SM4",
            "signType": "SM2",
            "timestamp": self._time(now_s),
        }
        return self._sealed(head, data)

    def opened(self, body: bytes) -> Opened:
        """An answer or a notice of the platform's; `signed` is false where it has no signature. Raises BadEnvelope."""
        try:
            return self._opened(body)
        except UnicodeEncodeError:  # half of a character, which JSON can name and no text can hold
            raise BadEnvelope("JL-N301", "a character that is none") from None

    def _opened(self, body: bytes) -> Opened:
        try:
            tree = read_json(body.decode())
        except ValueError as error:
            raise BadEnvelope("JL-N301", str(error)) from None
        if not isinstance(tree, dict):
            raise BadEnvelope("JL-N301", "no JSON object")
        plain = self._decrypted(tree)
        said = {**tree, "data": None if plain is None else _json(plain)}
        signed = bool(tree.get("signData"))
        if signed and not self._verified(said, tree["signData"]):
            raise BadEnvelope("JL-N302", "the signature is not the platform's 验签失败")
        head = {name: _text(value) for name, value in tree.items() if not isinstance(value, dict | list)}
        for name in ("signData", "encData", "data"):
            head.pop(name, None)
        kept = {name: value for name, value in said.items() if name != "encData"}
        return Opened(None if plain is None else _tree(plain), head, signed, json_text(kept).encode())

    def _sealed(self, head: Mapping[str, Any], data: Any) -> Sealed:
        told = sign_text({**head, "data": data}, self._options.app_secret)
        signature = base64.b64encode(self._keys.sign(told.encode())).decode()
        made = json_text({**head, "signData": signature})
        if data is None:
            return Sealed(made.encode(), made.encode())
        text = json_text(data, escaped=self._escaped)
        sealed = self._cipher.encrypt(text.encode()).hex().upper()
        wire, plain = f'"{self._field}":"{sealed}"', f'"data":{text}'
        return Sealed(*(f"{made[:-1]},{last}}}".encode() for last in (wire, plain)))

    def _decrypted(self, tree: Mapping[str, Any]) -> str | None:
        """The JSON of `data`. In clear where it is an object: errors sometimes are."""
        sealed = tree.get("encData") or tree.get("data")
        if sealed is None or sealed == "":
            return None
        if not isinstance(sealed, str):
            return json_text(sealed)
        try:
            return self._cipher.decrypt(bytes.fromhex(sealed)).decode()
        except ValueError:
            raise BadEnvelope("JL-N303", "data is not encrypted under our key 解密失败") from None

    def _verified(self, said: Mapping[str, Any], signature: Any) -> bool:
        try:
            made = base64.b64decode(str(signature), validate=True)
        except ValueError:
            return False
        for form in (said, shortened(said)):  # as they stand, and as who signed may have written them
            if sm2.verify(self._platform, sign_text(form, self._options.app_secret).encode(), made):
                return True
        return False

    def _time(self, now_s: float) -> str:
        way = self._options.timestamp
        if way == "compact":
            return time.strftime("%Y%m%d%H%M%S", time.gmtime(now_s + CHINA_S))
        return str(int(now_s * (1000 if way == "milliseconds" else 1)))


def derived_key(app_id: str, app_secret: str) -> bytes:
    """16 ASCII bytes: the beginning of the hexadecimal digits of the secret, encrypted under the id's beginning."""
    first = Sm4Ecb(app_id[:BLOCK].encode()).encrypt(app_secret.encode())
    return first.hex().upper()[:BLOCK].encode()


_JSON = Json()


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise BadEnvelope("JL-N301", f"data: {error}") from None


def _tree(text: str) -> Any:
    """With Decimal; a key that stands twice is refused, since readers differ on which one holds."""
    try:
        return _JSON.decode(text.encode())
    except BadMessage as error:
        raise BadEnvelope("JL-N301", f"data: {error.text}") from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
