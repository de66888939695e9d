"""The SOAP source: a channel's part of a web service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import structlog
from fastapi import Request, Response
from msgspec.structs import replace

from config.errors import JingluoError
from endpoints.base import Arrival, Deliver, Ground, Told, WebOptions, not_kept
from endpoints.operations import Operation
from endpoints.rest.door import WebDoor, kept_headers
from endpoints.webservice.address import BUSY, NOBODY, Address, Called, join, leave, nobody
from endpoints.webservice.answer import respond
from endpoints.webservice.asked import as_json, carried, outlined, wanted
from endpoints.webservice.conventions import Asked, Said
from endpoints.webservice.conventions.call import Call
from endpoints.webservice.conventions.outline import HEAD, outline
from endpoints.webservice.envelope import SOAP11, SOAP12, Fault, NoEnvelope
from endpoints.webservice.options import SourceOptions
from endpoints.webservice.wsdl import BadWsdl
from schemas.message import Message, Reply

log = structlog.get_logger()


class SoapSource(WebDoor):
    """Takes the calls of its actions, and answers with the engine's reply in the convention's words."""

    Options: ClassVar[type[WebOptions]] = SourceOptions
    answers_in = "xml"
    driver = ("zeep", "soap")

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options = options
        self._convention = options.made
        xml = options.convention != "call" or ground.format != "json"
        self._operations = {} if xml else ground.described.operations
        self._address: Address | None = None

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        try:
            contract = await asyncio.to_thread(self.options.contract, Path(self.ground.base_dir))
        except BadWsdl as error:
            raise OSError(f"{error.code}: {error.text}") from None
        self._address = join(self.ground.web, self, contract)

    def close(self) -> None:
        address, self._address = self._address, None
        if address is not None and self.ground.web is not None:
            leave(self.ground.web, self, address)

    async def take(self, request: Request, called: Called) -> Response:
        busy = self.busy()
        operation, refusal = wanted(request, self._operations, called.action)
        with self.at_work():
            if busy:
                reply = Reply("failed", code=BUSY, text=busy)
            else:
                reply = refusal or await self._reply(request, called, operation)
            said = self.say(called.asked, reply, operation)
            return respond(called.version, called.operation, said, reply, self.options)

    async def _reply(self, request: Request, called: Called, operation: Operation | None) -> Reply:
        if self._operations and operation is None:
            fault = nobody(called.action)
            return Reply("refused", code=fault.code, text=fault.text)
        if not called.payload.body:
            return Reply("refused", code="JL-E406", text="the call carries no message 报文为空")
        arrival = Arrival(self.ground.spool)
        try:
            await arrival.take(called.payload.body)
            await arrival.end()
        except JingluoError as error:
            log.warning("soap.large_not_kept", channel=self.ground.name, code=error.code, reason=error.text)
            return not_kept(error)
        finally:
            await arrival.give_up()
        message = replace(self._message(request, arrival.body, called), blob=arrival.blob)
        if operation is not None:
            message = await carried(message, operation)
        return await asyncio.shield(self._deliver(message))

    def _message(self, request: Request, body: bytes, called: Called | None) -> Message:
        headers = kept_headers(request, self.options.headers, "")
        if called is not None:
            headers |= facts(called)
        client = request.client.host if request.client else ""
        return Message(body, f"soap {client}", headers, charset=called.payload.charset if called else "")

    async def file(self, request: Request, body: bytes, fault: Fault) -> None:
        """What came and is no call: the engine refuses it, and files what there is."""
        message = self._message(request, body, None)
        await asyncio.shield(self._deliver(replace(message, fault=fault.text, fault_code=fault.code)))

    def say(self, asked: Asked, reply: Reply, operation: Operation | None = None) -> Said:
        if operation is not None and isinstance(self._convention, Call):
            return outlined(self._convention, operation, asked, reply, self.ground.now())
        return self._convention.answer(asked, reply, self.ground.now())

    # For `jingluo test`

    def received(self, message: Message) -> Message:
        """Of a whole call its message; what is no envelope is a payload by itself."""
        came = self._received(message)
        action = came.headers.get("action", "") or self._convention.action_in(came.body[:HEAD])
        operation = self._operations.get(action)
        if operation is None or came.fault:
            return came
        return as_json(replace(came, headers={**came.headers, "action": action}), operation)

    def _received(self, message: Message) -> Message:
        root = outline(message.body[:HEAD])
        if root is None or root.tag not in (SOAP11.tag("Envelope"), SOAP12.tag("Envelope")):
            return message
        try:
            called = Address(self, self.options.contract(Path(self.ground.base_dir))).understood(message.body)
        except BadWsdl as error:
            return replace(message, fault=error.text, fault_code=error.code)
        except NoEnvelope as error:
            return replace(message, fault=error.fault.text, fault_code=error.fault.code)
        headers = {**message.headers, **facts(called)}
        fault = (
            nobody(called.action) if called.action not in (self.options.action or (called.action,)) else None
        )
        return replace(
            message,
            body=called.payload.body,
            charset=called.payload.charset,
            headers=headers,
            fault=fault.text if fault else "",
            fault_code=fault.code if fault else "",
        )

    def told(self, message: Message, reply: Reply) -> Told:
        """The code is the convention's own, or `fault`."""
        if message.fault and message.fault_code != NOBODY and "action" not in message.headers:
            return Told("fault")
        operation, _, _ = self.options.names
        asked = Asked(
            message.headers.get("operation", operation),
            message.headers.get("action", ""),
            message.body[:HEAD],
        )
        said = self.say(asked, reply, self._operations.get(asked.action))
        return Told(said.code, said.text.encode(), "xml")


def facts(called: Called) -> dict[str, str]:
    """What a message keeps of its call, as headers."""
    known = {"operation": called.operation.name, "action": called.action, "soap": called.version.name}
    known |= {f"argument.{name}": value for name, value in called.arguments.items()}
    return {name: value for name, value in known.items() if value}
