"""How much of a large body is read, and when it is held whole.

Up to `limits.whole` a body is read as every other. Beyond, an HL7 v2 message is read by the segments that end within
its first MB, and any other only passed on: where the channel asks something of it, it is refused. A map needs the
whole body: beyond the limit the delivery is a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from channels.model import Channel
from config.errors import BadMessage
from router.blobs import Blobs, Kept, head_of
from router.brokers.base import MAYBE_KEPT
from router.envelope import BlobRef, Envelope
from schemas.message import LARGE, Blob, Message

# Bytes: to map or to validate more takes 20 ms and longer, for which no other channel may wait.
APART = 50_000


class Large:
    """The large bodies of one channel. All methods but `ref` block."""

    def __init__(self, channel: Channel, blobs: Blobs, whole: int) -> None:
        self.blobs = blobs
        self._whole = whole
        self._beginning: Callable[[bytes], bytes] | None = getattr(channel.format, "beginning", None)
        if channel.validation is not None and channel.validation.refuses:
            self._beginning = None  # a part is not valid
        asked = (channel.when, channel.order_by, channel.duplicates_by, *(b.when for b in channel.branches))
        self._asks = bool(channel.index) or any(question is not None for question in asked)
        self._asks = self._asks or (channel.validation is not None and channel.validation.refuses)

    def readable(self, message: Message, blob: Blob) -> Message:
        """With as much of the body as is read. Raises as `Blob.pieces` does."""
        if message.fault:
            return message
        try:
            return replace(message, body=self._read(blob))
        except BadMessage as error:
            return replace(message, fault=error.text, fault_code=error.code)

    def whole(self, blob: Blob) -> bytes:
        """Raises BadMessage (JL-L004), and as `Blob.pieces` does."""
        if blob.size > self._whole:
            text = f"{blob.size} bytes, and only {self._whole} are held whole (limits.whole)"
            raise BadMessage("JL-L004", text)
        return b"".join(blob.pieces())

    def beginning(self, envelope: Envelope) -> bytes:
        """What was read of a message when it came."""
        return self._read(self.blobs.find(envelope.blob)) if envelope.blob else envelope.body

    def forget(self, blob: BlobRef, problem: object) -> None:
        """Its message was not kept; unless the broker does not know."""
        if getattr(problem, "code", "") not in MAYBE_KEPT:
            self.blobs.discard(blob.name)

    def _read(self, blob: Blob) -> bytes:
        if blob.size <= self._whole:
            return self.whole(blob)
        if self._beginning is not None:
            return self._beginning(head_of(blob, LARGE))
        return self.whole(blob) if self._asks else b""


def ref_of(blob: Blob | None) -> BlobRef | None:
    assert blob is None or isinstance(blob, Kept), "the engine's own spool made it"
    return blob.ref if blob is not None else None
