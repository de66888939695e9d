"""What a seed says: the fault, the stack, the processes, the channels, the load. And the site that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random

from peers import KINDS

from router.envelope import JOURNAL, queues_of

ALL = ("",)  # one process with every role
APART = ("intake", "delivery", "journal")
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
    """A trial as its seed draws it. `stack` is `embedded` or `rabbitmq` (with PostgreSQL)."""

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
    processes = chance.choice((ALL, APART)) if stack == "rabbitmq" else ALL
    channels = [
        _ordered(chance.choice((2, 3, 4)), duplicates=chance.random() < 0.5),
        ChannelShape("parallel", duplicates=chance.random() < 0.5),
    ]
    if chance.random() < 0.3:
        channels.append(_ordered(1))
    keys = chance.randrange(3, 9)
    pause_s = keys * len(channels) / chance.choice(RATES)
    return Shape(seed, stack, processes, tuple(channels), keys, pause_s, chance.randrange(1, 4), messages)


def queues(shape: Shape) -> list[str]:
    """Every queue of the site."""
    ways = [
        queues_of(channel.name, name, channel.lanes) for channel in shape.channels for name in DESTINATIONS
    ]
    return [JOURNAL, *chain.from_iterable(ways)]


def _ordered(lanes: int, duplicates: bool = False) -> ChannelShape:
    """Named by its lanes: queues stay on RabbitMQ from trial to trial, and their number shall not change."""
    return ChannelShape(f"ordered{lanes}", lanes, duplicates)


_CHANNEL = """\
channel: {name}
from: {{mllp: {{host: 127.0.0.1, port: {port}}}}}
format: hl7v2
index: {{patient: $PID-3.1}}
{more}when: {{$MSH-9.1: ADT}}
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {lis}, timeout: 2s, connect_within: 2s}}}}
    retry: {{first: 200ms, factor: 2, max: 1s, for: 24h}}
  emr:
    when: {{$MSH-9.2: [A01, A08]}}
    map: stamped
    send: {{mllp: {{host: 127.0.0.1, port: {emr}, timeout: 2s, connect_within: 2s}}}}
    retry: {{first: 200ms, factor: 2, max: 1s, for: 24h}}
"""
_MAP = """\
map: stamped
from: hl7v2
to: hl7v2
start: $
make: {ZID: {1: $@id}}
"""


def write(folder: Path, shape: Shape, doors: dict[str, int], sinks: dict[str, int]) -> None:
    """The site's files. `doors` are ports by channel, `sinks` by `channel.destination`."""
    for name in ("channels", "maps"):
        (folder / name).mkdir(parents=True)
    (folder / "jingluo.yaml").write_text("log: {level: info, format: json}\n")
    (folder / "maps" / "stamped.yaml").write_text(_MAP)
    for channel in shape.channels:
        more = f"order: {{by: $PID-3.1, lanes: {channel.lanes}}}\n" if channel.lanes else ""
        more += "duplicates: {by: $MSH-10, within: 1h}\n" if channel.duplicates else ""
        lis, emr = (sinks[f"{channel.name}.{destination}"] for destination in DESTINATIONS)
        text = _CHANNEL.format(name=channel.name, port=doors[channel.name], more=more, lis=lis, emr=emr)
        (folder / "channels" / f"{channel.name}.yaml").write_text(text)
