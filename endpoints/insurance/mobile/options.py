"""The YAML of a centre of the SM2/SM4 envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.tls import ClientTls
from config.units import Seconds
from endpoints.base import Listed
from endpoints.insurance.province import ProvinceOptions
from endpoints.insurance.sm_envelope import EnvelopeOptions
from endpoints.insurance.transports.plain import PlainOptions
from endpoints.insurance.transports.shipped import AnyTransport
from endpoints.rest.sending import SendOptions
from schemas.nhsa import catalogue
from schemas.nhsa.model import Transaction

OPERATIONS = ("probe", "reverse")
Centre = Literal["payment", "voucher", "prescription"]


def _numbers(value: object) -> object:
    """YAML reads `3` as a number."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else value


States = Annotated[tuple[str, ...], BeforeValidator(_numbers)]


class OrderStates(BaseModel):
    """What the values of ordStas say. As one project handles them; the payment centre's document has the meanings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: States = Field(default=("0", "1", "2"), description="made, or being paid")
    paid: States = ("3", "4", "5", "6")
    cancelled: States = Field(
        default=tuple(map(str, range(7, 14))), description="cancelled, reversed or refunded"
    )
    failed: States = ("14", "15", "16")


class MobileOptions(ProvinceOptions, SendOptions):
    """`mobile: {kind: nhsa_mobile, centre: payment, url: "https://pay.insurance.local", envelope: {...}}`."""

    operation_field: ClassVar[str] = "transaction"

    url: str = Field(pattern=r"^https?://[^/\s]")
    centre: Centre = Field(description="whose keys these are; a system for each centre")
    envelope: EnvelopeOptions
    transaction: str = Field(
        "", description="MP-6202, D001, EC-QUERY ..., or `probe`, `reverse`; without it each message says"
    )
    org_code: str = Field("", description="our orgCodg (fixmedinsCode), where a message leaves it out")
    org_id: str = Field("", description="orgId of the e-voucher's envelope")
    transport: AnyTransport = Field(
        PlainOptions(address="path"), description="of a gateway before the centre"
    )
    addresses: Mapping[str, str] = Field(
        {}, description="of transactions whose path no source gives: `D006: /x/y`"
    )
    timeout: Seconds = Field(120.0, description="from the request to the end of its answer")
    rejected: Literal["answer", "dead"] = Field(
        "answer", description="what the centre refuses: an answer, or a dead letter"
    )
    unknown: Literal["answer", "dead"] = Field("answer", description="the same, of what nobody knows")
    unsigned: Literal["unknown", "rejected"] = Field(
        "unknown", description="what a failure means that is not signed"
    )
    unknown_codes: Listed = Field(
        (), description="codes by which the centre says that it does not know itself"
    )
    order_states: OrderStates = OrderStates()

    @model_validator(mode="after")
    def _fits(self) -> MobileOptions:
        if self.tls != ClientTls() and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        if self.transaction not in ("", *OPERATIONS):
            named(self.transaction, self.centre)
        for name in self.addresses:
            named(name, self.centre)
        return self


def named(name: str, centre: Centre) -> Transaction:
    """A transaction of this centre by its name, or by the code that goes over the wire. Raises ValueError."""
    known = [one for one in catalogue.names() if one.startswith(_FIRST[centre])]
    for one in known:
        if name == one or name == catalogue.transaction(one).code:
            found = catalogue.transaction(one)
            if found.inbound:
                raise ValueError(f"{one} is called by the centre: it comes in at a source")
            return found
    try:
        catalogue.transaction(name)
    except LookupError as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"{name[:60]!r} is none of this centre's; there are {', '.join(known)}")


_FIRST: Mapping[str, str] = {"payment": "MP-", "voucher": "EC-", "prescription": "D00"}
