"""An alert is a message: it is handed to every channel that takes alerts, and their destinations send it on.

It counts as told when those channels have it in all of their queues. A crash in between hands it over once more, as the
same message. A channel that takes alerts, and one that such a channel sends to, is not told of itself or of another of
them: what goes wrong on the way of alerts would come round for ever. That is seen in the log, in health and in figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from channels.model import Channel
from config.alert_settings import ALERTS
from router.alerts.book import Alert, Book
from router.alerts.kinds import KINDS, Fact, Name, texts
from router.ids import child_id, first_id
from schemas.message import Message, Reply

log = structlog.get_logger()

AT_ONCE = 20  # of one look: in an outage nobody reads hundreds of mails

Deliver = Callable[[Message], "asyncio.Future[Reply]"]
Untold = tuple[str, bool]


class Letter(NamedTuple):
    """What is told at once: `of` are the entries of the book that are told by it."""

    id: str
    body: bytes
    of: list[Untold]


class Teller:
    """`intake` is the way in of a channel of that name, None where it does not run here."""

    def __init__(self, intake: Callable[[str], Deliver | None]) -> None:
        self._intake = intake
        self._tried: set[str] = set()

    async def tell(self, book: Book, channels: Sequence[Channel]) -> None:
        """All that is not told yet; what cannot be kept now is told at the next look. Raises BrokerDown."""
        to = [channel.name for channel in channels if channel.kind == ALERTS]
        own = on_the_way(channels)
        heard = {key: one for key, one in book.untold.items() if to and one.name.channel not in own}
        for key in book.untold.keys() - heard.keys():
            await book.told(*key)
        for letter in _letters(heard):
            replies = [await self._hand_over(name, letter) for name in to]
            if not all(replies):
                return
            self._tried.discard(letter.id)
            for key in letter.of:
                await book.told(*key)

    async def _hand_over(self, channel: str, letter: Letter) -> bool:
        """Whether the channel has it, or does not want it."""
        deliver = self._intake(channel)
        if deliver is None:
            return True
        again = letter.id in self._tried
        self._tried.add(letter.id)
        id = child_id(letter.id, f"alerts {channel}")
        reply = await deliver(Message(letter.body, source="alerts", id=id, redelivered=again))
        if reply.state in ("refused", "failed"):
            log.warning("alert.not_taken", channel=channel, code=reply.code)
        return reply.state != "failed"


def on_the_way(channels: Sequence[Channel]) -> set[str]:
    """The channels that take alerts, and all that these send to."""
    sends = {channel.name: {branch.target for branch in channel.branches} for channel in channels}
    found: set[str] = set()
    coming = {channel.name for channel in channels if channel.kind == ALERTS}
    while coming:
        found |= coming
        coming = {target for name in coming for target in sends.get(name, ()) if target} - found
    return found


def _letters(untold: dict[Untold, Alert]) -> Iterator[Letter]:
    """One for each; of very many the last stand for all that come after them."""
    keys = list(untold)
    alone = keys if len(keys) <= AT_ONCE else keys[: AT_ONCE - 1]
    for key in alone:
        yield Letter(_id(key, untold[key]), as_json(untold[key]), [key])
    if rest := keys[len(alone) :]:
        first = untold[rest[0]]
        more = Alert(first.id, Name("more"), Fact(len(rest)), first.closed_ms or first.opened_ms)
        yield Letter(child_id(_id(rest[0], first), "more"), as_json(more), rest)


def _id(key: Untold, alert: Alert) -> str:
    """It lies in the day of what it tells."""
    id, over = key
    return child_id(first_id(alert.closed_ms), f"{id} is over") if over else id


def as_json(alert: Alert) -> bytes:
    """The body of its message. Nothing in it is a patient's."""
    return msgspec.json.encode(shown(alert))


def shown(alert: Alert) -> dict[str, Any]:
    """As JSON has it: times in ISO 8601 with the machine's offset, seconds and counts as numbers."""
    name, fact = alert.name, alert.fact
    english, chinese = texts(name, fact)
    if alert.closed_ms:
        english, chinese = f"over: {english}", f"已恢复：{chinese}"
    return {
        "id": alert.id,
        "event": "closed" if alert.closed_ms else "opened",
        "what": name.what,
        "severity": KINDS[name.what].severity,
        "channel": name.channel,
        "destination": name.destination,
        "about": name.about,
        "figure": round(fact.figure, 1),
        "limit": fact.limit,
        "opened": _moment(alert.opened_ms),
        "closed": _moment(alert.closed_ms) if alert.closed_ms else None,
        "text": {"en": english, "zh": chinese},
    }


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="seconds")
