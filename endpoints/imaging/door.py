"""A port where associations are taken (PS3.8): a thread that accepts, and two for each association.

Everything before the first message is judged here: whence a caller comes, how it calls itself and us, how many there
are, how long a piece may be and may take. What is said by then, the service decides.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind, Verification
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from config.tls import ServerTls, peer_of, refusal, server_context
from endpoints.base import Ground
from endpoints.imaging.library import DEFLATED, UNCOMPRESSED
from endpoints.imaging.options import Network, SourceOptions

log = structlog.get_logger()

_MOST_PDU = 1_048_576  # bytes of any PDU, also of those that ask for an association
_COMMAND = 64_000  # bytes of a command
_PIECE = 1_000_000  # bytes of a data set that are held before they are handed on
_HERE = ("127.0.0.1", "::1")

Handlers = list[tuple[Any, Callable[[Any], Any]]]


class Service(Protocol):
    """What becomes of what is said. All is called by threads of the door."""

    paused: bool

    def piece(self, link: Any, message: Any, data: bytes) -> None:
        """The next bytes of an image's data set, which is not whole yet."""

    def gone(self, link: Any) -> None: ...

    def handlers(self) -> Handlers: ...


class Door:
    """Opened when it is made. Raises OSError."""

    def __init__(self, options: SourceOptions, service: Service, ground: Ground) -> None:
        self.options = options
        self.service = service
        self.tls = server_context(options.tls, ground.base_dir) if options.tls else None
        self.log = log.bind(channel=ground.name)
        self._closing = False
        self._busy: set[Any] = set()  # associations that are owed an answer
        self.entity = _entity(options)
        self.callers = {title: options.networks(title) for title in options.callers}
        handlers = [
            (evt.EVT_REQUESTED, self._judge),
            (evt.EVT_PDU_RECV, self._look),
            (evt.EVT_CONN_CLOSE, lambda event: self._gone(event.assoc)),
            (evt.EVT_DIMSE_RECV, lambda event: self._busy.add(event.assoc)),
            (evt.EVT_DIMSE_SENT, lambda event: self._busy.discard(event.assoc)),
            *service.handlers(),
        ]
        self._server = self.entity.make_server(
            (options.host, options.port),
            evt_handlers=handlers,
            server_class=_Server,
            request_handler=_Entrance,
        )
        self._server.door = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._accept, name=f"dicom {ground.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives up the port. Does not block."""
        if not self._closing:
            self._closing = True
            self._server.close_port()

    def stop(self, within_s: float) -> None:
        """Waits for the answers that are owed, then ends all associations. Blocks."""
        self.close()
        _wait(lambda: not self._busy, within_s)
        links = self.entity.active_associations
        for link in links:
            link.abort(block=False)
        _wait(lambda: not any(link.is_alive() for link in links), 1.0)
        for link in links:
            if link.is_alive():
                link.dul.socket.close()
                link.dul.kill_dul()
        self._thread.join(1.0)

    def known(self, address: str) -> bool:
        """Whether anybody may call from there."""
        return not self._closing and any(self._fits(address, title) for title in self.callers or (None,))

    def _fits(self, address: str, title: str | None) -> bool:
        if not self.callers:
            return address in _HERE
        return any(_within(address, network) for network in self.callers.get(title or "", ()))

    def _judge(self, event: Any) -> None:
        """Turns an association away (PS3.8 table 9-21) that may not be."""
        link = event.assoc
        title, address = link.requestor.primitive.calling_ae_title.strip(), link.requestor.address
        if not self._fits(address, title):
            self.log.warning("dicom.caller_refused", code="JL-E830", address=address)
            self._turn_away(link, 0x01, 0x01, 0x03)  # for good: the calling title is not known
        elif self.service.paused:
            self._turn_away(link, 0x02, 0x03, 0x01)  # for now: congestion

    @staticmethod
    def _turn_away(link: Any, *why: int) -> None:
        link.acse.send_reject(*why)
        link.kill()

    def _look(self, event: Any) -> None:
        """Before each piece: what came of the message so far is not held in memory, and has a limit."""
        message = event.assoc.dimse.message
        if message is None:
            return
        held = message.data_set.tell()
        image = type(message).__name__ == "C_STORE_RQ"
        if message.encoded_command_set.tell() > _COMMAND or (held > _PIECE and not image):
            self.log.warning("dicom.message_too_large", code="JL-E831")
            event.assoc.dul.socket.close()
        elif held >= _PIECE:
            data = message.data_set.getvalue()
            message.data_set.seek(0)
            message.data_set.truncate()
            self.service.piece(event.assoc, message, data)

    def _gone(self, link: Any) -> None:
        self._busy.discard(link)
        self.service.gone(link)

    def _accept(self) -> None:
        while not self._closing:
            self._server.handle_request()
        self._server.server_close()


