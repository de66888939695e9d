"""What became of a day's uploads to an insurance centre (日常上传), row by row.

A row is what the HIS, or a message, gave to be uploaded: a fee line, a report, a settlement list. Rows may be gathered
into one request, or divided out of one message; what is said here is said of each. Read from the journal alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from channels.model import Branch, Channel
from router.search import MAX_PAGE, Delivery, Found, Page, Query, Story
from schemas.nhsa.catalogue import Unknown, transaction

KIND = "nhsa"
_LOST = "JL-N011"  # nobody knows what became of it
_AGAIN_MS = 7 * 86_400_000
# Departments 34, stock 35, settlement lists 41, self-payers 42, visits 43, stays 44, reports 45, nursing 46, notes 47.
_GROUPS = frozenset(("34", "35", "41", "42", "43", "44", "45", "46", "47"))
State = Literal["accepted", "refused", "unknown", "waiting", "missing"]
STATES_ZH: Mapping[State, str] = {
    "accepted": "已接收",
    "refused": "被拒绝",
    "unknown": "结果未知",
    "waiting": "待上传",
    "missing": "未上传",
}


@dataclass(frozen=True, slots=True)
class Row:
    """`key` is what it is found by (setl_id, feedetl_sn ...); `message` is the id to replay it by."""

    infno: str
    key: Mapping[str, str]
    state: State
    channel: str = ""
    message: str = ""
    code: str = ""
    text: str = ""  # the centre's words, or why it did not leave
    at_ms: int = 0
    times: int = 1  # how often it was given
    request: str = ""  # of a gathered row: the message that went to the centre


@dataclass(frozen=True, slots=True)
class Ways:
    """`last`: destinations that are a centre. `before`: those that lead to one, over other channels."""

    last: tuple[tuple[Channel, Branch], ...]
    before: tuple[tuple[Channel, Branch, tuple[str, ...]], ...]  # and what is uploaded in the end


def ways_of(channels: Sequence[Channel]) -> Ways:
    """Which destinations of a site upload, and which lead there."""
    last = tuple((channel, branch) for channel in channels for branch in channel.branches if _uploads(branch))
    leads: dict[str, set[str]] = defaultdict(set)  # channel -> transactions
    for channel, branch in last:
        leads[channel.name].add(_infno(branch))
    before: dict[tuple[str, str], tuple[Channel, Branch]] = {}
    grown = True
    while grown:
        grown = False
        for channel in channels:
            for branch in channel.branches:
                known = leads.get(branch.target, set()) if branch.target else set()
                if known and ((channel.name, branch.name) not in before or known - leads[channel.name]):
                    before[channel.name, branch.name] = (channel, branch)
                    leads[channel.name] |= known
                    grown = True
    return Ways(last, tuple((c, b, tuple(sorted(leads[b.target]))) for c, b in before.values()))


def _infno(branch: Branch) -> str:
    return str(getattr(branch.options, "transaction", "") or "")


def _uploads(branch: Branch) -> bool:
    if branch.kind != KIND:
        return False
    name = _infno(branch)
    try:
        return not name or transaction(name).name[:2] in _GROUPS
    except Unknown:
        return False


class Uploads:
    """Reads them. `search` and `show` are the journal's."""

    def __init__(
        self,
        channels: Sequence[Channel],
        search: Callable[[Query, int, str], Page],
        show: Callable[[str], Story],
    ) -> None:
        self.ways = ways_of(channels)
        self._search, self._show = search, show
        self._gathered = {
            branch.target for channel in channels for branch in channel.branches if branch.collect
        }
        self._known: dict[str, Found] = {}  # rows that were gathered, as their own channels list them

    def rows(self, since_ms: int, until_ms: int, infno: str = "") -> list[Row]:
        """Those that were given in this time, the latest of each key; sorted by transaction and key.

        What was not accepted may have been given again in the week after it.
        """
        found = self._given(since_ms, until_ms, infno)
        if all(row.state == "accepted" for row in found):
            return latest(found)
        keys = {_name(row) for row in found}
        again = self._given(until_ms, until_ms + _AGAIN_MS, infno)
        return latest([*found, *(row for row in again if _name(row) in keys)])

    def _given(self, since_ms: int, until_ms: int, infno: str) -> list[Row]:
        found: list[Row] = []
        for channel, branch, names in self.ways.before:
            if not infno or infno in names or "" in names:
                name = infno or (names[0] if len(names) == 1 else "")
                found += self._not_passed(channel, branch, name, since_ms, until_ms)
        for channel, branch in self.ways.last:
            if infno and _infno(branch) not in ("", infno):
                continue
            for message in self._messages(channel.name, since_ms, until_ms):
                found += self._of(message, branch)
        self._known.clear()
        return [row for row in found if not infno or row.infno == infno]

    def _messages(self, channel: str, since_ms: int, until_ms: int) -> Iterator[Found]:
        query, cursor = Query(channel=channel, since_ms=since_ms, until_ms=until_ms), ""
        while True:
            page = self._search(query, MAX_PAGE, cursor)
            yield from page.found
            if not (cursor := page.next):
                return

    def _of(self, message: Found, branch: Branch) -> Iterator[Row]:
        """The rows of a message that goes to a centre: itself, or those that it was gathered of."""
        delivery = next((one for one in message.deliveries if one.destination == branch.name), None)
        if delivery is None:
            if message.state == "refused":
                yield _refused(message, _infno(branch) or message.index.get("infno", ""))
            return
        infno = _infno(branch) or message.index.get("infno", "")
        if infno and message.channel not in self._gathered and _all_said(branch, delivery):
            yield _row(message, delivery, {}, infno)
            return
        story = self._show(message.id)
        answer = _answer(story, branch.name)
        whole = _row(message, delivery, answer, infno or _said(answer, "infno"))
        members = story.headers.get("collect.messages", "").split()
        if not members:
            yield whole
            return
        single = _singles(answer, len(members))
        for number, id in enumerate(members):
            member = self._known.get(id) or self._show(id).message
            row = replace(whole, key=member.index, channel=member.channel, message=id, request=message.id)
            yield _single(row, single[number]) if single else row

    def _not_passed(
        self, channel: Channel, branch: Branch, infno: str, since_ms: int, until_ms: int
    ) -> Iterator[Row]:
        """Rows that have not come as far as the channel that uploads."""
        for message in self._messages(channel.name, since_ms, until_ms):
            if branch.collect is not None:
                self._known[message.id] = message
            if message.state == "refused":
                yield _refused(message, infno)
            for delivery in message.deliveries:
                if delivery.destination == branch.name and delivery.state != "sent":
                    yield _row(message, delivery, {}, infno)


