"""Back-pressure: a channel whose queues are nearly full takes nothing new until they have drained.

A paused door leaves what comes in the network (MLLP), in its folder (files), or says 503 (HTTP): cheaper for everybody
than a refusal a message. Between pausing and going on lies a gap, so that a door does not flutter at the limit.

Queues are looked at once a second. RabbitMQ says how many messages wait, not how many bytes: these are estimated by the
size of what has come in lately. Where a queue refuses all the same, its channel is paused until a part has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from channels.model import Channel
from router.brokers.base import Depth, QueueSpec
from router.envelope import JOURNAL
from router.intake import queues_of_branch

log = structlog.get_logger()

_PAUSE_AT, _GO_ON_AT = 0.9, 0.7  # of a queue's limit, in messages or in bytes
_PATIENCE = 15  # looks after a refusal: then a message is tried, whatever the queues say
_SOME = 20  # messages from which a size is judged
_NONE = Depth(0)

Taken = Callable[[str], tuple[int, int]]


class _Sizes:
    """Of each channel, how large a message is, by what has come in lately."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._before: dict[str, tuple[int, int]] = {}
        self._mean: dict[str, float] = {}

    def look(self, name: str) -> float:
        count, size = self._taken(name)
        count_before, size_before = self._before.get(name, (0, 0))
        if count - count_before >= _SOME:
            latest = (size - size_before) / (count - count_before)
            self._mean[name] = (self._mean.get(name, latest) + latest) / 2
            self._before[name] = count, size
        return self._mean.get(name, size / count if count else 0.0)


@dataclass(slots=True)
class _Refusal:
    """A queue took no more: how much waited then, as far as was seen since, and how often was looked."""

    most: int = 0
    looks: int = 0

    def over(self, waiting: int) -> bool:
        self.most = max(self.most, waiting)
        self.looks += 1
        return waiting <= _GO_ON_AT * self.most or self.looks >= _PATIENCE


class _Room(NamedTuple):
    """A queue, and how much of messages and bytes it takes."""

    queue: str
    messages: int
    bytes: int


# What is accepted must go there too: it fills while the database is away.
_SPEC = QueueSpec(JOURNAL)
_JOURNAL = _Room(_SPEC.name, _SPEC.max_length, _SPEC.max_bytes)


class Pressure:
    """Which channels are paused, and by which queue. `judge` is asked after each look at the queues.

    `taken` says of a channel how many messages and bytes this process has published so far.
    """

    def __init__(self, channels: Sequence[Channel], taken: Taken = lambda name: (0, 0)) -> None:
        self.paused: dict[str, str] = {}  # channel -> the queue that is too full
        self._refusals: dict[str, _Refusal] = {}
        self._depths: Mapping[str, Depth] = {}
        self._sizes = _Sizes(taken)
        self.watch(channels)

    def watch(self, channels: Sequence[Channel]) -> None:
        """These, from now on; which of them are paused stays."""
        self._channels = {
            channel.name: [
                *(
                    _Room(queue, channel.max_messages, channel.max_bytes)
                    for b in channel.branches
                    for queue in queues_of_branch(channel, b)
                ),
                _JOURNAL,
            ]
            for channel in channels
        }
        self.paused = {name: queue for name, queue in self.paused.items() if name in self._channels}
        self._refusals = {name: told for name, told in self._refusals.items() if name in self.paused}

    @property
    def queues(self) -> list[str]:
        return [room.queue for rooms in self._channels.values() for room in rooms]

    def judge(self, depths: Mapping[str, Depth]) -> tuple[list[str], list[str]]:
        """The channels to pause now, and those to resume."""
        self._depths = depths
        pause, resume = [], []
        for name in self._channels:
            fullest, share = self._fullest(name)
            if name not in self.paused:
                if share >= _PAUSE_AT:
                    self._pause(name, fullest)
                    pause.append(name)
                continue
            refusal = self._refusals.get(name)
            over = share <= _GO_ON_AT if refusal is None else refusal.over(depths.get(fullest, _NONE).total)
            if over and share < _PAUSE_AT:
                log.info("door.resumed", channel=name)
                del self.paused[name]
                self._refusals.pop(name, None)
                resume.append(name)
        return pause, resume

    def refused(self, name: str) -> None:
        """A queue of this channel took no more."""
        if name in self._channels and name not in self.paused:
            self._refusals[name] = _Refusal()
            self._pause(name, self._fullest(name)[0])

    def _pause(self, name: str, queue: str) -> None:
        depth = self._depths.get(queue, _NONE)
        log.warning("door.paused", channel=name, queue=queue, waiting=depth.total, bytes=depth.bytes)
        self.paused[name] = queue

    def _fullest(self, name: str) -> tuple[str, float]:
        """The queue that has least room left, and how much of its limit is taken."""
        size = self._sizes.look(name)

        def taken(room: _Room) -> float:
            depth = self._depths.get(room.queue, _NONE)
            guessed = 0.0 if room is _JOURNAL else depth.total * size  # most of what is there is no message
            return max(depth.total / room.messages, (depth.bytes or guessed) / room.bytes)

        fullest = max(self._channels[name], key=taken)
        return fullest.queue, taken(fullest)
