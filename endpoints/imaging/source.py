"""What devices send: images (C-STORE, PS3.4 annex B) and performed steps (N-CREATE, N-SET, annex F), and what they ask
for (C-FIND, annex K), which is no message.

The library's threads hand over to the event loop, and wait there for the engine's reply: success is said when the
message is durable. A data set goes to the spool while it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from io import BytesIO
from typing import Any, ClassVar

import structlog

from config.errors import JingluoError
from config.tls import peer_of
from endpoints.base import HEAD_SIZE, Arrival, Deliver, Ground, Options, Told, not_kept
from endpoints.imaging.options import SourceOptions
from endpoints.imaging.status import CODES, NO_RESOURCES, NO_SUCH_INSTANCE, SUCCESS, status_of
from schemas.message import Message, Reply

log = structlog.get_logger()

_MPPS = "1.2.840.10008.3.1.2.3.3"
_BUSY = Reply("failed", code="JL-E832", text="the engine takes nothing now")


class _Incoming:
    """A file that arrives: `start` and its data set. All in the event loop."""

    def __init__(self, start: bytes, ground: Ground, most: int) -> None:
        self.head = b""  # what is filed of one that is refused
        self.size = 0
        self.problem: JingluoError | None = None
        self._start = start
        self._most = most
        self._arrival = Arrival(ground.spool)

    @property
    def too_large(self) -> bool:
        return self.size > self._most

    async def take(self, data: bytes) -> None:
        if not self.size:
            data = self._start + data
            self.head = data[:HEAD_SIZE]
        self.size += len(data)
        if self.too_large or self.problem is not None:
            await self.drop()
            return
        try:
            await self._arrival.take(data)
        except JingluoError as error:
            self.problem = error

    async def end(self) -> Arrival:
        """Raises JingluoError."""
        if self.problem is not None:
            raise self.problem
        await self._arrival.end()
        return self._arrival

    async def drop(self) -> None:
        await self._arrival.give_up()
        self._arrival = Arrival(None)


class DicomSource:
    """A body is a file (PS3.10) in the transfer syntax that its data set came in, also of a performed step."""

    Options: ClassVar[type[Options]] = SourceOptions
    driver = ("pynetdicom", "dicom")
    codes = CODES

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self.paused = False
        self.port = options.port  # the real one, once started
        self._door: Any = None
        self._deliver: Deliver
        self._loop: asyncio.AbstractEventLoop
        self._worklist: Any = None
        self._incoming: dict[Any, _Incoming] = {}

    async def start(self, deliver: Deliver) -> None:
        from endpoints.imaging.door import Door

        self._deliver, self._loop = deliver, asyncio.get_running_loop()
        if "worklist" in self.options.accepts:
            from endpoints.imaging.answering import Worklist

            self._worklist = Worklist(self.options, self.ground)
        self._door = Door(self.options, self, self.ground)
        self.port = self._door.port

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        if self._door is not None:
            self._door.close()

    async def stop(self) -> None:
        if self._door is not None:
            await asyncio.to_thread(self._door.stop, self.options.stop_within)

    def told(self, message: Message, reply: Reply) -> Told:
        return Told(f"{status_of(reply, message.headers.get('service', 'store')):04X}")

    # In the door's threads

    def handlers(self) -> list[tuple[Any, Any]]:
        from pynetdicom import evt

        return [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_CREATE, lambda event: (self._step(event, "mpps-create"), None)),
            (evt.EVT_N_SET, lambda event: (self._step(event, "mpps-set"), None)),
            (evt.EVT_C_FIND, self._question),
        ]

    def piece(self, link: Any, message: Any, data: bytes) -> None:
        incoming = self._incoming.get(link)
        if incoming is None:
            command, context = message.command_set, link._accepted_cx[message.context_id]
            head = _head(
                command.AffectedSOPClassUID, command.AffectedSOPInstanceUID, context.transfer_syntax[0]
            )
            incoming = self._incoming[link] = _Incoming(head, self.ground, self.options.max_size)
        self._in_loop(incoming.take(data))

    def gone(self, link: Any) -> None:
        incoming = self._incoming.pop(link, None)
        if incoming is not None:
            self._in_loop(incoming.drop())

    def _store(self, event: Any) -> Any:
        request = event.request
        facts = _facts(event, "store", request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        incoming = self._incoming.pop(event.assoc, None)
        return self._taken(event, facts, request.DataSet, incoming)

    def _question(self, event: Any) -> Any:
        if self.paused or self._worklist is None:
            return iter([(NO_RESOURCES, None)])
        return self._worklist.answers(event)

    def _step(self, event: Any, service: str) -> Any:
        """Where we keep a worklist, we know which steps were begun, and what they were planned as."""
        request = event.request
        if service == "mpps-create":
            uid, data = str(request.AffectedSOPInstanceUID or ""), request.AttributeList
        else:
            uid, data = str(request.RequestedSOPInstanceUID or ""), request.ModificationList
        facts = _facts(event, service, _MPPS, uid)
        if not uid:
            return NO_SUCH_INSTANCE
        if self._worklist is None:
            return self._taken(event, facts, data, None)
        status = self._worklist.refuses(event, service, uid)
        if status:
            return status
        answer = self._taken(event, facts, data, None)
        if answer.Status == SUCCESS:
            self._worklist.note(event, service, uid)
        return answer

    def _taken(
        self, event: Any, facts: dict[str, str], data: BytesIO | None, incoming: _Incoming | None
    ) -> Any:
        """The status, with what went wrong in its comment."""
        if incoming is None:
            head = _head(facts["sop-class"], facts["sop-instance"], facts["transfer-syntax"])
            incoming = _Incoming(head, self.ground, self.options.max_size)
        source = f"dicom {event.assoc.requestor.address}"
        reply = self._in_loop(self._hand_over(source, facts, data.getvalue() if data else b"", incoming))
        return _answer(status_of(reply, facts["service"]), reply)

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Waits for it. What does not end in time, or ends with the engine, is a Reply `failed`."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the engine has ended
            work.close()
            return _BUSY
        try:
            return future.result(self.options.reply_within)
        except (
            Exception
        ) as error:  # what was handed over goes on: the device sends it again, under the same UID
            log.warning(
                "dicom.not_taken", channel=self.ground.name, code="JL-E832", error=type(error).__name__
            )
            return _BUSY

    # In the event loop

    async def _hand_over(self, source: str, facts: dict[str, str], data: bytes, incoming: _Incoming) -> Reply:
        if self.paused:
            await incoming.drop()
            return _BUSY
        await incoming.take(data)
        if incoming.too_large:
            await incoming.drop()
            text = f"the data set is larger than {self.options.max_size} bytes"
            message = Message(incoming.head, source, facts, fault=text, fault_code="JL-E831")
            return await self._deliver(message)
        try:
            arrival = await incoming.end()
        except JingluoError as error:
            return not_kept(error)
        return await self._deliver(Message(arrival.body, source, facts, blob=arrival.blob))


def _facts(event: Any, service: str, sop_class: Any, instance: Any) -> dict[str, str]:
    connection = event.assoc.dul.socket.socket
    peer = peer_of(connection) if isinstance(connection, ssl.SSLSocket) else None
    return {
        "service": service,
        "calling": event.assoc.requestor.ae_title.strip(),
        "called": event.assoc.acceptor.ae_title.strip(),
        "sop-class": str(sop_class),
        "sop-instance": str(instance),
        "transfer-syntax": str(event.context.transfer_syntax),
        **({"tls.subject": peer.subject} if peer else {}),
    }


def _head(sop_class: str, instance: str, syntax: str) -> bytes:
    """What stands in a file before its data set (PS3.10 section 7.1)."""
    from pydicom.filewriter import write_file_meta_info
    from pynetdicom.dsutils import create_file_meta

    meta = create_file_meta(sop_class_uid=sop_class, sop_instance_uid=instance, transfer_syntax=syntax)
    head = BytesIO()
    write_file_meta_info(head, meta)
    return b"\0" * 128 + b"DICM" + head.getvalue()


def _answer(status: int, reply: Reply) -> Any:
    from pydicom.dataset import Dataset

    answer = Dataset()
    answer.Status = status
    if reply.code:
        with contextlib.suppress(ValueError):
            answer.ErrorComment = f"{reply.code} {reply.id}"[:64]
    return answer
