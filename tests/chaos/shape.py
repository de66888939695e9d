"""What a seed says: the fault, the stack, the processes, the channels, the load. And the site that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from peers import KINDS

from router.envelope import JOURNAL, queues_of

ALL = ("",)  # one process with every role
APART = ("intake", "delivery", "journal")
TWICE = ("intake", "delivery", "delivery", "journal", "journal")
LANES = (1, 2, 3, 4)
DESTINATIONS = ("lis", "emr")
RATES = (60, 150, 400)  # messages/s over all senders, at most


@dataclass(frozen=True, slots=True)
class ChannelShape:
    """A channel with two destinations: `lis` gets messages as they came, `emr` some of them with a map."""

    name: str
    lanes: int = 0  # 0: no order, in parallel
    duplicates: bool = False

    def goes_to(self, kind: str) -> tuple[str, ...]:
        """The destinations, as `channel.name`, of a message of this kind: what the site's conditions below say."""
        if not kind.startswith("ADT"):
            return ()
        names = DESTINATIONS if kind in KINDS[:2] else DESTINATIONS[:1]
        return tuple(f"{self.name}.{name}" for name in names)


@dataclass(frozen=True, slots=True)
class Shape:
    """A trial as its seed draws it. `stack` is `embedded`, `rabbitmq` or `cluster` (both with PostgreSQL)."""

    seed: int
    stack: str
    processes: tuple[str, ...]
    channels: tuple[ChannelShape, ...]
    keys: int  # of each channel
    pause_s: float  # of a sender between two messages, on average
    repeats: int  # how often the fault happens
    messages: int  # at least so many are accepted before it is enough


def draw(seed: int, chance: Random, stacks: tuple[str, ...], messages: int) -> Shape:
    stack = chance.choice(stacks)
    processes = ALL if stack == "embedded" else chance.choice((ALL, APART, TWICE))
    channels = [
        _ordered(chance.choice(LANES[1:]), duplicates=chance.random() < 0.5),
        ChannelShape("parallel", duplicates=chance.random() < 0.5),
    ]
    if chance.random() < 0.3:
        channels.append(_ordered(1))
    keys = chance.randrange(3, 9)
    pause_s = keys * len(channels) / chance.choice(RATES)
    return Shape(seed, stack, processes, tuple(channels), keys, pause_s, chance.randrange(1, 4), messages)


def queues(shape: Shape) -> list[str]:
    """Every queue that the site can have, with any number of lanes."""
    found = [JOURNAL]
    for channel in shape.channels:
        for name in DESTINATIONS:
            for lanes in LANES if channel.lanes else (0,):
                found += queues_of(channel.name, name, lanes)
    return found


def _ordered(lanes: int, duplicates: bool = False) -> ChannelShape:
    """Named by its lanes: queues stay on RabbitMQ from trial to trial, and their number shall not change."""
    return ChannelShape(f"ordered{lanes}", lanes, duplicates)


_CHANNEL = """\
channel: {name}
from: {{mllp: {{host: 127.0.0.1, port: {port}}}}}
format: hl7v2
index: {{patient: $PID-3.1, number: $MSH-10}}
{more}when: {{$MSH-9.1: ADT}}
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {lis}, timeout: 2s, connect_within: 2s}}}}
    retry: {{first: {again}ms, factor: 2, max: 1s, for: 24h}}
  emr:
    when: {{$MSH-9.2: [A01, A08]}}
    map: stamped
    send: {{mllp: {{host: 127.0.0.1, port: {emr}, timeout: 2s, connect_within: 2s}}}}
    retry: {{first: {again}ms, factor: 2, max: 1s, for: 24h}}
"""
_MAP = """\
map: stamped
from: hl7v2
to: hl7v2
start: $
make: {ZID: {1: $@id}}
"""


def write(folder: Path) -> None:
    """The site's files, all but its channels."""
    for name in ("channels", "maps"):
        (folder / name).mkdir(parents=True)
    (folder / "jingluo.yaml").write_text("log: {level: info, format: json}\n")
    (folder / "maps" / "stamped.yaml").write_text(_MAP)


def write_channel(
    folder: Path, channel: ChannelShape, door: int, sinks: Mapping[str, int], again_ms: int = 200
) -> None:
    """Its file, whole at once. `sinks` are ports by `channel.destination`; `again_ms` is the first wait of a retry."""
    more = f"order: {{by: $PID-3.1, lanes: {channel.lanes}}}\n" if channel.lanes else ""
    # a day: a clock that jumps by hours must not end it
    more += "duplicates: {by: $MSH-10, within: 24h}\n" if channel.duplicates else ""
    lis, emr = (sinks[f"{channel.name}.{destination}"] for destination in DESTINATIONS)
    text = _CHANNEL.format(name=channel.name, port=door, more=more, lis=lis, emr=emr, again=again_ms)
    aside = folder / f"{channel.name}.new"
    aside.write_text(text)
    aside.replace(folder / "channels" / f"{channel.name}.yaml")
