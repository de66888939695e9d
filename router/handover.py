"""From one channel to another, in the process that delivers: what a destination that is a channel is sent.

The message is durable in that destination's queue until the other channel has it in all of its own. So a crash in
between hands it over once more, as the same message: its id follows from the one it was made from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from config.errors import JingluoError
from endpoints.base import RETRY_AFTER_S
from router.blobs import Blobs
from router.board import Board, Way
from router.intake import Intake
from schemas.message import LARGE, Message, Reply


class Handover:
    """The intakes of all channels, as the destinations of others see them.

    `paused` are channels that take nothing new, and the queue that is too full.
    """

    def __init__(
        self,
        intakes: Callable[[str], Intake | None],
        blobs: Blobs,
        board: Board,
        paused: Callable[[], Mapping[str, str]],
    ) -> None:
        self._intakes = intakes
        self._blobs = blobs
        self._board = board
        self._paused = paused

    def __call__(self, name: str, message: Message) -> asyncio.Future[Reply]:
        """Never raises. The Future ends when the channel has the message in all of its queues, or does not take it."""
        intake = self._intakes(name)
        if intake is None:
            text = f"the channel {name} does not run here"
            nobody: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            nobody.set_result(Reply("failed", code="JL-D913", text=text, retry_after_s=RETRY_AFTER_S))
            return nobody
        if message.blob is None and len(message.body) > LARGE:
            return asyncio.ensure_future(self._large(intake, message))
        return intake.deliver(message)

    def takes(self, way: Way, name: str) -> bool:
        """Whether what a destination has for that channel can be handed over just now: else it waits in its queue."""
        queue = self._paused().get(name, "")
        full = bool(queue) and queue.split(".")[1:3] != list(way)
        drained = any(other[0] == name and other != way for other in self._board.ways("draining"))
        return self._intakes(name) is not None and not full and not drained

    async def _large(self, intake: Intake, message: Message) -> Reply:
        """What a map made large, too, travels as a reference."""
        try:
            blob = await self._blobs.keep(message.id, message.body)
        except JingluoError as error:
            return Reply("failed", code=error.code, text=error.text, retry_after_s=RETRY_AFTER_S)
        return await intake.deliver(replace(message, body=b"", blob=blob))
