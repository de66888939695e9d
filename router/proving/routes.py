"""Which ways of its channels the tests went: each condition both ways, each destination at least once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from channels.model import Channel
from config.errors import BadMessage
from config.text import At, Document
from router.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Route:
    """One way: its place in the channel's file, and in words."""

    at: At
    words: str


@dataclass(slots=True)
class Routes:
    """The ways of one channel, and those that were gone."""

    channel: Channel
    document: Document
    gone: set[Route] = field(default_factory=set)

    def note(self, envelope: Envelope) -> None:
        """A message that was read: refused ones and resends go no way."""
        if envelope.state not in ("accepted", "filtered"):
            return
        channel = self.channel
        if channel.when is not None:
            try:
                taken = channel.when(channel.format.decode(envelope.body, envelope.charset), envelope)
            except BadMessage:
                return
            self.gone.add(_taken() if taken else _not_taken())
            if not taken:
                return
        self.gone.update(_sent(name) for name in envelope.destinations)
        self.gone.update(_kept_from(name) for name in envelope.filtered)

    @property
    def all(self) -> list[Route]:
        return list(_all(self.channel))

    @property
    def missed(self) -> list[Route]:
        return [route for route in self.all if route not in self.gone]

    def line(self, route: Route) -> int:
        return self.document.place(route.at)[0]


def _taken() -> Route:
    return Route(("when",), "a message that the channel's `when` takes")


def _not_taken() -> Route:
    return Route(("when",), "a message that the channel's `when` leaves")


def _sent(name: str) -> Route:
    return Route(("to", name), f"a message to {name}")


def _kept_from(name: str) -> Route:
    return Route(("to", name, "when"), f"a message that is not for {name}")


def _all(channel: Channel) -> Iterator[Route]:
    if channel.when is not None:
        yield _taken()
        yield _not_taken()
    for branch in channel.branches:
        yield _sent(branch.name)
        if branch.when is not None:
            yield _kept_from(branch.name)
