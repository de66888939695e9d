"""The SOAP destination: each message is one call of an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import structlog
from lxml import etree
from pydantic import BeforeValidator, Field, field_validator, model_validator

from config.errors import BadMessage, Problem, Refused, Unreachable
from config.models import did_you_mean
from config.registry import nearest
from config.tls import ClientTls
from config.units import Size
from endpoints.base import Ground
from endpoints.rest.media import content_type
from endpoints.rest.sending import Sending, SendOptions
from endpoints.webservice import envelope, mtom
from endpoints.webservice.client import Arguments, Call, Form, Result, format_of, problems_of, result_of
from endpoints.webservice.envelope import SOAP11, SOAP12, Envelope, NoEnvelope, Version
from endpoints.webservice.security import Security, username_token
from endpoints.webservice.verdict import Judge, Name, path_of
from endpoints.webservice.wsdl import BadWsdl, Contract, load
from schemas.base import BadPath
from schemas.message import LARGE, Message, Receipt
from schemas.xml import Element, Xml

log = structlog.get_logger()

_XML = Xml()
_FOR_GOOD = {"Client", "Sender", "MustUnderstand", "VersionMismatch", "DataEncodingUnknown"}
_FAULTS = ("Client", "Server", "Sender", "Receiver")
_MAX_TEXT = 300  # characters of a fault's own words


def _values(said: Any) -> Any:
    """`0` or `["0", "0000"]`: what a path may be, as text."""
    listed = said if isinstance(said, list) else [said]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in listed]


Values = Annotated[
    tuple[str, ...], BeforeValidator(_values, json_schema_input_type=tuple[str, ...] | str | int)
]


class DestinationOptions(SendOptions):
    """`send: {soap: {wsdl: wsdl/lis.wsdl, operation: SendResult}}`."""

    wsdl: str = Field(min_length=1, description="a file of the site; what it imports lies there too")
    operation: str = Field(min_length=1, description="the one that is called")
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
    mtom: Size | None = Field(
        None, description="texts in Base64 from this size on go beside the envelope: `64KB`"
    )
    soap: Literal["1.1", "1.2", ""] = Field(
        "", description="by default what the WSDL has, 1.1 where it has both"
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
            _blocks(header)
        except BadMessage as error:
            raise ValueError(error.text) from None
        return header

    @model_validator(mode="after")
    def _fits(self) -> DestinationOptions:
        if self.tls != ClientTls() and self.url and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        return self

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        for key in ("yes", "again"):
            for text in getattr(self, key):
                try:
                    path_of(text)
                except BadPath as error:
                    problems.append(Problem((key, text), "JL-C101", str(error), error.nearest, on_key=True))
        try:
            contract = load(site / self.wsdl, site)
        except BadWsdl as error:
            problems.append(Problem(("wsdl",), error.code, error.text, error.hint))
            return ()
        problems += _problems(self, contract)
        return [(site / self.wsdl).parent / name for name in contract.files]


def _problems(options: DestinationOptions, contract: Contract) -> list[Problem]:
    """What does not fit the WSDL."""
    problems: list[Problem] = []
    operation = contract.operations.get(options.operation)
    if operation is None:
        hint = did_you_mean(nearest(options.operation, contract.operations), sorted(contract.operations))
        what = f"{options.wsdl} has no operation {options.operation!r}"
        problems.append(Problem(("operation",), "JL-C140", what, hint))
    else:
        problems += problems_of(operation, options.arguments)
    if options.soap and options.soap not in contract.versions:
        has = ", ".join(sorted(contract.versions))
        problems.append(Problem(("soap",), "JL-C142", f"{options.wsdl} has SOAP {has} alone"))
    if not _address(options, contract):
        what = f"{options.wsdl} says no address"
        problems.append(Problem(("wsdl",), "JL-C142", what, "write `url`"))
    return problems


def _address(options: DestinationOptions, contract: Contract) -> str:
    return options.url or next((one for one in contract.addresses if one.startswith(("http:", "https:"))), "")


def _blocks(header: Mapping[str, Any]) -> list[Element]:
    return [_XML.build({name: value}) for name, value in header.items()]


class _Ready:
    """What a WSDL makes of the options."""

    def __init__(self, options: DestinationOptions, contract: Contract, format: str) -> None:
        """Raises BadWsdl where the operation or its address is not there: the file was changed since the check."""
        operation = contract.operations.get(options.operation)
        self.url = _address(options, contract)
        if operation is None or not self.url:
            raise BadWsdl("JL-C140", f"{options.wsdl} has no operation {options.operation!r}, or no address")
        self.operation = operation
        version = options.soap or ("1.1" if "1.1" in contract.versions else "1.2")
        self.version: Version = SOAP12 if version == "1.2" else SOAP11
        self.action = operation.soap_action if options.soap_action is None else options.soap_action
        self.call = Call(operation, options.arguments, options.form, format, options.charset)


class SoapDestination:
    """Calls an operation with each message. The answer's result is the receipt's."""

    Options: ClassVar[type[DestinationOptions]] = DestinationOptions
    codes = frozenset((*map(str, range(200, 600)), *_FAULTS))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._way = Sending(options, ground)
        self._judge = Judge(options.convention, options.yes, options.again)
        self._ready: _Ready | None = None

    async def start(self) -> None:
        """A WSDL that went away since the check does not keep the engine from starting."""
        await self._way.prepare()
        try:
            self._ready = await asyncio.to_thread(self._read)
        except BadWsdl as error:
            log.error("soap.no_wsdl", destination=self.ground.name, code=error.code, reason=error.text)

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        ready = self._ready = self._ready or await self._read_again()
        large = len(message.body) > LARGE
        kind, body = (
            await asyncio.to_thread(self._written, message, ready) if large else self._written(message, ready)
        )
        headers = {"content-type": kind} | ({"idempotency-key": message.id} if message.id else {})
        if ready.version is SOAP11:
            headers["soapaction"] = f'"{ready.action}"'
        status, reason, said, answer = await self._way.ask("POST", ready.url, headers, body)
        heard = (ready, status, reason, said, answer)
        return await asyncio.to_thread(self._heard, *heard) if len(answer) > LARGE else self._heard(*heard)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """`answer` is an envelope, or what its result holds; of a Fault's code its text."""
        ready = self._ready = self._ready or self._read()
        self._written(message, ready)
        if len(answer) > self.options.max_answer:
            raise self._way.too_large(200)
        if code in _FAULTS:
            raise self._fault(code, answer.decode("utf-8", "replace"), 500, answer)
        status = int(code or 200)
        try:
            envelope.read(answer)
        except NoEnvelope:
            if not 200 <= status < 300:
                raise self._way.no(status, "", headers, answer) from None
            held = Result(answer, format_of(answer[:100].decode("utf-8", "replace")))
            return self._judge.judge(str(status), held)
        return self._heard(ready, status, "", headers, answer)

    def _read(self) -> _Ready:
        site = Path(self.ground.base_dir)
        return _Ready(self.options, load(site / self.options.wsdl, site), self.ground.format)

    async def _read_again(self) -> _Ready:
        try:
            return await asyncio.to_thread(self._read)
        except BadWsdl as error:
            raise Unreachable("JL-E424", error.text) from None

    def _written(self, message: Message, ready: _Ready) -> tuple[str, bytes]:
        """The request's content type and body. Raises Refused (JL-E423)."""
        options, version = self.options, ready.version
        child = ready.call.request(message)
        blocks = _blocks(options.header)
        if options.security is not None:
            blocks.append(username_token(options.security, self.ground.now(), version.namespace))
        root = envelope.build(version, child, blocks)
        action = ready.action if version is SOAP12 else ""
        if options.mtom is not None:
            package = mtom.pack(root, options.mtom, version.media_type, action, options.charset)
            if package is not None:
                return package
        kind = f"{version.media_type}; charset={options.charset}" + (f'; action="{action}"' if action else "")
        return kind, envelope.written(root, options.charset)

    def _heard(
        self, ready: _Ready, status: int, reason: str, headers: Mapping[str, str], answer: bytes
    ) -> Receipt:
        """A fault counts whatever the status; else the status; then the result. Raises Refused and Unreachable."""
        no = None if 200 <= status < 300 else self._way.no(status, reason, headers, answer)
        if isinstance(no, Unreachable):  # busy, or a gateway's own words
            raise no
        if no is None and status == 202 and not answer.strip():
            return Receipt("202")
        try:
            found = self._envelope(headers.get("content-type", ""), answer)
        except (NoEnvelope, mtom.BadPackage) as error:
            if no is None and not ready.operation.answer:  # one that the WSDL gives no answer
                return Receipt(str(status))
            raise no or _none(str(error)) from None
        if found.child.tag == found.version.tag("Fault"):
            raise self._fault(*_fault(found), status, answer)
        if no is not None:
            raise no
        try:
            result = result_of(found.child, ready.operation, self.options.result, self.options.result_form)
        except ValueError:
            raise _none("its result is no Base64") from None
        return self._judge.judge(str(status), result)

    def _envelope(self, kind: str, answer: bytes) -> Envelope:
        if mtom.is_package(kind):
            answer, charset = mtom.unpacked(answer, kind)
        else:
            charset = content_type(kind)[1]
        return envelope.read(answer, charset)

    def _fault(self, code: str, text: str, status: int, answer: bytes) -> Refused:
        """By the code's first part: `soap:Client.Authentication` is the Client's; by the status where it is another."""
        plain = code.rpartition(":")[2].partition(".")[0]
        again = plain in ("Server", "Receiver") or (plain not in _FOR_GOOD and status >= 500)
        said = " ".join(text.split())[:_MAX_TEXT]
        return Refused("JL-E420", f"Fault {code}: {said}", retry=again, answer=answer)


def _none(why: str) -> Unreachable:
    return Unreachable("JL-E421", f"an answer that is none: {why}", maybe_done=True)


def _fault(found: Envelope) -> tuple[str, str]:
    """Code and text of a Fault, whether its parts have a namespace or not."""
    if found.version is SOAP12:
        tag = found.version.tag
        codes = [one.text or "" for one in found.child.iterfind(f"{tag('Code')}//{tag('Value')}")]
        return "/".join(one.strip() for one in codes), found.child.findtext(
            f"{tag('Reason')}/{tag('Text')}"
        ) or ""
    parts = {etree.QName(one).localname: one.text or "" for one in found.child if isinstance(one.tag, str)}
    return parts.get("faultcode", "").strip(), parts.get("faultstring", "")
