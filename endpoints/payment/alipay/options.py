"""What systems.yaml says of an application at Alipay."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from config.secrets import UNNEEDED, Secret
from config.units import Seconds, Size
from endpoints.base import Options
from endpoints.payment.alipay.signing import root_serial
from endpoints.payment.keys import private_key, public_key
from endpoints.payment.notices import NoticeOptions
from endpoints.payment.options import PaymentOptions
from endpoints.rest.sending import SendOptions


class AlipayAccount(Options):
    """What both ends know of it: whose orders they are, and what proves that something is Alipay's."""

    app_id: str = Field(pattern=r"^\d{16}$", description="应用 app_id")
    seller_id: str = Field("", pattern=r"^(2088\d{12})?$", description="收款账号 PID; notices must name it")
    public_key: str = Field(
        min_length=1,
        description="支付宝公钥, not the application's own; in certificate mode 支付宝公钥证书 (PEM)",
    )
    charset: Literal["UTF-8", "GBK"] = Field("UTF-8", description="of requests, answers and notices")

    @model_validator(mode="after")
    def _public(self) -> Self:
        if self.public_key != UNNEEDED:
            public_key(self.public_key)
        return self


class AlipayOptions(AlipayAccount, PaymentOptions, SendOptions):
    """`alipay: {kind: alipay, app_id: ..., seller_id: ..., private_key: secret://..., public_key: ...}`."""

    url: str = Field(
        "https://openapi.alipay.com/gateway.do", pattern=r"^https?://[^/\s]", description="the gateway"
    )
    private_key: Secret = Field(
        min_length=1, description="应用私钥 as `secret://name`: PEM, or Base64 of PKCS #8 or #1"
    )
    app_certificate: str = Field("", description="应用公钥证书 (PEM): certificate mode 公钥证书方式")
    root_certificates: str = Field("", description="支付宝根证书 (PEM), with `app_certificate`")
    app_auth_token: Secret = Field(Secret(""), description="第三方应用授权, as `secret://name`")
    notify_url: str = Field("", description="where Alipay sends its notices: the public address of a source")
    subject: str = Field(
        "医疗费用", min_length=1, max_length=128, description="订单标题: no diagnosis, no name"
    )
    code_lifetime: Seconds = Field(
        300.0,
        ge=60,
        description="a QR code cannot be paid any more after so long; till then nothing proves it closed",
    )
    unscanned: Literal["waits", "closed"] = Field(
        "waits",
        description="a close of a code that nobody scanned is answered `no such trade`: it is closed only when the "
        "code has ended, or that is believed at once",
    )
    timeout: Seconds = Field(20.0, description="from the request to the end of its answer")
    max_answer: Size = Field(200_000_000, description="of an answer: a day's bill is one")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if UNNEEDED in (self.private_key, self.public_key, self.app_certificate, self.root_certificates):
            return self  # a process that does not run it is given no keys
        private_key(self.private_key)
        if bool(self.app_certificate) != bool(self.root_certificates):
            raise ValueError("app_certificate and root_certificates go together")
        if self.app_certificate:
            if "CERTIFICATE-----" not in self.public_key:
                raise ValueError("with app_certificate, public_key is Alipay's certificate")
            public_key(self.app_certificate)
            root_serial(self.root_certificates)
        return self


class AlipayNoticeOptions(AlipayAccount, NoticeOptions):
    """`from: {system: alipay, path: /notices/alipay, callers: anybody}`."""

    of_system: ClassVar[frozenset[str] | None] = frozenset(AlipayAccount.model_fields) | {"name"}
