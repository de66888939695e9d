"""What a collecting queue does at a fence, before its next era may begin."""

from __future__ import annotations

from types import SimpleNamespace as Such
from typing import Any
from unittest.mock import AsyncMock, Mock

from channels.collecting import Collect
from router.brokers.base import Delivered
from router.collector import Collector
from router.envelope import Envelope, Fence
from router.gate import Gate
from router.groups import Known
from router.hand import Item
from router.suspects import Suspects
from schemas.json import Json
from schemas.message import Message

ID = f"{1:032x}"
KNOWN = Known("g", frozenset((b"1", b"2")))


async def test_a_group_that_lacks_a_message_does_not_stay_behind_a_fence() -> None:
    """All that came before the fence is read: what is left of the group is gathered anew, and the fence waits."""
    format = Json()
    envelope = Envelope(ID, "c", 0, "", "json", "", "", b"", {}, {}, ("d",))
    delivered = Delivered("q", b"", None)
    handling: Any = Such(
        branch=Such(collect=Collect(2, None, 1000, format, format.gathers("")), map=None, validation=None),
        channel=Such(lanes=0),
        broker=Mock(),
        flush=AsyncMock(),
        now_ms=lambda: 0,
        open=lambda one: Fence(0) if one.body else envelope,
    )
    handling.branch.retry = Such(then="dead")
    gathering: Any = Such(item=AsyncMock(return_value=Item(envelope, delivered, Message(b"1", id=ID))))
    groups: Any = AsyncMock()
    groups.find = lambda queue, id: KNOWN
    board: Any = Such(over=lambda queue, era: False, say=AsyncMock())
    gate = Gate(lambda: True)
    groups.dissolve.side_effect = lambda *given: gate.end()

    def consume(queue: str, inbox: Any, prefetch: int) -> Any:
        inbox(delivered)
        inbox(Delivered("q", b"fence", None))
        return Such(cancel=AsyncMock())

    handling.broker.consume = AsyncMock(side_effect=consume)
    suspects: Any = Mock(spec=Suspects)
    board.say.side_effect = lambda entry: gate.end()
    collector = Collector("q", handling, gathering, groups, suspects, gate, board, Mock(), lambda: False)
    await collector.run()
    groups.dissolve.assert_awaited_once_with("q", ["g"])
    board.say.assert_not_awaited()
    handling.broker.ack.assert_not_called()
