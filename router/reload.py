"""From the files as they are now to what runs: all of it, or none.

Everything is read, checked, made and prepared beside what runs. The last thing that can fail is the opening of the new
doors; after it the channels are exchanged within one turn of the event loop. Then the old outlets finish what they
send, the new ones begin, and who was still owed an answer by an old door gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from channels.loader import Site, shown
from channels.model import Channel
from config.errors import ConfigError, Finding, JingluoError
from config.settings import Settings
from config.text import At, read
from endpoints.base import Source
from router.files import being_written, stamp
from router.orders import begin
from router.plan import HALF_READ, Plan, callers_between, make_plan, queues_of, relaned, same
from router.work import CannotWork, Work, why

if TYPE_CHECKING:
    from router.engine import Engine

log = structlog.get_logger()

Reread = Callable[[], tuple[Settings, Site]]

_AGAIN_S = 1.0
_IDLE_WITHIN_S = 5.0
_FREE = frozenset(
    ("site", "findings", "maps", "tables")
)  # settings that are not what the engine was built with


class Reload:
    """Plans and applies, one at a time. `reread` reads settings and site anew; it raises ConfigError.

    `last` is the plan of the last apply, whatever became of it.
    """

    def __init__(self, engine: Engine, reread: Reread) -> None:
        self._engine = engine
        self._reread = reread
        self._one = asyncio.Lock()
        self.last: Plan | None = None

    async def plan(self, *, drain: bool = False) -> Plan:
        """Changes nothing. Raises BrokerDown where nobody can say what waits."""
        plan, _ = await self._look(drain)
        return plan

    async def apply(self, *, drain: bool = False) -> Plan:
        """Puts the files to work, or changes nothing and says why in the plan's findings. Raises BrokerDown."""
        async with self._one:
            plan, site = await self._look(drain)
            if site is not None and not plan.refused:
                plan = await self._apply(plan, site)
            self.last = plan
            for finding in plan.findings:
                if finding.severity == "error":
                    log.error("reload.refused", finding=str(finding))
            if plan.applied and not plan.nothing:
                log.info("reload.applied", digest=plan.new, before=plan.live)
            return plan

    async def idle(self) -> None:
        """Waits for the apply that is under way, but not for ever: one that hangs holds up no stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_WITHIN_S), self._one:
                return

    # Looking

    async def _look(self, drain: bool) -> tuple[Plan, Site | None]:
        engine = self._engine
        digest = engine.site.digest
        self._must_run()
        try:
            settings, site = await asyncio.to_thread(self._read)
        except ConfigError as error:
            return Plan(live=digest, new="", findings=error.findings), None
        except JingluoError as error:
            finding = Finding("installation", 1, 1, error.code, error.text)
            return Plan(live=digest, new="", findings=(finding,)), None
        live = [work.channel for work in engine.works.values()]
        waiting = await self._waiting(live)
        plan = make_plan(live, digest, site, waiting, drain=drain)
        plan = plan.model_copy(update={"callers": callers_between(engine.site.callers, site.callers)})
        plan = plan.with_findings(_restarts(engine.settings, settings))
        if not site.channels and not plan.refused:
            what = "no channel would be left"
            hint = "stop the engine to stop them all"
            file = shown(settings.channels, settings.site)
            plan = plan.with_findings([Finding(file, 1, 1, "JL-R008", what, hint)])
        after = {channel.name: channel for channel in site.channels}
        lanes = [old for old in live if old.name in after and relaned(old, after[old.name])]
        if lanes and not await engine.queues.alone():
            what = "the number of lanes cannot change while other processes of this engine run"
            hint = "stop all of them, and start them with the new files"
            plan = plan.with_findings(Finding(old.file, 1, 1, "JL-R005", what, hint) for old in lanes)
        return plan, site

    def _must_run(self) -> None:
        if not self._engine.started:
            raise JingluoError("JL-R004", "the engine is starting or stopping")

    def _read(self) -> tuple[Settings, Site]:
        """What is read while somebody writes may be half of it."""
        before = stamp(self._engine.settings)
        read = self._reread()
        writing = being_written(self._engine.settings)
        if writing is not None or stamp(self._engine.settings) != before:
            file = shown(writing, self._engine.settings.site) if writing else "the site"
            what = "it is being written to just now" if writing else "its files changed while they were read"
            raise ConfigError([Finding(file, 1, 1, HALF_READ, what, "apply again when all is written")])
        return read

    async def _waiting(self, live: Sequence[Channel]) -> dict[str, int]:
        """By queue. What waits for its next try is in none on RabbitMQ: of that we know what we had in hand."""
        engine = self._engine
        waiting = await engine.queues.waiting(queues_of(live))
        if await engine.broker.delayed():
            for outlet in engine.outlets:
                in_queues = sum(waiting.get(queue, 0) for queue in outlet.queues)
                if outlet.queues[0] in waiting:
                    waiting[outlet.queues[0]] += max(outlet.known - in_queues, 0)
        return waiting

    # Doing

    async def _apply(self, plan: Plan, site: Site) -> Plan:
        engine = self._engine
        before = {name: work.channel for name, work in engine.works.items()}
        coming = [c for c in site.channels if c.name not in before or not same(before[c.name], c)]
        gone = before.keys() - {channel.name for channel in site.channels}
        try:
            works = self._make(coming)
            async with self._ready(works):
                if engine.roles & {"intake", "delivery"} and any(c.remembers for c in coming):
                    await engine.makers.remember()
                if "intake" in engine.roles and site.callers.sign:
                    await engine.nonces.start()
                shut = await self._doors(works, gone)
                engine.exchange(site, works)
        except CannotWork as error:
            settings, file = engine.settings, error.channel.file
            place = _place(settings.site / file, error.at)
            return plan.with_findings([Finding(file, *place, error.code, error.text)])
        await self._hand_over(works, gone, shut)
        return plan.model_copy(update={"applied": True})

    def _make(self, channels: Iterable[Channel]) -> list[Work]:
        works = []
        for channel in channels:
            try:
                works.append(self._engine.makers.work(channel))
            except Exception as error:  # a plug-in's endpoint
                raise CannotWork(channel, why(error)) from error
        return works

    @contextlib.asynccontextmanager
    async def _ready(self, works: Sequence[Work]) -> AsyncIterator[None]:
        """The works prepared and their queues declared; where what follows fails, all is as it was."""
        ready: list[Work] = []
        made: list[str] = []
        try:
            for work in works:
                await work.prepare()
                ready.append(work)
                made += await self._engine.queues.missing(work.queues)
                await self._engine.queues.declare(work.queues)
            yield
        except BaseException:
            for work in ready:
                await work.give_up()
            await self._take_back(made)
            raise

    async def _take_back(self, made: Sequence[str]) -> None:
        engine = self._engine
        with contextlib.suppress(JingluoError):
            limits = [spec for work in engine.works.values() for spec in work.queues]
            await engine.queues.declare(limits)
            await engine.queues.take_back(made)

    async def _doors(self, works: Sequence[Work], gone: Iterable[str]) -> list[Source]:
        if "intake" not in self._engine.roles:
            return []
        self._must_run()
        ways_in = [(work.channel, work.intake.deliver) for work in works]
        return await self._engine.doors.change(ways_in, tuple(gone))

    async def _hand_over(self, works: Sequence[Work], gone: Iterable[str], shut: Sequence[Source]) -> None:
        """From here on nothing is taken back: what fails is said, and the rest goes on."""
        engine = self._engine
        left = {work.channel.name: {branch.name for branch in work.channel.branches} for work in works}
        left |= {name: set() for name in gone}
        for (channel, destination), post in engine.posts.items():
            if channel in left and destination not in left[channel]:
                post.end()
        await self._order(works)
        # Where the engine stops meanwhile, what waits is for the next start.
        turns = (
            engine.post(outlet.way).take_over(outlet) if engine.started else outlet.stop()
            for work in works
            for outlet in work.outlets
        )
        done = await asyncio.gather(*(source.stop() for source in shut), *turns, return_exceptions=True)
        for failed in done:
            if isinstance(failed, BaseException):
                log.error("reload.part_failed", exc_info=failed)
        await engine.tidy()

    async def _order(self, works: Sequence[Work]) -> None:
        """What was accepted until now goes before what comes into other lanes: a fence goes behind the last of it."""
        engine = self._engine
        while engine.started and engine.roles & {"intake", "delivery"}:
            try:
                await engine.broker.settled()
                await begin([work.channel for work in works], engine.board, engine.broker)
                return
            except JingluoError as error:
                log.warning("reload.waits_for_the_broker", code=error.code)
                await asyncio.sleep(_AGAIN_S)


def _restarts(running: Settings, new: Settings) -> Iterable[Finding]:
    """Settings that an engine is built with: no reload changes them."""
    file = new.systems.with_name("jingluo.yaml")
    for key in Settings.model_fields:
        if key not in _FREE and getattr(running, key) != getattr(new, key):
            what = f"`{key}` is not what the engine was started with"
            hint = "restart it, or put the old value back"
            yield Finding(shown(file, new.site), *_place(file, (key,)), "JL-R002", what, hint)


def _place(file: Path, at: At) -> tuple[int, int]:
    """Line and column; where the file cannot be read any more, its beginning."""
    try:
        return read(file).place(at, on_key=True)
    except ConfigError:
        return 1, 1
