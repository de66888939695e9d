"""Settings and channels to a running engine: one process, with all roles or some.

`intake` opens the doors, `delivery` feeds the destinations, `journal` writes the rows and answers operators; between
processes there is only RabbitMQ. Start: broker, every queue declared, the journal, the destinations, and only then the
doors. Stop goes the other way round: no new messages, answers given, what is being sent finished and recorded; the
rest stays durable.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from channels.loader import Site, load_site
from channels.model import Channel
from config.errors import JingluoError
from config.private import make_folder
from config.settings import Settings
from endpoints.callers.admission import Admission
from endpoints.web import WebServer
from router.alerts.book import Alert, Book
from router.alerts.made import lookout_of
from router.board import Board, Way
from router.brokers import open_broker
from router.brokers.base import BrokerDown, Depth, QueueSpec
from router.clock import now_ms as wall_ms
from router.conservation import Conservation
from router.delivery import Outlet
from router.doors import Doors
from router.envelope import JOURNAL, Envelope, encode, queues_of
from router.gauges import Gauges
from router.intake import Intake
from router.journal import Journal
from router.keeping import InsuranceKeeping, Keeping, rules_of
from router.metrics import Metrics, Snapshot
from router.nonces import Nonces
from router.orders import agreed, begin
from router.post import Post
from router.pressure import Pressure
from router.queues import Queues
from router.reload import Reload, Reread
from router.scribe import Scribe
from router.settlement.made import desk_of
from router.store import Store, StoreDown, open_journal
from router.sweep import Sweep
from router.turns import TurnQueue
from router.work import Makers, Work

log = structlog.get_logger()


class Engine:
    """One process. `start` returns when the doors are open, `stop` when nothing is in flight.

    `store` and `journal` are there for the role `journal` alone: the others have no database.
    """

    def __init__(
        self,
        settings: Settings,
        site: Site,
        now_ms: Callable[[], int] = wall_ms,
        reread: Reread | None = None,
    ) -> None:
        self.settings = settings
        self.site = site
        self.reload = Reload(self, reread or (lambda: (settings, load_site(settings))))
        self.metrics = Metrics()
        self.started = False
        make_folder(settings.var)
        self.broker = open_broker(settings.broker, settings.var, settings.broker_tls)
        self.roles = frozenset(settings.roles)
        self._store = open_journal(settings) if "journal" in self.roles else None
        self.scribe = Scribe(settings)
        self._journal = Journal(self.scribe.write, self.broker) if self._store else None
        self._keeping = Keeping(self.scribe.keep, lambda: rules_of(self.settings, self.site.channels))
        self.when_started: list[Callable[[], None]] = []
        self.when_stopping: list[Callable[[], Awaitable[None]]] = []
        self.board = Board(self.broker)
        self.alerts = Book(self.broker)
        self.makers = self._makers(now_ms)
        self._insurance = InsuranceKeeping(self.makers.insurance, settings.insurance.keep, now_ms)
        self.nonces = Nonces(self.makers.seen, self.broker, now_ms, alone=settings.broker == "embedded")
        self.admission = Admission(lambda: now_ms() / 1000, self.nonces, self.metrics.caller_refused)
        self.admission.callers = site.callers
        http, limits = settings.http, settings.limits
        self.web = WebServer(http.host, http.port, limits, http.tls, admission=self.admission)
        self.queues = Queues(self.broker)
        self.posts: dict[Way, Post] = {}
        self._sweep, self._conservation = self._watchers(now_ms)
        # Of channels that the site has no more: what waits in others may still go there.
        self._gone: dict[str, Work] = {}
        self.works = {channel.name: self.makers.work(channel) for channel in site.channels}
        taking = site.channels if "intake" in self.roles else ()
        ways_in = [(channel, self.works[channel.name].intake.deliver) for channel in taking]
        base, makers, turn = str(settings.site), self.makers, partial(TurnQueue, self.broker)
        self.doors = Doors(
            ways_in, self.web, base, now_ms, makers.blobs.spool, makers.results.wait, turn, makers.insurance
        )
        self.unattended: dict[str, int] = {}  # queues that no channel has any more: what waits there
        self._held_back: set[str] = set()  # the channels whose doors were told to take nothing new
        self.pressure = Pressure(self.fed(site), self._taken)
        self.gauges = Gauges(
            self.broker, lambda: self.outlets, now_ms, lambda: self.pressure.queues, self._steer
        )
        self.lookout = lookout_of(self, now_ms) if self._store is not None else None
        self.metrics.watch(lambda: self._snapshot())

    def _makers(self, now_ms: Callable[[], int]) -> Makers:
        return Makers(
            self.settings,
            self.broker,
            self.board,
            self.metrics,
            self._tries,
            now_ms,
            self._refused,
            self._intake,
            lambda: self.pressure.paused,
            lambda hand_over: desk_of(self.settings, lambda: self.site, hand_over, now_ms),
            lambda: self.site.channels,
        )

    def _watchers(self, now_ms: Callable[[], int]) -> tuple[Sweep | None, Conservation | None]:
        """Who looks after the journal's messages, where this process has it."""
        if self._store is None or self._journal is None:
            return None, None
        conservation = Conservation(
            self._store,
            self.broker,
            self._journal,
            self.board,
            self.queues,
            lambda: self.site.channels,
            now_ms,
            lambda way: self.metrics.delivery(*way).dead.inc(),
        )
        return Sweep(self.makers.blobs, self._store, self._journal.caught_up, now_ms), conservation

    def _snapshot(self) -> Snapshot:
        missing = self._conservation.missing if self._conservation is not None else ()
        alerts = self.open_alerts()
        return self.gauges.snapshot(self._journal, self.web, self.board, self.paused(), missing, alerts)

    def open_alerts(self) -> list[Alert]:
        """Of the whole site, and that this process has no broker to tell it to."""
        away = self.lookout.away if self.lookout is not None else None
        return [*self.alerts.open.values(), *([away] if away is not None else [])]

    @property
    def outlets(self) -> list[Outlet]:
        """Every destination that this process delivers to, those included that are only emptied."""
        return [post.outlet for post in self.posts.values() if post.outlet is not None]

    def post(self, way: Way) -> Post:
        if way not in self.posts:
            self.posts[way] = Post(self.queues, self.settings.stop_within, lambda: self._still_fed(way))
        return self.posts[way]

    def all_alerts(self) -> list[Alert]:
        """Those that are open, and the latest that are over."""
        return [*self.open_alerts(), *self.alerts.closed]

    @property
    def store(self) -> Store:
        assert self._store is not None, "only the role `journal` has a database"
        return self._store

    @property
    def journal(self) -> Journal:
        assert self._journal is not None, "only the role `journal` has a database"
        return self._journal

    @property
    def conservation(self) -> Conservation:
        assert self._conservation is not None, "only the role `journal` has a database"
        return self._conservation

    async def start(self) -> None:
        """Raises OSError when the HTTP port is taken. Waits for the broker as long as there is none."""
        await self.web.start()
        self.broker.on_change(lambda open: log.info("broker.open" if open else "broker.down"))
        await self.broker.start()
        await self.broker.declare([QueueSpec(JOURNAL)])
        await self.board.start()
        await self.alerts.start()
        await self._agree()
        works = self.works.values()
        await self.queues.declare([spec for work in works for spec in work.queues])
        await self.queues.show()
        if "delivery" in self.roles:
            await self.makers.suspects.start()
        if self.roles & {"intake", "delivery"}:
            await begin(self.site.channels, self.board, self.broker)
        if self._journal is not None:
            await self._check_keys()
            await self._journal.start()
            self._keeping.start()
        await self.makers.replies.open()
        if self.roles & {"intake", "delivery"} and any(c.remembers for c in self.site.channels):
            await self.makers.remember()
        if "intake" in self.roles and self.site.callers.sign:
            await self.nonces.start()
        for work in works:
            for outlet in work.outlets:
                await outlet.prepare()
                await self.post(outlet.way).take_over(outlet)
        await self.tidy()
        self.gauges.start()
        self._insurance.start()
        if self.makers.desk is not None:
            self.makers.desk.start()
        if self._sweep is not None:
            self._sweep.start()
        if self._conservation is not None:
            self._conservation.start()
        self.board.listen(self._hold_back)
        self._hold_back()
        await self.doors.open()
        self.started = True
        if self.lookout is not None:
            await self.lookout.ready()
            self.lookout.start()
        for tell in self.when_started:
            tell()
        # What lives as long as the engine need not be walked at each collection, and a message leaves no cycles that
        # would be worth a look at every 700 objects more (5 % of CPU under load each).
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000)
        log.info(
            "engine.started",
            roles=",".join(sorted(self.roles)),
            channels=len(self.site.channels),
            digest=self.site.digest,
            http=self.web.port,
        )

    async def stop(self) -> None:
        """Gives everybody `stop_within` seconds; what is not finished then comes back at the next start.

        Also after a start that failed half way: one part's failure keeps no other from stopping.
        """
        self.started = False
        self.makers.replies.give_up()
        try:
            async with asyncio.timeout(self.settings.stop_within):
                await self.reload.idle()
                for ending in self.when_stopping:
                    await self._step("jobs", ending())
                await self._step("doors", self.doors.close())
                await asyncio.gather(*(self._step("outlet", post.stop()) for post in self.posts.values()))
        except TimeoutError:
            log.warning("engine.stop_cut_short", after_s=self.settings.stop_within)
        if self.lookout is not None:
            await self._step("alerts", self.lookout.stop())
        await self._step("nonces", self.nonces.stop())
        await self._step("seen", self.makers.seen.stop())
        if self.makers.desk is not None:
            await self._step("settlements", self.makers.desk.stop())
        await self._step("gauges", self.gauges.stop())
        if self._sweep is not None:
            await self._step("sweep", self._sweep.stop())
        if self._conservation is not None:
            await self._step("conservation", self._conservation.stop())
        await self._step("keeping", self._keeping.stop())
        await self._step("insurance", self._insurance.stop())
        await self._step("payments", asyncio.to_thread(self.makers.close))
        if self._journal is not None:
            await self._step("journal", self._journal.stop())
        await self._step("scribe", self.scribe.stop())
        await self._step("broker", self.broker.stop())
        await self._step("web", self.web.stop())
        self.makers.insurance_tables.close()
        if self._store is not None:
            self._store.close()
        log.info("engine.stopped")

    async def _agree(self) -> None:
        """Lanes are the site's, not a process's."""
        channels = await agreed(self.site.channels, self.board, self.queues)
        works = [self.makers.work(c) for c in channels if c.lanes != self.works[c.name].channel.lanes]
        if works and "intake" in self.roles:
            await self.doors.change([(work.channel, work.intake.deliver) for work in works], ())
        if works:
            self.exchange(replace(self.site, channels=tuple(channels)), works)

    async def _check_keys(self) -> None:
        """A key that does not open the journal's rows is refused now, not with the first batch."""
        try:
            await asyncio.to_thread(self.store.check)
        except StoreDown as error:
            log.warning("journal.keys_not_checked", code=error.code, error=error.text)

    async def tidy(self) -> None:
        """Looks for queues that no channel has any more. What waits in one is lost from sight, not lost: it is said."""
        used = {queue for outlet in self.outlets for queue in outlet.queues}
        left: set[str] = set()
        for way in self.board.known():
            work = self.works.get(way[0])
            lives = work is not None and any(branch.name == way[1] for branch in work.channel.branches)
            eras = self.board.eras(way)
            undrained = {lanes for era, lanes in enumerate(eras) if self.board.undrained(way, era)}
            for lanes in set(eras):  # a number of lanes may come again
                if not lives or (lanes and lanes not in undrained):
                    left.update(queues_of(*way, lanes))
        try:
            self.unattended = await self.queues.tidy(left - used)
        except BrokerDown as error:
            log.warning("queues.not_looked_at", code=error.code)

    def exchange(self, site: Site, works: Sequence[Work]) -> None:
        """These works in place of the old of their channels; channels that the site has no more are gone."""
        self.site = site
        self.admission.callers = site.callers
        changed = {work.channel.name: work for work in works}
        before, self.works = (
            self.works,
            {c.name: changed.get(c.name) or self.works[c.name] for c in site.channels},
        )
        self._gone = {n: work for n, work in (self._gone | before).items() if n not in self.works}
        self.pressure.watch(self.fed(site))
        self.queues.wanted = {spec.name for work in self.works.values() for spec in work.queues}
        self._held_back &= set(self.doors.channels)

    async def _step(self, name: str, stopping: Awaitable[None]) -> None:
        try:
            await stopping
        except Exception:
            log.exception("engine.stop_failed", part=name)

    def paused(self) -> dict[str, str]:
        """The channels whose doors take nothing new, and why."""
        why = {name: f"paused, {queue} is nearly full" for name, queue in self.pressure.paused.items()}
        for channel, destination in self.board.ways("draining"):
            why[channel] = f"paused, {destination} is being drained"
        return {name: reason for name, reason in why.items() if name in self.doors.channels}

    def _steer(self, depths: Mapping[str, Depth]) -> None:
        self.pressure.judge(depths)
        self._hold_back()

    def _taken(self, channel: str) -> tuple[int, int]:
        work = self.works.get(channel)
        return (work.intake.taken, work.intake.taken_bytes) if work is not None else (0, 0)

    def _refused(self, channel: str) -> None:
        self.pressure.refused(channel)
        self._hold_back()

    def _hold_back(self) -> None:
        paused = self.paused().keys()
        for name in paused - self._held_back:
            self.doors.pause(name)
        for name in self._held_back - paused:
            self.doors.resume(name)
        self._held_back = set(paused)
        for outlet in self.outlets:
            if outlet.target:
                outlet.look()

    def fed(self, site: Site) -> list[Channel]:
        """The channels that this process brings messages to, by their doors or by the destinations of others."""
        if "intake" in self.roles:
            return list(site.channels)
        delivers = "delivery" in self.roles
        targets = {branch.target for channel in site.channels for branch in channel.branches if delivers}
        return [channel for channel in site.channels if channel.name in targets]

    def _intake(self, channel: str) -> Intake | None:
        work = self.works.get(channel) or self._gone.get(channel)
        return work.intake if work is not None else None

    def _still_fed(self, way: Way) -> bool:
        """Whether something may still come to a destination whose channel is gone."""
        feeds = (outlet.target == way[0] and outlet.way != way for outlet in self.outlets)
        return way[0] not in self.works and any(feeds)

    async def resend(self, envelope: Envelope) -> None:
        """Makes a message of the operator's durable, as if its channel had accepted it. Raises JingluoError."""
        work = self.works.get(envelope.channel)
        if work is None:
            raise JingluoError("JL-J007", f"no channel {envelope.channel} runs here")
        queues = (
            await asyncio.to_thread(work.intake.queues, envelope)
            if envelope.blob
            else work.intake.queues(envelope)
        )
        await self.broker.publish(queues, encode(envelope))
        self.metrics.channel(envelope.channel).accepted.inc()

    def _tries(self, id: str, destination: str) -> tuple[int, int]:
        """Not known where the journal is another process's: then a lane counts from its own first try."""
        return self._store.tries(id, destination) if self._store is not None else (0, 0)
