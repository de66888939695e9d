"""What systems.yaml says of a merchant at UnionPay."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates
from pydantic import Field, model_validator

from config.secrets import UNNEEDED, Secret
from config.units import Seconds, Size
from endpoints.base import Options
from endpoints.payment.keys import private_key
from endpoints.payment.notices import NoticeOptions
from endpoints.payment.options import PaymentOptions
from endpoints.rest.sending import SendOptions


class UnionPayAccount(Options):
    """What both ends know of it: who the merchant is, and what proves that something is UnionPay's."""

    mer_id: str = Field(pattern=r"^[0-9A-Za-z]{15}$", description="商户号 merId")
    sign_method: Literal["01", "11", "12"] = Field(
        "01", description="01 RSA, 11 SHA-256 or 12 SM3 with a shared key; as the contract says"
    )
    trusted: str = Field("", description="UnionPay's root and intermediate certificates, PEM (01)")
    signer: str = Field(
        "中国银联股份有限公司",
        description="who signs answers and notices, of the certificate's CN; at the test site `00040000:SIGN`",
    )
    secure_key: Secret = Field(Secret(""), description="the shared key as `secret://name` (11, 12)")

    @model_validator(mode="after")
    def _proves(self) -> Self:
        if self.sign_method != "01" and not self.secure_key:
            raise ValueError(f"sign_method {self.sign_method} wants a secure_key")
        if self.sign_method == "01" and self.trusted != UNNEEDED:
            if not self.trusted:
                raise ValueError("sign_method 01 wants trusted")
            load_pem_x509_certificates(self.trusted.encode())
        return self


class UnionPayOptions(UnionPayAccount, PaymentOptions, SendOptions):
    """`unionpay: {kind: unionpay, mer_id: ..., private_key: secret://..., certificate: ..., trusted: ...}`."""

    url: str = Field(
        "https://gateway.95516.com/gateway/api",
        pattern=r"^https?://[^/\s]",
        description="before /backTransReq.do",
    )
    file_url: str = Field(
        "https://filedownload.95516.com/",
        pattern=r"^https?://[^/\s]",
        description="of statement files 对账文件",
    )
    private_key: Secret = Field(Secret(""), description="签名私钥 as `secret://name`: PEM (01)")
    certificate: str = Field("", description="签名证书, PEM: its serial number is certId (01)")
    biz_type: str = Field("000000", pattern=r"^\d{6}$", description="产品类型: 000000 of QR codes")
    channel_type: Literal["07", "08"] = Field("08", description="07 internet, 08 mobile")
    terminal: str = Field("", pattern=r"^[0-9A-Za-z]{0,8}$", description="终端号 termId, of payment codes")
    notify_url: str = Field("", description="backUrl: the public address of a source, where notices come")
    code_lifetime: Seconds = Field(
        300.0,
        ge=60,
        description="a QR code cannot be paid any more after so long; till then nothing proves it closed",
    )

    timeout: Seconds = Field(20.0, description="from the request to the end of its answer")
    max_answer: Size = Field(200_000_000, description="of an answer: a day's statement is one")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.sign_method != "01":
            return self
        if not (self.private_key and self.certificate):
            raise ValueError("sign_method 01 wants private_key and certificate")
        if UNNEEDED not in (self.private_key, self.certificate):
            private_key(self.private_key)
            load_pem_x509_certificate(self.certificate.encode())
        return self


class UnionPayNoticeOptions(UnionPayAccount, NoticeOptions):
    """`from: {system: unionpay, path: /notices/unionpay, callers: anybody}`."""

    of_system: ClassVar[frozenset[str] | None] = frozenset(UnionPayAccount.model_fields) | {"name"}