def _all_said(branch: Branch, delivery: Delivery) -> bool:
    """Whether a delivery's end says all: where a no is a dead letter, what was sent was taken. Saves a look at each."""
    dead = getattr(branch.options, "rejected", "") == getattr(branch.options, "unknown", "") == "dead"
    return dead or delivery.state in ("waiting", "retrying")


def latest(rows: Iterable[Row]) -> list[Row]:
    """Of each transaction and key the last, with how often it was given. Rows without a key are all kept."""
    made: dict[tuple[str, str, str], Row] = {}
    for row in sorted(rows, key=lambda row: row.message):
        name = _name(row)
        before = made.pop(name, None)
        times = 1 if before is None else before.times + (before.message != row.message)
        made[name] = replace(row, times=times)
    return [made[name] for name in sorted(made)]


def _name(row: Row) -> tuple[str, str, str]:
    own = "" if row.key else row.message
    return row.infno, " ".join(f"{key}={value}" for key, value in sorted(row.key.items())), own


def missing(rows: Sequence[Row], name: str, values: Iterable[str], infno: str = "") -> list[Row]:
    """What should have been given, by one of the names that rows are found by, and was not."""
    there = {row.key.get(name) for row in rows}
    wanted = dict.fromkeys(value for value in values if value)
    return [Row(infno, {name: value}, "missing") for value in wanted if value not in there]


def _row(message: Found, delivery: Delivery, answer: Mapping[str, Any], infno: str) -> Row:
    state, text = _state(delivery, answer)
    return Row(
        infno=infno,
        key=message.index,
        state=state,
        channel=message.channel,
        message=message.id,
        code=delivery.code or _said(answer, "infcode"),
        text=text,
        at_ms=delivery.at_ms or message.received_ms,
    )


def _state(delivery: Delivery, answer: Mapping[str, Any]) -> tuple[State, str]:
    said, words = _said(answer, "outcome"), _said(answer, "err_msg")
    if delivery.state == "sent":
        if said == "REJECTED":
            return "refused", words
        return ("accepted", "") if said in ("", "OK") else ("unknown", words)
    if delivery.state == "dead":
        lost = said in ("UNKNOWN", "PROCESSING") or delivery.code == _LOST
        return ("unknown" if lost else "refused"), delivery.reason or words
    return "waiting", delivery.reason


def _refused(message: Found, infno: str) -> Row:
    return Row(
        infno=infno,
        key=message.index,
        state="refused",
        channel=message.channel,
        message=message.id,
        code=message.code,
        text=message.reason,
        at_ms=message.received_ms,
    )


def _answer(story: Story, destination: str) -> Mapping[str, Any]:
    """What the centre answered last, as the endpoint hands it on; {} where it is none."""
    for one in reversed(story.tries):
        if one.destination == destination and one.answer:
            try:
                tree = msgspec.json.decode(one.answer)
            except msgspec.DecodeError:
                return {}
            return tree if isinstance(tree, Mapping) else {}
    return {}


def _singles(answer: Mapping[str, Any], count: int) -> Sequence[Mapping[str, Any]]:
    """What is said of each row of a request, where it is said of each."""
    rows = answer.get("rows")
    good = isinstance(rows, list) and len(rows) == count and all(isinstance(row, Mapping) for row in rows)
    return rows if good and isinstance(rows, list) else ()


def _single(row: Row, said: Mapping[str, Any]) -> Row:
    outcome = _said(said, "outcome")
    state: State = (
        "accepted"
        if outcome == "OK"
        else "refused"
        if outcome == "REJECTED"
        else "unknown"
        if outcome
        else row.state
    )
    text = "" if state == "accepted" else _said(said, "err_msg") or row.text
    return replace(row, state=state, code=_said(said, "infcode") or row.code, text=text)


def _said(tree: Mapping[str, Any], name: str) -> str:
    value = tree.get(name)
    return "" if value is None else str(value)
