"""The YAML of a merchant of WeChat Pay (微信支付商户)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from config.secrets import UNNEEDED, Secret
from config.tls import ClientTls
from config.units import Seconds, Size
from endpoints.base import Options
from endpoints.payment.notices import NoticeOptions
from endpoints.payment.options import PaymentOptions
from endpoints.payment.wechat.signing import key_of
from endpoints.rest.sending import SendOptions

Crypto = Literal["rsa", "sm"]


class WechatAccount(Options):
    """What both ends know of it: who the merchant is, and what proves that something is WeChat's."""

    merchant: str = Field(pattern=r"^\d{8,12}$", description="商户号 mchid; of a service provider: sp_mchid")
    app: str = Field("", pattern=r"^[0-9A-Za-z]{0,32}$", description="公众账号ID appid; sp_appid")
    sub_merchant: str = Field(
        "",
        pattern=r"^\d{0,12}$",
        description="特约商户号 sub_mchid, where the merchant is a service provider",
    )
    api_key: Secret = Field(
        description="APIv3密钥, 32 characters, as `secret://name`: what notices are sealed with"
    )
    wechat_keys: Mapping[str, Secret] = Field(
        min_length=1,
        description="微信支付公钥 by its id (`PUB_KEY_ID_...`), or a platform certificate by its serial: PEM. Old and "
        "new stand here together while they are changed",
    )
    crypto: Crypto = Field(
        "rsa", description="`sm`: 国密, WECHATPAY2-SM2-WITH-SM3, where WeChat agreed to it"
    )
    clock: Seconds = Field(300.0, description="how old, or early, a signed time may be")

    @field_validator("api_key")
    @classmethod
    def _key(cls, said: Secret) -> Secret:
        if said != UNNEEDED and len(said.encode()) != 32:
            raise ValueError("the APIv3 key has 32 characters")
        return said

    @model_validator(mode="after")
    def _readable(self) -> WechatAccount:
        for name, text in self.wechat_keys.items():
            if text == UNNEEDED:
                continue
            try:
                key_of(text, self.crypto)
            except ValueError as error:
                raise ValueError(f"wechat_keys: {name}: {error}") from None
        return self


class WechatOptions(WechatAccount, PaymentOptions, SendOptions):
    """`wechat: {kind: wechat_pay, merchant: ..., app: ..., serial: ..., private_key: secret://..., ...}`."""

    url: str = Field("https://api.mch.weixin.qq.com", pattern=r"^https?://[^/\s]+$")
    reserve: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+)?$",
        description="tried where nothing left: https://api2.mch.weixin.qq.com",
    )
    serial: str = Field(pattern=r"^[0-9A-Za-z]{8,64}$", description="证书序列号 of our merchant certificate")
    private_key: Secret = Field(description="its private key (PEM), as `secret://name`")
    notify: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        max_length=255,
        description="notify_url: where notices of payments go",
    )
    notify_refunds: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        max_length=255,
        description="where those of refunds go; else where the others do",
    )
    description: str = Field(
        "医疗费用", min_length=1, max_length=60, description="商品描述, where a message has none"
    )
    expires: Seconds = Field(1800.0, description="time_expire: so long an order can be paid")
    device_ip: str = Field("127.0.0.1", max_length=45, description="商户设备IP of payments by code")
    reverse_after: Seconds = Field(15.0, description="付款码: not reversed before the order is so old")
    timeout: Seconds = Field(20.0, description="from the request to the end of its answer")
    max_answer: Size = Field(200_000_000, description="of an answer: a day's bill is one")

    @field_validator("private_key")
    @classmethod
    def _text(cls, said: Secret) -> Secret:
        if said != UNNEEDED and "PRIVATE KEY" not in said and len(said) < 40:
            raise ValueError("private_key: a PEM text, as secret://name")
        return said

    @model_validator(mode="after")
    def _fits(self) -> WechatOptions:
        if self.tls != ClientTls() and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        if self.private_key != UNNEEDED:
            key_of(self.private_key, self.crypto, private=True)
        return self


class WechatNoticeOptions(WechatAccount, NoticeOptions):
    """`from: {system: wechat, path: /notices/wechat, callers: anybody}`."""

    of_system: ClassVar[frozenset[str] | None] = frozenset(WechatAccount.model_fields) | {"name"}
