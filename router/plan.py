"""What would change: the channels of the files against those that run, and what becomes of their queues.

Pure: two sites and how much waits in the running one's queues make a `Plan`. Nothing is done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from channels.loader import Site
from channels.model import Channel
from config.callers import Callers
from config.errors import Finding
from router.intake import queues_of_branch

HALF_READ = "JL-R006"


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChannelChange(_Shown):
    """One channel. `live` and `new` are its digests; `notes` say what changes, for people.

    `refused`: its file has mistakes, so that nobody knows what it would be.
    """

    channel: str
    change: Literal["added", "changed", "removed", "same", "refused"]
    live: str = ""
    new: str = ""
    notes: tuple[str, ...] = ()


class QueueChange(_Shown):
    """A queue that is made, or one that nobody needs any more: emptied first, or dropped as it is empty."""

    queue: str
    change: Literal["made", "drained", "dropped"]
    waiting: int = 0


class Plan(_Shown):
    """`applied` is false for a plan, and for an apply that changed nothing; `refused` says that it may not be done."""

    live: str  # the digest that runs
    new: str  # the digest of the files
    channels: tuple[ChannelChange, ...] = ()
    queues: tuple[QueueChange, ...] = ()
    callers: tuple[str, ...] = ()  # what changes of callers.yaml, for people
    findings: tuple[Finding, ...] = ()
    applied: bool = False

    @property
    def refused(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def half_read(self) -> bool:
        """Whether the files changed while they were read."""
        return any(finding.code == HALF_READ for finding in self.findings)

    @property
    def nothing(self) -> bool:
        return not self.callers and all(change.change == "same" for change in self.channels)

    def with_findings(self, findings: Iterable[Finding]) -> Plan:
        return self.model_copy(update={"findings": (*self.findings, *findings)})


def make_plan(
    live: Sequence[Channel], digest: str, new: Site, waiting: Mapping[str, int], *, drain: bool
) -> Plan:
    """`waiting` has the queues of what runs: how many messages are in each.

    Messages in a queue that nobody would need any more are an error without `drain`.
    """
    before = {channel.name: channel for channel in live}
    after = {channel.name: channel for channel in new.channels}
    unknown = {name for name, channel in before.items() if name not in after and channel.file in new.refused}
    made = queues_of((*new.channels, *(before[name] for name in unknown)))
    queues = [QueueChange(queue=name, change="made") for name in made if name not in waiting]
    queues += [
        QueueChange(queue=name, change="drained" if count else "dropped", waiting=count)
        for name, count in waiting.items()
        if name not in made
    ]
    findings = list(new.findings)
    for name, channel in before.items():
        findings += [] if drain or name in unknown else _left_behind(channel, after.get(name), waiting)
    return Plan(
        live=digest,
        new=new.digest,
        channels=tuple(
            _change(before.get(name), after.get(name), name in unknown)
            for name in sorted(before.keys() | after.keys())
        ),
        queues=tuple(sorted(queues, key=lambda queue: queue.queue)),
        findings=tuple(findings),
    )


def same(one: Channel, other: Channel) -> bool:
    """Whether both do the same. A new value of a secret is a change too, though no file shows it."""
    return (
        one.digest == other.digest
        and one.options == other.options
        and [branch.options for branch in one.branches] == [branch.options for branch in other.branches]
    )


def callers_between(live: Callers, new: Callers) -> tuple[str, ...]:
    """A new value of a secret is a change too."""
    notes = [f"+ caller {name}" for name in sorted(new.known.keys() - live.known.keys())]
    notes += [f"- caller {name}" for name in sorted(live.known.keys() - new.known.keys())]
    both = sorted(live.known.keys() & new.known.keys())
    notes += [f"~ caller {name}" for name in both if live.known[name] != new.known[name]]
    if live.window_s != new.window_s:
        notes.append(f"~ callers' window {live.window_s:g} s -> {new.window_s:g} s")
    return tuple(notes)


def queues_of(channels: Iterable[Channel]) -> dict[str, str]:
    """The queues of all destinations, with their channels."""
    return {
        queue: channel.name
        for channel in channels
        for branch in channel.branches
        for queue in queues_of_branch(channel, branch)
    }


def relaned(one: Channel, other: Channel) -> bool:
    """Whether a key's messages go by another queue than before."""
    both = {*_names(one)} & {*_names(other)}
    return any(one.lanes_to(name) != other.lanes_to(name) for name in both)


def _change(live: Channel | None, new: Channel | None, unknown: bool) -> ChannelChange:
    if live is None:
        assert new is not None
        return ChannelChange(channel=new.name, change="added", new=new.digest)
    if new is None:
        return ChannelChange(channel=live.name, change="refused" if unknown else "removed", live=live.digest)
    unchanged = same(live, new)
    return ChannelChange(
        channel=live.name,
        change="same" if unchanged else "changed",
        live=live.digest,
        new=new.digest,
        notes=() if unchanged else tuple(_notes(live, new)),
    )


def _notes(live: Channel, new: Channel) -> Iterable[str]:
    if (live.kind, live.options, live.format.name) != (new.kind, new.options, new.format.name):
        yield f"its door ({live.kind}) closes, another ({new.kind}) opens"
    if live.digest == new.digest:
        yield "the value of a secret"
    before, after = _names(live), _names(new)
    yield from (f"+ destination {name}" for name in after if name not in before)
    yield from (f"- destination {name}" for name in before if name not in after)
    if relaned(live, new):
        yield f"{_lanes(live)} -> {_lanes(new)}: what waits now is delivered before what comes"


def _lanes(channel: Channel) -> str:
    collecting = ", ".join(branch.name for branch in channel.branches if branch.collect)
    lanes = f"{channel.lanes} lanes" if channel.lanes else "no order"
    return f"{lanes}, gathered for {collecting}" if collecting else lanes


def _names(channel: Channel) -> list[str]:
    return [branch.name for branch in channel.branches]


def _left_behind(live: Channel, new: Channel | None, waiting: Mapping[str, int]) -> Iterable[Finding]:
    """A destination that is to go while messages wait for it."""
    staying = _names(new) if new is not None else []
    for branch in live.branches:
        if branch.name in staying:
            continue
        count = sum(waiting.get(queue, 0) for queue in queues_of_branch(live, branch))
        if count:
            what = (
                f"{count} {'message waits' if count == 1 else 'messages wait'} for {live.name}.{branch.name}"
            )
            hint = (
                "`jingluo apply --drain` delivers them first, as before; or keep it until they are delivered"
            )
            yield Finding((new or live).file, 1, 1, "JL-R001", what, hint)
