"""One channel at work: its intake and its outlets, and the queues between them.

A `Work` is made whole, beside whatever else runs, and starts and stops by itself. So a reload is an exchange of such
values, and a start is the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from channels.model import Branch, Channel
from config import registry
from config.errors import JingluoError
from config.settings import Settings
from config.text import At
from endpoints.base import Destination, Ground, HandOver
from router.blobs import open_blobs
from router.board import Board
from router.brokers.base import Broker, QueueSpec
from router.collector import Collector
from router.delivery import Collecting, Outlet
from router.duplicates import Duplicates, Seen
from router.gathering import Gathering
from router.groups import Groups
from router.handling import Handling
from router.handover import Handover
from router.intake import Intake
from router.large import Large
from router.metrics import Metrics
from router.orders import specs
from router.reconcile.made import reconciliation
from router.recorder import Recorder
from router.replies import Replies
from router.resends import Resends
from router.results import Results
from router.settlement.desk import Desk
from router.store.insurance_catalogue import open_catalogues
from router.store.insurance_records import open_insurance
from router.store.payment_book import open_payments
from router.suspects import Suspects

Tries = Callable[[str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Work:
    """A channel as this process runs it; without outlets where another process delivers."""

    channel: Channel
    intake: Intake
    outlets: tuple[Outlet, ...]

    @property
    def queues(self) -> list[QueueSpec]:
        """Every destination's, whoever delivers: what is accepted must be durable in all of them."""
        channel = self.channel
        own = [specs(channel, (channel.name, b.name), channel.lanes_to(b.name)) for b in channel.branches]
        return [spec for some in own for spec in some]

    async def prepare(self) -> None:
        """All that can fail. Raises CannotWork; then nothing is left open."""
        ready: list[Outlet] = []
        for outlet in self.outlets:
            try:
                await outlet.prepare()
            except Exception as error:  # also a plug-in's
                for done in ready:
                    await done.stop()
                text = f"the destination {outlet.branch.name} cannot begin: {why(error)}"
                raise CannotWork(self.channel, text, ("to", outlet.branch.name)) from error
            ready.append(outlet)

    async def give_up(self) -> None:
        """What was prepared will not be needed."""
        for outlet in self.outlets:
            await outlet.stop()


class CannotWork(JingluoError):
    """JL-R003: a part of a channel cannot begin: a port in use, a file that is missing."""

    def __init__(self, channel: Channel, text: str, at: At = ()) -> None:
        """`at` is the part's place in the channel's file."""
        super().__init__("JL-R003", text)
        self.channel = channel
        self.at = at


def why(error: Exception) -> str:
    """What an endpoint's failure says to people."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


class Makers:
    """What all channels of one engine are put to work with. `work` makes one; nothing of it runs yet."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        board: Board,
        metrics: Metrics,
        tries: Tries,
        now_ms: Callable[[], int],
        full: Callable[[str], None],
        intakes: Callable[[str], Intake | None],
        paused: Callable[[], Mapping[str, str]],
        desk: Callable[[HandOver], Desk | None],
        channels: Callable[[], tuple[Channel, ...]],
    ) -> None:
        """`full` is told of a channel one of whose queues took no more; such are `paused`, by channel and queue.

        `intakes` are the channels' of the moment, by name; `channels` all of the site.
        """
        self.seen = Seen(settings.var / "seen.db", now_ms)
        self.results = Results(self.seen)
        self.replies = Replies(broker, self.results)
        self._resends = Resends(broker, self.seen, now_ms)
        self.blobs = open_blobs(settings, now_ms, lambda: broker.open)
        self._hand_over = Handover(intakes, self.blobs, board, paused)
        self._settings = settings
        self._broker = broker
        self._board = board
        self._metrics = metrics
        self._recorder = Recorder(broker)
        self.suspects = Suspects(broker)
        self._groups = Groups(broker)
        self._tries = tries
        self._now_ms = now_ms
        self._full = full
        self.insurance = open_insurance(settings, now_ms)
        self.insurance_tables = open_catalogues(settings, now_ms)
        self.payments = open_payments(settings)
        self.desk = desk(self._hand_over)
        self.reconciliation = reconciliation(
            settings, self.payments, self.desk, channels, self._hand_over, now_ms
        )

    def close(self) -> None:
        """The records of payments and of reconciliation. Blocking."""
        self.payments.close()
        self.reconciliation.store.close()

    async def remember(self) -> None:
        """From now on resends are known. Raises sqlite3.Error where the file cannot be used, and BrokerDown."""
        await self.seen.start()
        if self._settings.broker != "embedded":  # else there is no other process
            await self._resends.start()

    def work(self, channel: Channel) -> Work:
        """Raises what an endpoint's constructor raises."""
        duplicates = Duplicates(channel, self.seen)
        large = Large(channel, self.blobs, self._settings.limits.whole)
        full = partial(self._full, channel.name)
        intake = Intake(
            channel,
            self._broker,
            self.replies,
            self._metrics,
            self._now_ms,
            large,
            full,
            duplicates,
            self.results,
        )
        delivers = "delivery" in self._settings.roles
        outlets = (
            tuple(self._outlet(channel, branch, large) for branch in channel.branches) if delivers else ()
        )
        return Work(channel, intake, outlets)

    def _outlet(self, channel: Channel, branch: Branch, large: Large) -> Outlet:
        kind = registry.destinations.get(branch.kind)
        ground = Ground(
            name=f"{channel.name}.{branch.name}",
            format=branch.format,
            base_dir=str(self._settings.site),
            now=lambda: self._now_ms() / 1000,
            hand_over=self._hand_over,
            writes=branch.writes,
            insurance=self.insurance,
            insurance_tables=self.insurance_tables,
            settle=self.desk,
            payments=self.payments,
            statements=self.reconciliation,
        )
        destination = kind(branch.options, ground)
        handling = Handling(
            channel,
            branch,
            destination,
            self._broker,
            self._recorder,
            self.replies,
            self._metrics,
            self.suspects,
            self._now_ms,
            large,
        )
        if not branch.target:
            return Outlet(handling, destination, self._board, self._tries)
        takes = partial(self._hand_over.takes, (channel.name, branch.name), branch.target)
        collector = self._collector(handling, destination) if branch.collect else None
        return Outlet(handling, destination, self._board, self._tries, takes, collector)

    def _collector(self, handling: Handling, destination: Destination) -> Collecting:
        gathering = Gathering(
            handling.channel, handling.branch, handling.attempter, destination.send, self._now_ms
        )
        return lambda queue, gate, at_once: Collector(
            queue, handling, gathering, self._groups, self.suspects, gate, self._board, self._tries, at_once
        )
