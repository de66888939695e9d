"""Rows that go up together and may be refused apart: a centre that says no to a list of a hundred means one of them.

What the tables do not allow is left out before anything leaves. Where the centre refuses the rest, nothing of it is
booked: its halves are sent, and theirs, until it is known which rows it means. Each row has an end of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from config.errors import Refused
from endpoints.insurance.answer import Answer
from endpoints.insurance.input import InvalidInput
from endpoints.insurance.party import Party, Request
from endpoints.insurance.records import Outcome

MOST_REQUESTS = 100  # of one message; one bad row of a hundred takes 14 more at the most
LONGEST_S = 600.0  # no further half is sent then: a broker takes back what is in hand for too long
_TOLD = 5  # rows that a refusal names


class Row(Struct, frozen=True):
    """What became of one row. `number` counts from 1."""

    number: int
    outcome: Outcome
    msgid: str = ""
    infcode: str = ""
    text: str = ""

    def tree(self) -> dict[str, Any]:
        return {
            "row": self.number,
            "outcome": self.outcome,
            "msgid": self.msgid,
            "infcode": self.infcode,
            "err_msg": self.text,
        }


class Batch:
    """One message with a list. Call `send` once."""

    def __init__(self, party: Party, request: Request, node: str) -> None:
        """Raises Refused (JL-N003) where the input has no such list."""
        rows = request.input.get(node) if isinstance(request.input, Mapping) else None
        if not isinstance(rows, list) or not rows:
            raise Refused(
                "JL-N003", f"{request.transaction.name}: /{node}: must be a list with rows 应为列表"
            )
        self._party, self._request, self._node = party, request, node
        self._rows: Sequence[Any] = rows
        self.ends: dict[int, Row] = {}
        self._asked = 0

    async def send(self) -> Answer | None:
        """The last answer; None where no row could leave. Raises as `Party.request`: asked again with the same key,
        what had an end keeps it."""
        began = self._party.ground.now()
        left = list(range(len(self._rows)))
        last: Answer | None = None
        waiting = [self._allowed(left)]
        while waiting:
            part = waiting.pop()
            if not part:
                continue
            over = self._asked >= MOST_REQUESTS or self._party.ground.now() - began > LONGEST_S
            if over and last is not None:  # refused as they were together, and not told apart
                self._end(part, last)
                continue
            last = await self._sent(part)
            if last.outcome == "REJECTED" and len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                self._end(part, last)
        return last

    def _allowed(self, rows: list[int]) -> list[int]:
        """Without those that the tables do not allow. Raises Refused where something else is wrong."""
        while rows:
            try:
                self._party.inputs.made(self._request.transaction, self._input(rows), self._request.fields)
            except InvalidInput as error:
                wrong = self._wrong(error, rows)
                for at, text in wrong.items():
                    self.ends[at] = Row(at + 1, "REJECTED", infcode="JL-N003", text=text)
                rows = [at for at in rows if at not in wrong]
            else:
                return rows
        return []

    def _wrong(self, error: InvalidInput, rows: list[int]) -> dict[int, str]:
        """Rows with their first fault. Raises the error where one is about no row."""
        found: dict[int, str] = {}
        for path, text, _ in error.faults:
            _, node, number, *_ = [*path.split("/"), "", "", ""]
            if node != self._node or not number.isdigit():
                raise error
            found.setdefault(rows[int(number)], text)
        return found

    async def _sent(self, part: list[int]) -> Answer:
        """Under a key of its own: after a crash the same parts are asked for, and what was done is not done again."""
        self._asked += 1
        whole = len(part) == len(self._rows)
        name = "" if whole else f"#{part[0] + 1}-{part[-1] + 1}.{len(part)}"
        parent = f"{self._request.parent}{name}" if self._request.parent else ""
        request = replace(
            self._request, input=self._input(part), key=f"{self._request.key}{name}", parent=parent
        )
        return await self._party.request(request)

    def _input(self, part: list[int]) -> dict[str, Any]:
        return {**self._request.input, self._node: [self._rows[at] for at in part]}

    def _end(self, part: list[int], answer: Answer) -> None:
        for at in part:
            text = "" if answer.outcome == "OK" else answer.text
            self.ends[at] = Row(at + 1, answer.outcome, answer.exchange.msgid, answer.infcode, text)

    @property
    def outcome(self) -> Outcome:
        """Of the whole: what is worst. A row that nobody knows about is worse than one that was refused."""
        found = {row.outcome for row in self.ends.values()}
        order: tuple[Outcome, ...] = ("UNKNOWN", "PROCESSING", "REJECTED")
        return next((one for one in order if one in found), "OK")

    @property
    def rows(self) -> list[Row]:
        return [self.ends[at] for at in sorted(self.ends)]

    @property
    def text(self) -> str:
        """What is not OK, in a line."""
        bad = [row for row in self.rows if row.outcome != "OK"]
        told = "; ".join(f"row {row.number} {row.outcome}: {row.text}" for row in bad[:_TOLD])
        more = f" (+{len(bad) - _TOLD})" if len(bad) > _TOLD else ""
        return f"{len(bad)} of {len(self._rows)} rows 行未成功: {told}{more}"

    def tree(self, last: Answer | None) -> dict[str, Any]:
        """The last answer's, with the end of each row."""
        empty = {
            "outcome": "",
            "infno": self._request.transaction.name,
            "msgid": "",
            "infcode": "",
            "output": None,
        }
        said = last.tree() if last is not None else {**empty, "err_msg": "", "warnings": []}
        text = "" if self.outcome == "OK" else self.text
        return {**said, "outcome": self.outcome, "err_msg": text, "rows": [row.tree() for row in self.rows]}
