"""What a channel reads of a message that comes: its tree, or that it is a batch; a large one as far as it is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from channels.model import Channel
from channels.splitting import Batch
from config.errors import BadMessage
from router.blobs import head_of
from router.large import Large
from schemas.message import LARGE, Blob, Message
from schemas.validation.base import NOT_WHOLE, Fault


class Read(Struct, frozen=True):
    """What is in a message: its tree, None where nothing asks; and what is to be noted of it."""

    tree: Any = None
    noted: list[Fault] = []
    batch: bool = False  # it is a batch: nothing is asked of it as a whole


Came = Read | BadMessage | None  # of reading in a thread; None where that failed by a bug, or was not done


class Reader:
    """Reads the messages of one channel. `takes_long`: a large one had better be read in a thread."""

    def __init__(self, channel: Channel, large: Large) -> None:
        self._channel = channel
        self._large = large
        self._batch = channel.batch
        self.takes_long = channel.validation is not None or channel.batch is not None

    def large(self, message: Message, blob: Blob) -> tuple[Message, Came]:
        """In a thread: what takes seconds to read holds nobody up. Raises as `Blob.pieces` does."""
        if self._batch is not None and not message.fault and self._holds_batch(message, head_of(blob, LARGE)):
            try:
                return message, _counted(self._batch, blob.pieces())
            except BadMessage as error:
                return message, error
        message = self._large.readable(message, blob)
        return message, self.came(message)

    def came(self, message: Message) -> Came:
        """What cannot be read is told where all others are."""
        try:
            return self.read(message)
        except BadMessage as error:
            return error
        except Exception:
            return None

    def read(self, message: Message) -> Read:
        """Raises BadMessage."""
        if message.fault:
            raise BadMessage(message.fault_code, message.fault)
        channel = self._channel
        if channel.whole:
            return Read()
        if self._batch is not None and message.blob is None and self._holds_batch(message, message.body):
            return _counted(self._batch, [message.body])
        if message.blob is not None and not message.body:
            return Read(None, [NOT_WHOLE] if channel.validation is not None else [])
        tree = channel.format.decode(message.body, message.charset)
        if channel.validation is None or (channel.when is not None and not channel.when(tree, message)):
            return Read(tree)
        if message.blob is not None and message.blob.size > len(message.body):
            return Read(tree, [NOT_WHOLE])
        return Read(tree, channel.validation(tree))

    def _holds_batch(self, message: Message, beginning: bytes) -> bool:
        """Not where it is one message of a batch already."""
        own = bool(message.id) and message.channel == self._channel.name
        return self._batch is not None and not own and self._batch.holds(beginning)


def _counted(batch: Batch, pieces: Iterable[bytes]) -> Read:
    """A batch. Raises BadMessage where its trailers count otherwise than there is."""
    for _ in batch.pieces(pieces):
        pass
    return Read(batch=True)
