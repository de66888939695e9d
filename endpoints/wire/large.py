"""A large message while its pieces come: it goes to a spool, one piece at a time."""

from __future__ import annotations

import structlog

from config.errors import JingluoError
from endpoints.base import HEAD_SIZE, Spool
from endpoints.wire.framing import Frame
from schemas.message import Blob

log = structlog.get_logger()


class Large:
    """Takes the pieces of one message in turn. `blob` is there after the last; or `problem`, why there is none."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.head = b""  # its first bytes
        self.blob: Blob | None = None
        self.problem: JingluoError | None = None

    async def take(self, frame: Frame) -> None:
        """What follows a problem is read away, so that the sender can hear of it."""
        self.head = self.head or frame.body[:HEAD_SIZE]
        if frame.fault:
            await self._spool.drop()
        elif self.problem is None:
            try:
                await self._spool.write(frame.body)
                if not frame.more:
                    self.blob = await self._spool.finish()
            except JingluoError as error:
                self.problem = error
            except Exception:
                log.exception("wire.spool_bug")
                self.problem = JingluoError("JL-E100", "the engine failed, nothing was kept")

    async def drop(self) -> None:
        await self._spool.drop()