def _entity(options: SourceOptions) -> Any:
    entity = AE(ae_title=options.title)
    entity.require_called_aet = True
    entity.maximum_pdu_size = options.max_pdu
    entity.maximum_associations = options.associations
    entity.acse_timeout = entity.dimse_timeout = options.pdu_within
    entity.network_timeout = options.idle
    entity.add_supported_context(Verification, UNCOMPRESSED)
    if "store" in options.accepts:
        syntaxes = [syntax for syntax in ALL_TRANSFER_SYNTAXES if syntax != DEFLATED]
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, syntaxes)
    if "mpps" in options.accepts:
        entity.add_supported_context(ModalityPerformedProcedureStep, UNCOMPRESSED)
    if "worklist" in options.accepts:
        entity.add_supported_context(ModalityWorklistInformationFind, UNCOMPRESSED)
    return entity


def _within(address: str, network: Network) -> bool:
    return ipaddress.ip_address(address.removeprefix("::ffff:")) in network


def _wait(true: Callable[[], bool], within_s: float) -> None:
    end = time.monotonic() + within_s
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    door: Door
    daemon_threads = True
    request_queue_size = 64

    def close_port(self) -> None:
        """Wakes the thread that accepts, which finds nothing."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.socket.close()


class _Entrance(RequestHandler):  # type: ignore[misc]
    """A connection, before anything was said."""

    request: Any

    def handle(self) -> None:
        door = self.server.door
        many = (
            len(door.entity.active_associations) >= 2 * door.options.associations
        )  # those that say nothing too
        if many or not door.known(self.client_address[0]):
            door.log.warning(
                "dicom.connection_refused", code="JL-E830", address=self.client_address[0], many=many
            )
            self.server.shutdown_request(self.request)
            return
        if door.options.tls is None or self._secured(door, door.options.tls):
            super().handle()

    def _secured(self, door: Door, tls: ServerTls) -> bool:
        """A handshake, in a thread of its own: nobody else waits for it."""
        assert door.tls is not None, "made with the door"
        try:
            self.request.settimeout(tls.handshake_within)
            self.request = door.tls.wrap_socket(self.request, server_side=True)
        except OSError as error:
            door.log.warning("tls.refused", reason=refusal(error), address=self.client_address[0])
            self.server.shutdown_request(self.request)
            return False
        peer = peer_of(self.request)
        if peer is not None and not peer.among(tls.names):
            door.log.warning("tls.not_allowed", subject=peer.subject)
            self.server.shutdown_request(self.request)
            return False
        return True

    def _create_association(self) -> Any:
        link = super()._create_association()
        # The library reads a PDU of any length and for any time.
        link.dul.socket.recv = _bounded(self.request, self.server.door.options.pdu_within)
        return link


def _bounded(connection: socket.socket, within_s: float) -> Callable[[int], bytearray]:
    def recv(size: int) -> bytearray:
        """So many bytes, or fewer where the connection ends. Raises OSError."""
        if size > _MOST_PDU:
            raise OSError("a PDU that is too large")
        data, got = bytearray(size), 0
        end = time.monotonic() + within_s
        with memoryview(data) as view:
            while got < size:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                count = connection.recv_into(view[got:])
                if not count:
                    break
                got += count
        return data[:got]

    return recv
