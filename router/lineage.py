"""What is made of a message for another channel, and how both know each other."""

from __future__ import annotations

from msgspec.structs import replace

from router.ids import child_id
from schemas.message import Message


def handed_on(made: Message, destination: str, target: str, number: int = 0, total: int = 0) -> Message:
    """What was made of a message for a destination, as a message of the channel `target`; or one of its items.

    Its id follows from what it was made from: handed over twice, it is the same message.
    """
    id = child_id(made.id, f"{made.channel}.{destination} {target}", number)
    item = f", item {number}" + (f" of {total}" if total else "")
    source = f"channel {made.channel}" + (item if number else "")
    return replace(made, id=id, parent=made.id, source=source)
