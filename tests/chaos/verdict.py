"""The verdict: what senders and receivers noted, compared by number. Knows nothing of the engine.

A sender numbers the messages of each key 1, 2, 3 ... and goes on to the next when it was told yes; until then it sends
the same one again. A receiver notes each copy that reaches it, and whether it said yes to that copy. Then:

* **Lost**: the sender was told yes, the message goes to this destination, and no copy got the receiver's yes.
* **Inverted** (only where a channel has an order): of each number the first copy counts that got the receiver's yes.
  In the order of those, one whose number is smaller than an earlier one of its key is inverted. A later copy of what
  came before is a double, whatever came in between.
* **Doubled**: every copy after the first. A copy is explained
  - by the receiver: it did not say yes to the copy before, or late;
  - by a fault: the copy before came less than `IN_FLIGHT_S` before a window in which deliveries may be cut off, or
    within it, and this one after the window's begin. Redelivered copies carry the same id, where the receiver sees it;
  - by the sender: it sent the message again because it had heard no yes. What it sends again after a yes explains
    nothing on a channel that knows duplicates, and another copy on one that does not. This also covers that a publish
    to several queues is not atomic when RabbitMQ dies in it: one receiver gets the half of a message whose sender hears
    no yes and sends again.
* **Stranger**: a copy of what was never sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

IN_FLIGHT_S = 3.0  # from a receiver's yes until its record is surely durable, on a busy machine


class Number(NamedTuple):
    """A message: its channel, its key and its number under that key."""

    channel: str
    key: str
    number: int


@dataclass(slots=True)
class Sent:
    """What a sender noted about one message. `codes` has an entry a sending, "" where no answer came."""

    of: Number
    goes_to: tuple[str, ...]
    codes: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return "AA" in self.codes

    def messages(self, known: bool) -> int:
        """How many messages the engine may have made of it; `known`: it knows duplicates, so none after a yes."""
        return self.codes.index("AA") + 1 if known and self.accepted else len(self.codes)


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy at a receiver, at `at` (seconds, the trial's clock). `id` is the engine's, where it can be seen.

    `late`: the yes was not said at once, so perhaps nobody heard it any more.
    """

    of: Number
    at: float
    yes: bool
    id: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A fault, from `begin` until all was well again. `cuts`: deliveries that were in flight may come again."""

    name: str
    begin: float
    end: float
    cuts: bool


@dataclass(slots=True)
class Verdict:
    """Each finding is a line that names destination, key and number."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    inverted: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    doubled: int = 0
    explained: int = 0  # of those
    in_flight_s: float = 0.0  # how long before a fault a copy came that came again for it

    @property
    def broken(self) -> list[str]:
        return self.lost + self.inverted + self.strangers + self.unexplained


def judge(
    sent: Iterable[Sent],
    copies: Mapping[str, Sequence[Copy]],
    windows: Sequence[Window],
    ordered: Collection[str] = (),
    known: Collection[str] = (),
) -> Verdict:
    """`copies` by destination (`channel.name`), as they came.

    `ordered` and `known` are the channels with an order, and those that know duplicates.
    """
    book = {each.of: each for each in sent}
    verdict = Verdict(accepted=sum(each.accepted for each in book.values()))
    for destination, came in copies.items():
        by_number: dict[Number, list[Copy]] = defaultdict(list)
        for copy in came:
            by_number[copy.of].append(copy)
        for number, its in by_number.items():
            if number not in book or destination not in book[number].goes_to:
                verdict.strangers.append(_line("never sent there", destination, number))
                continue
            unexplained, age_s = _unexplained(its, book[number].messages(number.channel in known), windows)
            verdict.doubled += len(its) - 1
            verdict.explained += len(its) - 1 - unexplained
            verdict.in_flight_s = max(verdict.in_flight_s, age_s)
            if unexplained:
                verdict.unexplained.append(_line(f"{unexplained} copies unexplained", destination, number))
        for number, noted in book.items():
            wanted = noted.accepted and destination in noted.goes_to
            if wanted and not any(copy.yes for copy in by_number[number]):
                verdict.lost.append(_line("lost", destination, number))
        verdict.inverted += _inverted(destination, [c for c in came if c.of.channel in ordered])
    return verdict


def _unexplained(copies: Sequence[Copy], messages: int, windows: Sequence[Window]) -> tuple[int, float]:
    """How many of the copies of one number at one receiver neither receiver, fault nor sender explains.

    And how long before a fault the oldest came that was still in flight at it (seconds).
    """
    groups: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        groups[copy.id].append(copy)
    reasons = [_sent_again(*pair, windows) for group in groups.values() for pair in pairwise(group)]
    again, oldest_s = reasons.count(None), max((age for age in reasons if age is not None), default=0.0)
    if (
        "" in groups
    ):  # which message a copy is of cannot be seen: the sender's further messages explain as many
        return max(0, again - (messages - 1)), 0.0 if messages > 1 else oldest_s
    return again + max(0, len(groups) - messages), oldest_s


def _sent_again(before: Copy, after: Copy, windows: Sequence[Window]) -> float | None:
    """How long before a fault `before` came, for which the engine sent the same again; None without a reason."""
    if not before.yes or before.late:
        return 0.0
    ages = [
        max(0.0, window.begin - before.at)
        for window in windows
        if window.cuts and before.at <= window.end and after.at >= window.begin
    ]
    age_s = min(ages, default=IN_FLIGHT_S + 1)
    return age_s if age_s <= IN_FLIGHT_S else None


def _inverted(destination: str, copies: Iterable[Copy]) -> list[str]:
    highest: dict[tuple[str, str], int] = defaultdict(int)
    seen: set[Number] = set()
    found = []
    for copy in copies:
        if not copy.yes or copy.of in seen:
            continue
        seen.add(copy.of)
        key = copy.of[:2]
        if copy.of.number < highest[key]:
            found.append(_line(f"after {highest[key]}", destination, copy.of))
        highest[key] = max(highest[key], copy.of.number)
    return found


def _line(what: str, destination: str, number: Number) -> str:
    return f"{destination} {number.key} {number.number}: {what}"
