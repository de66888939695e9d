"""Outcomes on their way to the journal: in batches that a broker takes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast

from router.brokers.base import Broker, BrokerDown, Delivered
from router.envelope import ANSWER_KEPT, Attempt, Attempts, decode
from router.recorder import Recorder

NO_WORK = cast(Delivered, None)


class Mailbox:
    """A broker that takes what is published, or is down."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.down = False

    def publish(self, queues: tuple[str, ...], body: bytes) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        if self.down:
            done.set_exception(BrokerDown("JL-B001", "down"))
        else:
            self.bodies.append(body)
            done.set_result(None)
        return done

    def holds(self, delivered: Delivered) -> bool:
        return True


def attempt(number: int, size: int) -> Attempt:
    return Attempt(f"{number:032x}", "bills", "centre", 1, 1, 1, "sent", "200", "", bytes(size))


async def test_large_answers_go_in_several_publishes_and_none_is_lost() -> None:
    mailbox, done = Mailbox(), list[int]()
    recorder = Recorder(cast(Broker, mailbox))
    mailbox.down = True
    for number in range(60):
        recorder.record(attempt(number, ANSWER_KEPT), NO_WORK, partial(done.append, number))
    await recorder.flush()
    assert (mailbox.bodies, done) == ([], [])
    mailbox.down = False
    await recorder.flush()
    await asyncio.sleep(0)
    assert sorted(done) == list(range(60))
    assert max(map(len, mailbox.bodies)) < 16_000_000
    came = [one.id for body in mailbox.bodies for one in cast(Attempts, decode(body)).attempts]
    assert len(came) == len(set(came)) == 60


async def test_small_ones_go_together() -> None:
    mailbox, done = Mailbox(), list[int]()
    recorder = Recorder(cast(Broker, mailbox))
    for number in range(150):
        recorder.record(attempt(number, 200), NO_WORK, partial(done.append, number))
    await recorder.flush()
    await asyncio.sleep(0)
    assert (len(mailbox.bodies), done) == (1, list(range(150)))
