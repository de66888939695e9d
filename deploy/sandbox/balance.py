"""The day's balance: what the engine's journal counts, beside what the parties' own books say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.sandbox.books import compare
from deploy.sandbox.hospital import Hospital
from deploy.sandbox.traffic import TO_EMR, TO_LIS, Day
from router.search import Count, Query, State
from router.store import Store

# Media Storage SOP Instance UID (0002,0003), in Explicit VR Little Endian (PS3.10 section 7.1).
_IMAGE = re.compile(rb"^\0{128}DICM.{,200}?\x02\0\x03\0UI..([0-9.]+)", re.DOTALL)
_TRADE = re.compile(rb"<HISTradeNo>(\w+)</HISTradeNo>")


@dataclass(frozen=True, slots=True)
class Line:
    """One destination of one channel. `lost` and `doubled` come from the books, the rest from the journal.

    Lost: a party was told yes for it, the receiver has not got it, and the engine does not say that it is
    dead or waiting.
    """

    channel: str
    destination: str
    accepted: int
    delivered: int
    filtered: int
    dead: int
    waiting: int
    lost: int
    doubled: int


@dataclass(frozen=True, slots=True)
class Balance:
    lines: tuple[Line, ...]
    accepted: int  # messages, over all channels, as the journal has them
    promised: int  # messages for which a party was told yes
    wrong: int = 0  # settlements that callers and the insurance centre do not know alike

    @property
    def lost(self) -> int:
        """Deliveries that are nowhere; or messages that the journal has forgotten altogether; or money."""
        return max(sum(line.lost for line in self.lines), self.promised - self.accepted, 0) + self.wrong

    @property
    def verdict(self) -> str:
        delivered, filtered, dead = (
            sum(getattr(line, what) for line in self.lines) for what in ("delivered", "filtered", "dead")
        )
        return (
            f"demo: accepted {self.accepted}, delivered {delivered}, filtered {filtered}, "
            f"dead {dead}, lost {self.lost}"
        )


def balance(store: Store, hospital: Hospital, day: Day) -> Balance:
    """Blocking: reads the journal."""
    counts = store.counts()
    whole = {c.channel: c.accepted + c.filtered for c in counts if not c.destination}
    by_way = {(c.channel, c.destination): c for c in counts if c.destination}
    lines = []
    for way, (sent, received) in _books(hospital, day).items():
        found = compare(sent, received)
        # Only what nobody got needs the journal's word.
        known = set(_kept(store, *way)) if found.lost else set()
        lost = [key for key in found.lost if key not in known]
        lines.append(_line(way, whole, by_way, len(lost), len(found.doubled)))
    wrong = len(hospital.insured.differences())
    return Balance(tuple(lines), sum(whole.values()), _promised(hospital), wrong)


def _line(
    way: tuple[str, str],
    whole: dict[str, int],
    by_way: dict[tuple[str, str], Count],
    lost: int,
    doubled: int,
) -> Line:
    count = by_way.get(way, Count(*way))
    accepted = whole.get(way[0], 0)
    return Line(*way, accepted, count.delivered, count.filtered, count.dead, count.waiting, lost, doubled)


def _books(hospital: Hospital, day: Day) -> dict[tuple[str, str], tuple[Sequence[str], Sequence[str]]]:
    """For every way through the engine: what was handed in and said yes to, and what came out."""
    his, lis, emr = hospital.his, hospital.lis, hospital.emr
    yes = set(his.sent.accepted)
    adt = [letter for _, letter in day.adt if letter.control in yes]
    answered = set(hospital.asked.accepted)
    imaging = hospital.imaging
    images = (
        {
            ("imaging-orders", "worklist"): (hospital.ordered(day), imaging.modality.found),
            ("images", "pacs"): (imaging.modality.sent.accepted, imaging.pacs.received),
        }
        if imaging
        else {}
    )
    return {
        ("his-adt", "lis"): ([x.control for x in adt if x.kind in TO_LIS], _of("A", lis.received)),
        ("his-adt", "emr"): ([x.control for x in adt if x.kind in TO_EMR], _of("A", emr.received)),
        ("his-orders", "lis"): (
            [x.control for _, x in day.orders if x.control in yes],
            _of("O", lis.received),
        ),
        ("lab-results", "his"): (lis.sent.accepted, _of("R", his.received)),
        ("lab-results", "emr"): (lis.sent.accepted, _of("R", emr.received)),
        ("patient-query", "emr"): (
            [patient for n, patient in enumerate(day.queries) if f"Q{n:06d}" in answered],
            emr.asked,
        ),
        ("branch-visits", "lis"): (hospital.branch.sent.accepted, _of("S", lis.received)),
        ("kiosk-checkin", "his"): (hospital.kiosks.sent.accepted, _of("K", his.received)),
        **images,
        **{
            (one.name, "centre"): (one.msgids, hospital.insured.received(one))
            for one in hospital.insured.counters
        },
        ("price-list", "cashier"): (hospital.folders.sent.accepted, hospital.folders.received),
    }


def _promised(hospital: Hospital) -> int:
    books = (
        hospital.his.sent,
        hospital.lis.sent,
        hospital.asked,
        hospital.kiosks.sent,
        hospital.branch.sent,
        hospital.folders.sent,
        *(one.sent for one in hospital.insured.counters),
        *([hospital.imaging.modality.sent] if hospital.imaging else []),
    )
    return sum(len(book.accepted) for book in books)


def _of(kind: str, controls: Sequence[str]) -> list[str]:
    return [control for control in controls if control.startswith(kind)]


def _kept(store: Store, channel: str, destination: str) -> Iterator[str]:
    """The keys of messages that the journal knows as dead or not yet delivered there."""
    states: tuple[State, ...] = ("dead", "waiting")
    for state in states:
        cursor = " "
        while cursor:
            query = Query(channel=channel, destination=destination, state=state)
            page = store.search(query, 1000, cursor.strip())
            for found in page.found:
                yield _key(store.show(found.id).body)
            cursor = page.next


def _key(body: bytes) -> str:
    """By what the books know a message: MSH-10, HISTradeNo, the SOP Instance UID, the number of a patient, a list or a
    check-in.
    """
    if body.startswith(b"MSH"):
        return body.split(b"|", 10)[9].decode("ascii")
    if trade := _TRADE.search(body):
        return trade[1].decode("ascii")
    if image := _IMAGE.search(body):
        return image[1].decode("ascii")
    fields = json.loads(body)
    return str(fields.get("id") or fields.get("list") or fields.get("number"))
