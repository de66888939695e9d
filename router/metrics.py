"""What `/metrics` says, counted once and in one place (Prometheus text format).

Counters and histograms are bound to their labels when a channel starts, so that counting costs no look-up.
Gauges are asked for when somebody reads: the engine hands in a function that gives a `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from router.counts import Counts, Spreads

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ANSWER_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_DELIVERY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one destination: how many messages, and for how long the oldest (seconds)."""

    channel: str
    destination: str
    depth: int
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine's state at one moment."""

    waiting: tuple[Waiting, ...] = ()
    delayed: int = 0  # of all destinations together, until their next try
    journal_behind: int = 0  # in the journal's queue, not yet rows
    journal_ok: bool = True
    broker_open: bool = True
    connections: int = 0
    paused: tuple[str, ...] = ()  # channels that take nothing new: a queue is nearly full, or drained
    stopped: tuple[tuple[str, str, str], ...] = ()  # channel, destination, paused or draining
    missing: tuple[
        tuple[str, str, int], ...
    ] = ()  # channel, destination: deliveries in no place (conservation)
    alerts: tuple[
        tuple[str, str, str, str], ...
    ] = ()  # what, channel, destination, about: those that are open
    held: tuple[
        tuple[tuple[str, str], int], ...
    ] = ()  # channel and destination: lanes that wait for an operator


class ChannelMetrics:
    """One channel's way in."""

    def __init__(self, parts: _Parts, channel: str) -> None:
        self.accepted = parts.accepted.labels(channel)
        self.filtered = parts.filtered.labels(channel)
        self.noted = parts.noted.labels(channel)
        self.refused = parts.refused.labels(channel)
        self.duplicates = parts.duplicates.labels(channel)
        self.failed = parts.failed.labels(channel)
        self.answer_seconds = parts.answer_seconds.labels(channel)


class DeliveryMetrics:
    """One destination of one channel. `failed` counts tries, `dead` the deliveries given up."""

    def __init__(self, parts: _Parts, channel: str, destination: str) -> None:
        self.delivered = parts.delivered.labels(channel, destination)
        self.noted = parts.delivery_noted.labels(channel, destination)
        self.failed = parts.tries_failed.labels(channel, destination)
        self.dead = parts.dead.labels(channel, destination)
        self.delivery_seconds = parts.delivery_seconds.labels(channel, destination)


class _Parts:
    def __init__(self, registry: CollectorRegistry) -> None:
        door, way = ("channel",), ("channel", "destination")

        def counter(name: str, help: str, labels: tuple[str, ...]) -> Counts:
            figure = Counts(f"jingluo_{name}", help, labels)
            registry.register(figure)
            return figure

        def histogram(name: str, help: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> Spreads:
            figure = Spreads(f"jingluo_{name}", help, labels, bounds)
            registry.register(figure)
            return figure

        self.accepted = counter("accepted", "Messages accepted and durable", door)
        self.filtered = counter("filtered", "Messages that went nowhere by the channel's conditions", door)
        self.noted = counter(
            "noted", "Messages taken although validation found faults, which are noted", door
        )
        self.refused = counter("refused", "Messages refused because of what they said", door)
        self.duplicates = counter("duplicates", "Resends: answered as the first was, not sent on", door)
        self.failed = counter("not_kept", "Messages given back to the sender: no broker, or no room", door)
        self.callers_refused = counter(
            "callers_refused", "Requests that did not come in", ("channel", "reason")
        )
        self.answer_seconds = histogram("answer_seconds", "From receipt to the reply", door, _ANSWER_S)
        self.delivered = counter("delivered", "Deliveries the receiver said yes to", way)
        self.delivery_noted = counter("delivery_noted", "Deliveries in which validation found faults", way)
        self.tries_failed = counter("delivery_failed", "Tries of a delivery that failed", way)
        self.dead = counter("dead", "Deliveries given up", way)
        self.delivery_seconds = histogram(
            "delivery_seconds", "From receipt to the receiver's yes", way, _DELIVERY_S
        )


class Metrics:
    """All of one engine's figures. Two engines in one process do not mix theirs."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._parts = _Parts(self._registry)
        self._channels: dict[str, ChannelMetrics] = {}
        self._deliveries: dict[tuple[str, str], DeliveryMetrics] = {}

    def channel(self, channel: str) -> ChannelMetrics:
        """Ask once and keep it. The series exist from then on, at 0."""
        if channel not in self._channels:
            self._channels[channel] = ChannelMetrics(self._parts, channel)
        return self._channels[channel]

    def delivery(self, channel: str, destination: str) -> DeliveryMetrics:
        """Ask once and keep it. The series exist from then on, at 0."""
        way = (channel, destination)
        if way not in self._deliveries:
            self._deliveries[way] = DeliveryMetrics(self._parts, channel, destination)
        return self._deliveries[way]

    def caller_refused(self, channel: str, reason: str) -> None:
        self._parts.callers_refused.labels(channel, reason).inc()

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """`snapshot` is called at each `render`; it must not block. Once only."""
        self._registry.register(_Gauges(snapshot))

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterator[Metric]:
        """Nothing: or registering would already ask the engine."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        way = ("channel", "destination")
        depth = GaugeMetricFamily("jingluo_queue_depth", "Messages that wait for a destination", labels=way)
        oldest = GaugeMetricFamily("jingluo_oldest_waiting_seconds", "Age of the oldest of them", labels=way)
        for waiting in now.waiting:
            depth.add_metric((waiting.channel, waiting.destination), waiting.depth)
            oldest.add_metric((waiting.channel, waiting.destination), waiting.oldest_s)
        paused = GaugeMetricFamily(
            "jingluo_paused", "1 while the channel takes nothing new", labels=("channel",)
        )
        for name in now.paused:
            paused.add_metric((name,), 1)
        by_hand = GaugeMetricFamily(
            "jingluo_destination_stopped",
            "1 while an operator keeps the destination so",
            labels=(*way, "state"),
        )
        for place in now.stopped:
            by_hand.add_metric(place, 1)
        held = GaugeMetricFamily(
            "jingluo_lanes_held", "Lanes that wait for an operator's decision", labels=way
        )
        for place_held, count in now.held:
            held.add_metric(place_held, count)
        missing = GaugeMetricFamily(
            "jingluo_missing", "Deliveries that are neither ended nor in a queue", labels=way
        )
        for channel, destination, missed in now.missing:
            missing.add_metric((channel, destination), missed)
        alerts = GaugeMetricFamily(
            "jingluo_alert", "1 while the alert is open", labels=("what", *way, "about")
        )
        for alert in now.alerts:
            alerts.add_metric(alert, 1)
        yield alerts
        yield missing
        yield by_hand
        yield held
        yield depth
        yield oldest
        yield paused
        for name, help, value in (
            ("delayed", "Messages that wait for their next try, of all destinations", now.delayed),
            ("journal_behind", "Messages and tries that are not yet in the database", now.journal_behind),
            ("journal_ok", "1 when the journal can write to its database", now.journal_ok),
            ("broker_open", "1 when the broker takes messages", now.broker_open),
            ("connections", "Open connections of senders", now.connections),
        ):
            yield GaugeMetricFamily(f"jingluo_{name}", help, value=float(value))
