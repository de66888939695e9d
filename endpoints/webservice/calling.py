"""What a channel says of a web service that it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from lxml import etree
from pydantic import BeforeValidator, Field, field_validator, model_validator

from config.errors import BadMessage, Problem
from config.models import did_you_mean
from config.registry import nearest
from config.tls import ClientTls
from config.units import Size
from endpoints.rest.sending import SendOptions
from endpoints.webservice.client import Arguments, Form, problems_of
from endpoints.webservice.conventions import Convention
from endpoints.webservice.conventions.call import Call
from endpoints.webservice.conventions.hip import Hip
from endpoints.webservice.own import own_contract
from endpoints.webservice.security import Security
from endpoints.webservice.verdict import Name, path_of
from endpoints.webservice.wsdl import BadWsdl, Contract, load
from schemas.base import BadPath
from schemas.xml import Element, Xml

_XML = Xml()
_OWN: Mapping[str, Convention] = {"hip": Hip(), "call": Call({})}


def _values(said: Any) -> Any:
    """`0` or `["0", "0000"]`: what a path may be, as text."""
    listed = said if isinstance(said, list) else [said]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in listed]


Values = Annotated[
    tuple[str, ...], BeforeValidator(_values, json_schema_input_type=tuple[str, ...] | str | int)
]


class DestinationOptions(SendOptions):
    """`send: {soap: {wsdl: wsdl/lis.wsdl, operation: SendResult}}`."""

    operation_field: ClassVar[str] = "operation"

    wsdl: str = Field(
        "", description="a file of the site, as what it imports; `hip` and `call` have one of their own"
    )
    operation: str = Field("", description="the one that is called; by default the convention's")
    namespace: str = Field("", description="of the convention's own WSDL, where the receiver has another")
    url: str = Field("", pattern=r"^(https?://[^/\s].*)?$", description="in place of the WSDL's address")
    arguments: Arguments = Field(
        {},
        repr=False,
        description="`{action: A04, message: $body}`, also `$@id`, `$@header.NAME`; `$body` alone: all of them, as a "
        "JSON object or as the operation's element in XML. By default the only argument is the body",
    )
    form: Form = Field("text", description="how the body stands in its argument; `text` is escaped")
    header: Mapping[str, Any] = Field(
        {}, repr=False, description="blocks of the SOAP header: `{Login: {'@xmlns': 'urn:x', User: u}}`"
    )
    security: Security | None = Field(None, description="WS-Security: a UsernameToken")
    mtom: Size = Field(
        0, description="texts in Base64 from this size on go beside the envelope: `64KB`; `0B` is never"
    )
    soap: Literal["1.1", "1.2"] | None = Field(
        None, description="by default what the WSDL has, 1.1 where it has both"
    )
    soap_action: str | None = Field(None, description="in place of the WSDL's")
    charset: str = Field("UTF-8", description="of the request: `GBK`")
    result: str = Field(
        "", description="which of several results is the answer; by default the only one, or all as XML"
    )
    result_form: Literal["text", "base64"] = Field(
        "text", description="`base64`: the answer is the bytes in it"
    )
    convention: Name = Field("plain", description="whose yes and no: `hip` typeCode, `call` ResultCode")
    yes: Mapping[str, Values] = Field(
        {}, description='what a yes is: `{$/Response/Code: ["0"]}`, `{$.code: 0}`'
    )
    again: Mapping[str, Values] = Field({}, description="a no that is tried again")

    @field_validator("charset")
    @classmethod
    def _writable(cls, charset: str) -> str:
        try:
            etree.tostring(etree.Element("a"), encoding=charset)
        except LookupError:
            raise ValueError(f"XML cannot be written in {charset!r}") from None
        return charset.upper()

    @field_validator("header")
    @classmethod
    def _buildable(cls, header: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            blocks_of(header)
        except BadMessage as error:
            raise ValueError(error.text) from None
        return header

    @model_validator(mode="after")
    def _fits(self) -> DestinationOptions:
        if self.tls != ClientTls() and self.url and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        if self.convention == "plain" and not (self.wsdl and self.operation):
            raise ValueError("say `wsdl` and `operation`, or a convention that has them")
        if self.wsdl and self.namespace:
            raise ValueError("the WSDL says its namespace itself: leave `namespace` out")
        if not self.wsdl and not self.url:
            raise ValueError("a convention's own WSDL has no address: say `url`")
        return self

    @property
    def called(self) -> str:
        """The operation's name."""
        return self.operation or _OWN[self.convention].operation

    def contract(self, site: Path) -> Contract:
        """Blocks: it reads files. Raises BadWsdl."""
        if self.wsdl:
            return load(site / self.wsdl, site)
        own = _OWN[self.convention]
        return own_contract(
            own.service, self.namespace or own.namespace, self.called, own.action, own.message
        )

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        for key in ("yes", "again"):
            for text in getattr(self, key):
                try:
                    path_of(text)
                except BadPath as error:
                    problems.append(Problem((key, text), "JL-C101", str(error), error.nearest, on_key=True))
        try:
            contract = self.contract(site)
        except BadWsdl as error:
            problems.append(Problem(("wsdl",), error.code, error.text, error.hint))
            return ()
        problems += _problems(self, contract)
        return [(site / self.wsdl).parent / name for name in contract.files] if self.wsdl else ()


def _problems(options: DestinationOptions, contract: Contract) -> list[Problem]:
    """What does not fit the WSDL."""
    problems: list[Problem] = []
    operation = contract.operations.get(options.called)
    if operation is None:
        hint = did_you_mean(nearest(options.called, contract.operations), sorted(contract.operations))
        what = f"{contract.main} has no operation {options.called!r}"
        problems.append(Problem(("operation",), "JL-C140", what, hint))
    else:
        problems += problems_of(operation, options.arguments)
    if options.soap and options.soap not in contract.versions:
        has = ", ".join(sorted(contract.versions))
        problems.append(Problem(("soap",), "JL-C142", f"{contract.main} has SOAP {has} alone"))
    address = address_of(options, contract)
    if not address:
        what = f"{contract.main} says no address"
        problems.append(Problem(("wsdl",), "JL-C142", what, "write `url`"))
    elif options.tls != ClientTls() and not address.startswith("https:"):
        what = f"{contract.main} says {address}: nothing there is TLS"
        problems.append(Problem(("tls",), "JL-C142", what, "write an https `url`", on_key=True))
    return problems


def address_of(options: DestinationOptions, contract: Contract) -> str:
    """Where calls go; '' where nobody says."""
    return options.url or next((one for one in contract.addresses if one.startswith(("http:", "https:"))), "")


def blocks_of(header: Mapping[str, Any]) -> list[Element]:
    """Of the SOAP header. Raises BadMessage."""
    return [_XML.build({name: value}) for name, value in header.items()]
