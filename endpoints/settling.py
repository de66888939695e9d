"""What the engine lends a destination that begins settlements and asks about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol


class Settle(Protocol):
    """All methods raise Unreachable while the database is away, and Refused where it is no use to try again."""

    async def begin(
        self, name: str, request: Mapping[str, Any], caller: str, within_s: float
    ) -> dict[str, Any]:
        """What the settlement has come to when it ended, waits for somebody, or `within_s` is over.

        The same number and request again is the same settlement. Raises Refused (JL-T010, JL-T011, JL-T013, JL-T014).
        """

    async def show(self, number: str, within_s: float) -> dict[str, Any]:
        """The same of one that is there; waits where it is under way. Raises Refused (JL-T012)."""

    async def cancel(self, number: str, who: str) -> dict[str, Any]:
        """It goes back, unless its pivot is done. Raises Refused (JL-T012)."""

    async def notice(
        self, number: str, step: str, outcome: str, reply: Any, about: Literal["do", "undo"] = "do"
    ) -> dict[str, Any]:
        """What a party said by itself of a step, or of its undoing; durable when it returns.

        `step` is its name or the `for` of its `wait`. Gives number, state, and `late`: it has ended without this, and
        nothing is done about it. Raises Refused (JL-T012, JL-T016).
        """

    async def found(self, system: str, order: str, fen: int, cls: str, text: str, account: str = "") -> None:
        """Money that came to a payment channel and belongs to nothing that is under way: a person sees it until it is
        `cleared`. It is booked to `suspense:<system>`; or a pipeline books it, and `account` is where. Said again it is
        the same money."""

    async def cleared(self, system: str, order: str, fen: int, settlement: str, by: str) -> None:
        """That money went back, by what `by` names. Where nothing was found of the order it says nothing."""
