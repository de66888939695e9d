"""Back-pressure: a channel whose queues are nearly full takes nothing new until they have drained.

A paused door leaves what comes in the network (MLLP), in its folder (files), or says 503 (HTTP): cheaper for everybody
than a refusal a message. Between pausing and going on lies a gap, so that a door does not flutter at the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from channels.model import Channel
from router.brokers.base import Depth
from router.intake import queues_of_branch

log = structlog.get_logger()

_PAUSE_AT, _GO_ON_AT = 0.9, 0.7  # of a queue's limit in messages
_NONE = Depth(0)


class Pressure:
    """Which channels are paused, and by which queue. `judge` is asked after each look at the queues."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.paused: dict[str, str] = {}  # channel -> the queue that is too full
        self.watch(channels)

    def watch(self, channels: Sequence[Channel]) -> None:
        """These, from now on; which of them are paused stays."""
        self._queues = {
            channel.name: {
                queue: channel.max_messages
                for b in channel.branches
                for queue in queues_of_branch(channel, b)
            }
            for channel in channels
        }
        self.paused = {name: queue for name, queue in self.paused.items() if name in self._queues}

    @property
    def queues(self) -> list[str]:
        return [queue for queues in self._queues.values() for queue in queues]

    def judge(self, depths: Mapping[str, Depth]) -> tuple[list[str], list[str]]:
        """The channels to pause now, and those to resume."""
        pause, resume = [], []
        for name, queues in self._queues.items():
            share = {queue: depths.get(queue, _NONE).total / limit for queue, limit in queues.items()}
            fullest = max(share, key=lambda queue: share[queue], default="")
            if name not in self.paused and fullest and share[fullest] >= _PAUSE_AT:
                log.warning("door.paused", channel=name, queue=fullest, waiting=depths[fullest].total)
                self.paused[name] = fullest
                pause.append(name)
            elif name in self.paused and (not fullest or share[fullest] <= _GO_ON_AT):
                log.info("door.resumed", channel=name)
                del self.paused[name]
                resume.append(name)
        return pause, resume
