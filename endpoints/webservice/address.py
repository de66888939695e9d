"""An address of the engine's web server at which channels take SOAP calls: one WSDL, and each action its channel."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import structlog
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from endpoints.base import HEAD_SIZE, Arrival, Web
from endpoints.limits import Limit, problem, unpacked
from endpoints.rest.door import read_body
from endpoints.rest.media import content_type
from endpoints.webservice import envelope, mtom, payload
from endpoints.webservice.answer import respond, respond_fault
from endpoints.webservice.conventions import Asked
from endpoints.webservice.conventions.outline import HEAD
from endpoints.webservice.envelope import SOAP11, SOAP12, Fault, NoEnvelope, Version
from endpoints.webservice.options import SHARED
from endpoints.webservice.wsdl import Contract, Operation
from schemas.message import LARGE, Reply

if TYPE_CHECKING:
    from endpoints.webservice.source import SoapSource

log = structlog.get_logger()

BUSY, NOBODY = "JL-E211", "JL-E405"
_LARGE_AT_ONCE = 8  # bodies over 1 MB are held whole while they are read
_open: WeakKeyDictionary[Web, dict[str, Address]] = WeakKeyDictionary()


class Called(NamedTuple):
    """A call, understood as far as the WSDL goes."""

    version: Version
    operation: Operation
    action: str
    arguments: dict[str, str]
    payload: payload.Payload

    @property
    def asked(self) -> Asked:
        return Asked(self.operation.name, self.action, self.payload.body[:HEAD])


class Address:
    """Its channels come and go; the first brings the route, the last takes it away."""

    def __init__(self, source: SoapSource, contract: Contract) -> None:
        self.options = source.options
        self.contract = contract
        self._convention = source.options.made
        _, self._action, self._message = source.options.names
        self._sources: dict[tuple[str, str], SoapSource] = {}
        self._open = 0
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    # Its channels

    def join(self, source: SoapSource) -> None:
        """Raises OSError where an action is taken, or where the channels are not of one mind about the address."""
        for name in SHARED:
            if getattr(source.options, name) != getattr(self.options, name):
                text = f"channels at {self.options.path} must have one {name}"
                raise OSError(errno.EADDRINUSE, text)
        for operation, action in keys(source):
            taken = self._sources.get((operation, action))
            if taken is not None:
                text = (
                    f"{action or 'every other action'} at {self.options.path} is taken by {taken.ground.name}"
                )
                raise OSError(errno.EADDRINUSE, text)
        self._sources |= dict.fromkeys(keys(source), source)

    def leave(self, source: SoapSource) -> bool:
        """Whether nobody is left."""
        self._sources = {key: one for key, one in self._sources.items() if one is not source}
        return not self._sources

    def _whose(self, operation: str, action: str) -> SoapSource | None:
        for key in ((operation, action), (operation, ""), ("", "")):
            if key in self._sources:
                return self._sources[key]
        return None

    # Its callers

    async def describe(self, request: Request) -> Response:
        """`GET ?wsdl`, and `?xsd=name` for the files that it refers to."""
        asked = {name.lower(): value for name, value in request.query_params.items()}
        name = asked.get("xsd") or asked.get("wsdl") or self.contract.main
        url = request.url
        address = self.options.address or f"{url.scheme}://{url.netloc}{url.path}"
        body = self.contract.served(name, address)
        if body is None:
            return problem(404, "JL-E206", detail="the WSDL has no such file")
        return Response(body, 200, media_type="text/xml; charset=utf-8")

    async def call(self, request: Request) -> Response:
        kind, charset = content_type(request.headers.get("content-type", ""))
        version = SOAP12 if kind == SOAP12.media_type else SOAP11
        if self._open >= self.options.requests:
            fault = Fault(BUSY, "too many requests at once 并发请求过多", "receiver")
            return respond_fault(version, fault, 503, {"retry-after": "5"})
        self._open += 1
        try:
            async with contextlib.AsyncExitStack() as slot:
                if _maybe_large(request):
                    await slot.enter_async_context(self._large)
                return await self._answer(request, version, charset, slot)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        finally:
            self._open -= 1

    async def _answer(
        self, request: Request, version: Version, charset: str, slot: contextlib.AsyncExitStack
    ) -> Response:
        """`slot` is given back as soon as the body turns out to be small."""
        arrival = Arrival(None)
        try:
            request = unpacked(request, self.options.max_size)
            limit = await read_body(request, arrival, self.options.max_size, self.options.body_within)
        except Limit as refused:
            fault = Fault(refused.code, refused.detail)
            return respond_fault(version, fault, refused.status_code, refused.headers or {})
        if limit is not None:
            await self._file(request, arrival.body, Fault(limit.code, limit.detail))
            fault = Fault(limit.code, limit.detail)
            return respond_fault(version, fault, limit.status_code, limit.headers or {})
        if len(arrival.body) <= LARGE:
            await slot.aclose()
        try:
            come = arrival.body, charset, request.headers.get("content-type", "")
            if len(arrival.body) > LARGE:
                called = await asyncio.to_thread(self.understood, *come)
            else:
                called = self.understood(*come)
        except NoEnvelope as error:
            await self._file(request, arrival.body, error.fault)
            return respond_fault(error.version or version, error.fault)
        arrival.body = b""
        source = self._whose(called.operation.name, called.action)
        if source is None:
            fault = nobody(called.action)
            return self._respond(called, Reply("refused", code=fault.code, text=fault.text))
        return await source.take(request, called)

    def understood(self, body: bytes, charset: str = "", content_type: str = "") -> Called:
        """Raises NoEnvelope, with the fault."""
        if mtom.is_package(content_type):
            body, charset = _unpacked(body, content_type)
        read = envelope.read(body, charset)
        operation = self.contract.operation_of(read.child)
        if operation is None:
            text = f"the service has no operation {_local(read.child.tag)[:100]!r}"
            raise NoEnvelope(Fault("JL-E403", text), read.version)
        if unknown := envelope.not_understood(read):
            text = f"the header {_local(unknown.tag)[:100]!r} must be understood, and is not"
            raise NoEnvelope(Fault("JL-E407", text, "header"), read.version)
        payload.renamed(read.child, operation)
        message = self.message_of(operation)
        carried = payload.payload(read.child, message)
        for part in operation.arguments:
            if part.name == message:
                payload.without_elements(read.child, part)
        schema = self.contract.schema
        faults = schema(read.child) if schema is not None and not operation.rpc else []
        if faults:
            raise NoEnvelope(Fault("JL-E404", f"not as the WSDL says: {faults[0]}"), read.version)
        arguments = payload.arguments(read.child, message)
        action = arguments.pop(self._action, "") or self._convention.action_in(carried.body[:HEAD])
        return Called(read.version, operation, action, arguments, carried)

    def message_of(self, operation: Operation) -> str:
        """The argument that is the message; '' where the whole request is."""
        only = operation.arguments[0] if len(operation.arguments) == 1 else None
        known = [part.name for part in operation.arguments]
        if self._message in known:
            return self._message
        return only.name if only is not None and only.text else ""

    def _respond(self, called: Called, reply: Reply) -> Response:
        source = next(iter(self._sources.values()))
        return respond(called.version, called.operation, source.say(called.asked, reply), reply, self.options)

    async def _file(self, request: Request, body: bytes, fault: Fault) -> None:
        """What is no call is filed as refused, where it is plain whose it would have been."""
        log.warning("soap.no_call", path=self.options.path, code=fault.code)
        sources = set(self._sources.values())
        source = sources.pop() if len(sources) == 1 else self._sources.get(("", ""))
        if source is not None:
            await source.file(request, body[:HEAD_SIZE] if len(body) > LARGE else body, fault)


def nobody(action: str) -> Fault:
    return Fault(NOBODY, f"no channel takes the action {action[:100]!r} 没有此服务")


def keys(source: SoapSource) -> Iterator[tuple[str, str]]:
    """What a channel takes: operation and action, '' for each that no other takes."""
    operation, _, _ = source.options.names
    for action in source.options.action or ("",):
        yield (operation, action)


def _unpacked(body: bytes, content_type: str) -> tuple[bytes, str]:
    try:
        return mtom.unpacked(body, content_type)
    except mtom.BadPackage as error:
        raise NoEnvelope(Fault("JL-E408", str(error))) from None


def _maybe_large(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return not length.isdigit() or int(length) > LARGE


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def join(web: Web, source: SoapSource, contract: Contract) -> Address:
    """The address of a source, which is then one of its channels. Raises OSError."""
    known = _open.setdefault(web, {})
    path = source.options.path
    address = known.get(path)
    if address is not None:
        address.join(source)
        return address
    address = Address(source, contract)
    address.join(source)
    who, channel = source.options, source.ground.name
    facts: dict[str, Any] = {"who": who, "channel": channel, "include_in_schema": False}
    web.add_route(path, ["POST"], address.call, **facts)
    try:
        web.add_route(path, ["GET"], address.describe, **facts)
    except OSError:
        web.remove_route(path, ["POST"])
        raise
    known[path] = address
    return address


def leave(web: Web, source: SoapSource, address: Address) -> None:
    if address.leave(source):
        path = address.options.path
        del _open[web][path]
        web.remove_route(path, ["POST"])
        web.remove_route(path, ["GET"])
