"""What systems.yaml says of an insurance centre (医保), and a channel of what it wants of it: kind `nhsa`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from config.errors import Problem
from config.registry import nearest
from config.secrets import Secret
from config.tls import ClientTls
from config.units import Seconds, Size
from endpoints.insurance.doors import Told, doors
from endpoints.insurance.operations.base import operations
from endpoints.insurance.province import ProvinceOptions
from endpoints.insurance.statement_options import StatementOptions
from endpoints.insurance.transports.plain import PlainOptions
from endpoints.insurance.transports.shipped import AnyTransport
from endpoints.operations import Operation
from endpoints.rest.sending import SendOptions
from schemas.nhsa import catalogue
from schemas.nhsa.catalogue import Unknown


class SignInOptions(BaseModel):
    """9001: once for each operator, device and day. What the province wants to know of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mac: str = Field(default="00-00-00-00-00-00", max_length=20, description="MAC地址")
    ip: str = Field(default="127.0.0.1", max_length=20, description="IP地址")
    more: Mapping[str, str] = Field(
        default={}, description="local fields of the node signIn, such as `userid`"
    )
    password: Secret = Field(default=Secret(""), description="the local field `password`, as `secret://name`")
    expired: tuple[str, ...] = Field(
        default=(),
        description="regular expressions: what the centre says where a sign-in is over, besides the usual",
    )

    @field_validator("expired")
    @classmethod
    def _patterns(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        for one in said:
            try:
                re.compile(one)
            except re.error as error:
                raise ValueError(f"{one!r} is no regular expression: {error}") from None
        return said


class PartyOptions(ProvinceOptions, SendOptions):
    """`insurance: {kind: nhsa, url: ..., fixmedins_code: ..., ...}`."""

    operation_field: ClassVar[str] = "transaction"

    url: str = Field(pattern=r"^https?://[^/\s]", description="the gateway's base address")
    fixmedins_code: str = Field(pattern=r"^[0-9A-Za-z]{12}$", description="定点医药机构编号, 12 characters")
    fixmedins_name: str = Field(min_length=1, max_length=200, description="定点医药机构名称")
    mdtrtarea_admvs: str = Field(pattern=r"^\d{6}$", description="就医地医保区划: the institution's area")
    recer_sys_code: str = Field(
        min_length=1, max_length=10, description="接收方系统代码: the province's word"
    )
    infver: str = Field("V1.0", min_length=1, max_length=6, description="接口版本号")
    transport: AnyTransport = Field(
        PlainOptions.model_validate({}), description="how the gateway is spoken to"
    )
    opter: str = Field("0001", max_length=30, description="经办人, where a message names none")
    opter_name: str = Field("系统", max_length=50, description="经办人姓名")
    opter_type: str = Field("1", pattern=r"^[1-9]\d{0,2}$", description="1 operator, 2 terminal, 3 mobile")
    dev_no: str = Field("", max_length=100, description="设备编号")
    signtype: str = Field("", max_length=10, description="签名类型")
    more: Mapping[str, str] = Field(
        {}, description="further envelope fields of the province, such as `fixmedins_soft_fcty`"
    )
    insured_place: Literal["required", "hospital"] = Field(
        "required",
        description="insuplc_admdvs where a patient is meant: the message must say it, or it is the institution's",
    )
    amounts: Literal["number", "text"] = Field("number", description="how numbers stand in JSON")
    charset: Literal["UTF-8", "GBK"] = Field("UTF-8", description="of what is sent")
    sign_in: SignInOptions | Literal[False] = Field(SignInOptions(), description="9001; `false`: not here")
    check: Literal["refuse", "off"] = Field(
        "refuse", description="an input that the tables do not allow is refused before it leaves"
    )
    rejected: Literal["answer", "dead"] = Field(
        "answer", description="where the centre says no: an answer, or a dead letter"
    )
    unknown: Literal["answer", "dead"] = Field(
        "answer", description="where nobody knows whether it was done: an answer, or a dead letter"
    )
    apart: str = Field(
        "",
        pattern=r"^[A-Za-z_]*$",
        description="a list of the input (`feedetail`): where it is refused, its rows are sent by halves until it is "
        "known which are meant; the answer has `rows`, the end of each",
    )
    query_lag: Seconds = Field(
        60.0, description="for so long after a message queries may not show yet what it did"
    )
    statement: StatementOptions = Field(StatementOptions(), description="the day's account, 3201 and 3202")
    transaction: str = Field(
        "", description="the number, or an operation; without it the message says `infno`, or `param.code`"
    )
    timeout: Seconds = Field(120.0, description="from the request to the end of its answer")
    max_answer: Size = Field(10_000_000, description="of an answer; a larger one is not read")
    max_input: Size = Field(5_000_000, description="of a message's body")

    @field_validator("transaction", mode="before")
    @classmethod
    def _number(cls, name: object) -> object:
        return str(name) if isinstance(name, int) and not isinstance(name, bool) else name

    @field_validator("transaction")
    @classmethod
    def _transaction(cls, name: str, info: ValidationInfo) -> str:
        if not name or name in operations.known():
            return name
        known = [each for each in catalogue.names() if each[:1].isdigit()]
        if name not in known:
            if name[:1].isdigit() and info.data.get("province") != "national":
                return name  # perhaps the province's own: `files` looks
            meant = nearest(name, [*known, *operations.known()])
            hint = f"; did you mean {meant}?" if meant else ""
            raise ValueError(f"there is no transaction or operation {name[:60]!r}{hint}")
        if catalogue.transaction(name).inbound:
            raise ValueError(f"{name} is called by the centre: it is a source's")
        return name

    def operations(self) -> Mapping[str, Operation]:
        """Every transaction, where each message says which."""
        if self.transaction:
            return {}
        place = self.insured_place == "required"
        told = Told(self.of, self.check == "refuse", place, tuple(sorted(self.more)))
        return doors(told)

    @model_validator(mode="after")
    def _fits(self) -> PartyOptions:
        if self.tls != ClientTls() and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        return self

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        found = super().files(site, problems)
        if self.transaction[:1].isdigit():
            self._asked(problems)
        return found

    def _asked(self, problems: list[Problem]) -> None:
        """A transaction that only the province knows was let through until here."""
        try:
            inbound = self.of.transaction(self.transaction).inbound
        except Unknown as error:
            hint = f"did you mean {error.nearest}?" if error.nearest else ""
            problems.append(Problem(("transaction",), "JL-C014", str(error).partition(";")[0], hint))
        else:
            if inbound:
                what = f"{self.transaction} is called by the centre: it is a source's"
                problems.append(Problem(("transaction",), "JL-C014", what))
