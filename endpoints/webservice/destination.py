"""The SOAP destination: each message is one call of an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import structlog
from lxml import etree

from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.rest.media import content_type
from endpoints.rest.sending import Sending
from endpoints.webservice import envelope, mtom
from endpoints.webservice.calling import DestinationOptions, address_of, blocks_of
from endpoints.webservice.client import Call, Result, format_of, result_of
from endpoints.webservice.envelope import SOAP11, SOAP12, Envelope, NoEnvelope, Version
from endpoints.webservice.security import username_token
from endpoints.webservice.verdict import Judge
from endpoints.webservice.wsdl import BadWsdl, Contract
from schemas.message import LARGE, Message, Receipt

log = structlog.get_logger()

_FOR_GOOD = {"Client", "Sender", "MustUnderstand", "VersionMismatch", "DataEncodingUnknown"}
_FAULTS = ("Client", "Server", "Sender", "Receiver")
_MAX_TEXT = 300  # characters of a fault's own words


class _Ready:
    """What a WSDL makes of the options."""

    def __init__(self, options: DestinationOptions, contract: Contract, format: str) -> None:
        """Raises BadWsdl where the operation or its address is not there: the file was changed since the check."""
        operation = contract.operations.get(options.called)
        self.url = address_of(options, contract)
        if operation is None or not self.url:
            raise BadWsdl("JL-C140", f"{contract.main} has no operation {options.called!r}, or no address")
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
        answer = await self._way.ask("POST", ready.url, headers, body)
        if len(answer.body) > LARGE:
            return await asyncio.to_thread(self.receipt, *answer)
        return self.receipt(*answer)

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
        return self.receipt(status, "", headers, answer)

    def _read(self) -> _Ready:
        site = Path(self.ground.base_dir)
        return _Ready(self.options, self.options.contract(site), self.ground.format)

    async def _read_again(self) -> _Ready:
        try:
            return await asyncio.to_thread(self._read)
        except BadWsdl as error:
            raise Unreachable("JL-E424", error.text) from None

    def _written(self, message: Message, ready: _Ready) -> tuple[str, bytes]:
        """The request's content type and body. Raises Refused (JL-E423)."""
        options, version = self.options, ready.version
        child = ready.call.request(message)
        blocks = blocks_of(options.header)
        if options.security is not None:
            blocks.append(username_token(options.security, self.ground.now(), version.namespace))
        root = envelope.build(version, child, blocks)
        action = ready.action if version is SOAP12 else ""
        if options.mtom:
            package = mtom.pack(root, options.mtom, version.media_type, action, options.charset)
            if package is not None:
                return package
        kind = f"{version.media_type}; charset={options.charset}" + (f'; action="{action}"' if action else "")
        return kind, envelope.written(root, options.charset)

    def receipt(self, status: int, reason: str, headers: Mapping[str, str], answer: bytes) -> Receipt:
        """A fault counts whatever the status; else the status; then the result. Raises Refused and Unreachable."""
        ready = self._ready = self._ready or self._read()
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
        if etree.QName(found.child).localname == "Fault":
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
        plain = code.partition("/")[0].rpartition(":")[2].partition(".")[0]
        again = plain in ("Server", "Receiver") or (plain not in _FOR_GOOD and status >= 500)
        said = " ".join(text.split())[:_MAX_TEXT]
        return Refused("JL-E420", f"Fault {code[:_MAX_TEXT]}: {said}", retry=again, answer=answer)


def _none(why: str) -> Unreachable:
    return Unreachable("JL-E421", f"an answer that is none: {why}", maybe_done=True)


def _fault(found: Envelope) -> tuple[str, str]:
    """Code and text of a Fault, whether its parts have a namespace or not; subcodes of SOAP 1.2 stand behind a `/`."""
    parts = {etree.QName(one).localname: one for one in found.child if isinstance(one.tag, str)}
    if "Code" in parts:
        codes = [one.text or "" for one in parts["Code"].iterfind(".//{*}Value")]
        reason = parts["Reason"].findtext("{*}Text") if "Reason" in parts else ""
        return "/".join(one.strip() for one in codes), reason or ""
    said = {name: one.text or "" for name, one in parts.items()}
    return said.get("faultcode", "").strip(), said.get("faultstring", "")
