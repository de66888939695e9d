"""The channels' sources: opened last, closed first, and tried again where one cannot open.

A door is exchanged only where what it listens to changes; otherwise it stays open, with its connections, and hands
its messages to the channel's new intake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any

import structlog

from channels.model import Channel
from config import registry
from endpoints.base import Alone, Deliver, Ground, Source, Spool, Turn, Web
from endpoints.insurance.records import Records
from router.work import CannotWork, why
from schemas.message import Message, Reply

log = structlog.get_logger()

_TRY_AGAIN_S = 5.0
WaysIn = Sequence[tuple[Channel, Deliver]]


class Door:
    """One channel's source, and where its messages go."""

    def __init__(self, channel: Channel, deliver: Deliver, source: Source) -> None:
        self.channel = channel
        self.deliver = deliver
        self.source = source

    def take(self, message: Message) -> asyncio.Future[Reply]:
        """What the source is handed: it stays the same while `deliver` is exchanged."""
        return self.deliver(message)

    def serves(self, channel: Channel) -> bool:
        """Whether this door is also that channel's, as it stands."""
        own = self.channel
        return (own.kind, own.options, own.door, own.format.name, bool(own.asks), own.described) == (
            channel.kind,
            channel.options,
            channel.door,
            channel.format.name,
            bool(channel.asks),
            channel.described,
        )

    @property
    def address(self) -> tuple[Any, ...]:
        """What one door at a time can have."""
        options = self.channel.options
        if not options.listens:
            return (self.channel.kind, self.channel.name)
        return (self.channel.kind, *(getattr(options, key, None) for key in ("port", "path", "method")))


