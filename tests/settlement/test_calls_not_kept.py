"""What is known of a call that the broker did not confirm: only what never left for certain is UNSENT."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from config.errors import BadMessage
from router.settlement.book import Settlement
from router.settlement.calls import ChannelCalls
from router.settlement.commands import Call
from router.settlement.rows import Attempt, Place, Rows
from router.settlement.runner import Told
from schemas.message import Message, Reply

NOW = 1_800_000_000_000
CALL = Call(Place("pay"), "do", "payment.create", "pay", {"amount": "16.10"})


def told(reply: Reply, when: Any = None) -> Told:
    def hand_over(channel: str, message: Message) -> asyncio.Future[Reply]:
        made: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        made.set_result(reply)
        return made

    async def called() -> Told:
        channel: Any = SimpleNamespace(
            kind="calls", name="pay", options=SimpleNamespace(of="payment"), when=when
        )
        begun = Attempt(1, CALL.place, "do", CALL.operation, CALL.key, NOW)
        settlement = Settlement("S1", "outpatient", "d", "RUNNING", Rows("S1", {}, NOW, (begun,)))
        return await ChannelCalls(lambda: (channel,), hand_over, lambda: NOW).call(settlement, CALL)

    return asyncio.run(called())


@pytest.mark.parametrize("code", ["JL-B003", "JL-B004", "JL-B006", "JL-B007", "JL-D900"])
def test_a_call_that_the_broker_may_have_kept_is_found_out_and_not_made_again(code: str) -> None:
    said = told(Reply("failed", code=code))
    assert (said.outcome, said.final) == ("UNKNOWN", False)


@pytest.mark.parametrize("code", ["JL-B001", "JL-B002", "JL-D913"])
def test_a_call_that_no_broker_took_never_left(code: str) -> None:
    assert told(Reply("failed", code=code)).outcome == "UNSENT"


def test_a_call_of_which_no_channel_can_say_whether_it_takes_it_never_left() -> None:
    def when(tree: Any, message: Message) -> bool:
        raise BadMessage("JL-T007", "no number")

    said = told(Reply("answered"), when)
    assert (said.outcome, said.code) == ("UNSENT", "JL-T007")