class Doors:
    """Every channel's way in. A door that cannot open (a port in use) does not hold the others."""

    def __init__(
        self,
        ways_in: WaysIn,
        web: Web,
        base_dir: str,
        now_ms: Callable[[], int],
        spool: Callable[[], Spool] | None = None,
        results: Callable[[str, str, str, float], Awaitable[Reply | None]] | None = None,
        turn: Callable[[str], Turn] | None = None,
        insurance: Records | None = None,
    ) -> None:
        """`results`: channel, caller, message's id, and how long to wait for more than `pending` (seconds)."""
        self._web = web
        self._base_dir = base_dir
        self._now_ms = now_ms
        self._spool = spool
        self._results = results
        self._turn = turn
        self._insurance = insurance
        self._paused: set[str] = set()
        self._changing = asyncio.Lock()
        self._doors = {channel.name: self._door(channel, deliver) for channel, deliver in ways_in}
        self.closed = dict.fromkeys(self._doors, "not opened yet")  # channel -> why
        self._again: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Opens all it can; the others are tried again every few seconds."""
        await self._open_closed()
        self._try_again()

    async def close(self) -> None:
        """No new messages; returns when every reply that is owed has been given."""
        async with self._changing:
            pass  # what is just being opened is closed with the others
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        await asyncio.gather(
            *(_stopped(name, door.source) for name, door in self._doors.items() if name not in self.closed)
        )

    @property
    def channels(self) -> Collection[str]:
        return self._doors.keys()

    @property
    def troubles(self) -> dict[str, str]:
        """Doors that are open while what they take from is away, or not as it should be: channel -> what."""
        said = {name: getattr(door.source, "trouble", "") for name, door in self._doors.items()}
        return {name: text for name, text in said.items() if text}

    def pause(self, channel: str) -> None:
        """Takes nothing new there until `resume`."""
        self._paused.add(channel)
        self._doors[channel].source.pause()

    def resume(self, channel: str) -> None:
        self._paused.discard(channel)
        self._doors[channel].source.resume()

    def port(self, channel: str) -> int | None:
        """The port a door listens on, for doors that have one of their own."""
        return getattr(self._doors[channel].source, "port", None)

    # While the engine runs

    async def change(self, ways_in: WaysIn, gone: Collection[str]) -> list[Source]:
        """Opens these ways too, or in place of a channel's old one, and shuts those of `gone`: all, or none.

        Raises CannotWork.

        Nothing comes in by a new door before all are open. What it returns is shut; its `stop` waits for the replies
        still owed.
        """
        async with self._changing:
            return await self._change(ways_in, gone)

    async def _change(self, ways_in: WaysIn, gone: Collection[str]) -> list[Source]:
        kept: list[tuple[Door, Channel, Deliver]] = []
        coming: list[Door] = []
        leaving = {name: self._doors[name] for name in gone}
        for channel, deliver in ways_in:
            old = self._doors.get(channel.name)
            if old is not None and old.serves(channel):
                kept.append((old, channel, deliver))
                continue
            coming.append(self._door(channel, deliver))
            if old is not None:
                leaving[channel.name] = old
        await self._open_beside(coming, leaving)
        for door, channel, deliver in kept:
            door.channel, door.deliver = channel, deliver
        shut = [door.source for name, door in leaving.items() if name not in self.closed]
        for name, door in leaving.items():
            door.source.close()
            del self._doors[name]
            self.closed.pop(name, None)
        self._paused -= set(gone)
        for door in coming:
            name = door.channel.name
            self._doors[name] = door
            self._said_open(door)
            if name not in self._paused:
                door.source.resume()
        return shut

    async def _open_beside(self, coming: Sequence[Door], leaving: dict[str, Door]) -> None:
        """Opens the new ones, paused: first those that need no old one's place; routes last, for that takes no time."""
        places = {door.address for door in leaving.values()}
        coming = sorted(coming, key=lambda door: (door.address in places, door.address[1] is None))
        opened: list[Door] = []
        gave_way: list[Door] = []
        try:
            for door in coming:
                for name, old in leaving.items():
                    if old.address == door.address and name not in self.closed:
                        old.source.close()
                        gave_way.append(old)
                door.source.pause()
                await door.source.start(door.take)
                opened.append(door)
        except BaseException as error:
            for door in opened:
                await _stopped(door.channel.name, door.source)
            await self._reopen(gave_way)
            if not isinstance(error, Exception):
                raise
            failed = coming[len(opened)].channel
            text = f"its door ({failed.kind}) does not open: {why(error)}"
            raise CannotWork(failed, text, ("from",)) from error

    async def _reopen(self, gave_way: Sequence[Door]) -> None:
        """A source that was closed does not open again: each gets a new one."""
        closed = [(door.channel.name, door.source) for door in gave_way]
        for door in gave_way:
            door.source = self._door(door.channel, door.deliver).source
            self.closed[door.channel.name] = "closed for a change that failed"
        await self._open_closed()
        self._try_again()
        await asyncio.gather(*(_stopped(name, source) for name, source in closed))

    def _door(self, channel: Channel, deliver: Deliver) -> Door:
        kind = registry.sources.get(channel.kind)
        ground = Ground(
            channel.name,
            channel.format.name,
            self._web,
            self._base_dir,
            now=lambda: self._now_ms() / 1000,
            spool=self._spool,
            results=partial(self._results, channel.name) if self._results and channel.asks else None,
            described=channel.described,
            turn=partial(self._turn, channel.name) if self._turn else Alone,
            insurance=self._insurance,
        )
        source = kind(channel.options, ground)
        if channel.name in self._paused:
            source.pause()
        return Door(channel, deliver, source)

    def _try_again(self) -> None:
        if self.closed and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._keep_trying(), name="doors")

    async def _open_closed(self) -> None:
        for name in list(self.closed):
            door = self._doors.get(name)
            if door is None:
                continue
            try:
                await door.source.start(door.take)
            except Exception as error:  # also a plug-in's: it is that door's alone
                if self._doors.get(name) is not door:  # exchanged meanwhile
                    continue
                reason = why(error)
                if self.closed.get(name) != reason:
                    log.error("door.closed", channel=name, kind=door.channel.kind, reason=reason)
                self.closed[name] = reason
            else:
                if self._doors.get(name) is not door:  # exchanged meanwhile
                    await _stopped(name, door.source)
                    continue
                self.closed.pop(name, None)
                self._said_open(door)

    def _said_open(self, door: Door) -> None:
        name = door.channel.name
        log.info("door.open", channel=name, kind=door.channel.kind, port=self.port(name))

    async def _keep_trying(self) -> None:
        while self.closed:
            await asyncio.sleep(_TRY_AGAIN_S)
            await self._open_closed()


async def _stopped(name: str, source: Source) -> None:
    """A door that cannot stop, a plug-in's perhaps, keeps no other from it."""
    try:
        await source.stop()
    except Exception:
        log.exception("door.not_stopped", channel=name)
