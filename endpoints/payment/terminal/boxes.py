"""Cash boxes: each note is a row, counted once by device, box and sequence; a box is closed by two people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import Refused
from endpoints.payment.numbers import number_of, yuan_of
from endpoints.payment.orders import Evidence, Order
from endpoints.payment.records import Payments
from endpoints.payment.terminal.reports import Note, name_of, note_key, terminal_of

MOST_NOTES = 5000  # of a box
_MOST_TOLD = 20  # of missing sequences
Finding = dict[str, str]


class Boxes:
    """`system` is the terminals'. Notes stand under `<system>.box`, so that no order's money is counted twice."""

    def __init__(self, system: str, payments: Payments) -> None:
        self._system = f"{system}.box"
        self._payments = payments

    async def take(self, note: Note) -> list[Finding]:
        """Returns once it is on record; again it is the same. Raises Refused (JL-P001): it was another note before."""
        row = await self._payments.place(
            Order(
                self._system, number_of(self._system, note.key), note.key, note.fen, "note", note.at_ms,
                settlement=note.order,
            )
        )  # fmt: skip
        if row.settlement != note.order:
            raise Refused("JL-P001", f"{note.key} came before for another order 同一钞票重复上报")
        if row.state != "PAID":
            await self._payments.seen(row, Evidence("PAID", fen=note.fen, at_ms=note.at_ms))
        findings = []
        before = note_key(note.terminal, note.box, note.sequence - 1)
        if note.sequence > 1 and await self._payments.of_key(self._system, before) is None:
            findings.append(
                _finding("JL-P323", f"{note.key}: the note before it was not reported 钞箱序号不连续")
            )
        if await self._closing(note.terminal, note.box) is not None:
            findings.append(_finding("JL-P324", f"{note.key}: its box is closed 钞箱已清点"))
        return findings

    async def close(
        self, asked: Mapping[str, Any], fen_of_asked: Mapping[str, int], now_ms: int
    ) -> dict[str, Any]:
        """What was counted against the device's journal and against our rows. Raises Refused: JL-P325 not two people,
        JL-P001 it was closed before with another count."""
        terminal, box, last = terminal_of(asked), name_of(asked, "box"), _last(asked)
        people = [name_of(asked, "by"), name_of(asked, "second")]
        if people[0] == people[1]:
            raise Refused("JL-P325", "a box is counted by two people 钞箱须双人清点")
        ledger, missing = 0, []
        for sequence in range(1, last + 1):
            row = await self._payments.of_key(self._system, note_key(terminal, box, sequence))
            if row is None:
                missing.append(sequence)
            else:
                ledger += row.fen
        counted, journal = fen_of_asked["counted"], fen_of_asked["journal"]
        facts = {"by": people[0], "second": people[1], "journal": journal, "ledger": ledger, "last": last}
        key = f"close {terminal}/{box}"
        row = await self._payments.place(
            Order(self._system, number_of(self._system, key), key, counted, "box", now_ms)
        )
        await self._payments.seen(row, Evidence("CLOSED", facts=facts))
        findings = _differences(f"{terminal}/{box}", counted, journal, ledger, missing)
        return {
            "box": box,
            "counted": yuan_of(counted),
            "journal": yuan_of(journal),
            "ledger": yuan_of(ledger),
            "difference": yuan_of(counted - ledger),
            "missing": missing[:_MOST_TOLD],
            "agrees": not findings,
            "findings": findings,
        }

    async def _closing(self, terminal: str, box: str) -> Order | None:
        return await self._payments.of_key(self._system, f"close {terminal}/{box}")


def _differences(box: str, counted: int, journal: int, ledger: int, missing: list[int]) -> list[Finding]:
    found = []
    if missing:
        some = ", ".join(map(str, missing[:_MOST_TOLD]))
        found.append(
            _finding("JL-P323", f"{box}: {len(missing)} notes were not reported: {some} 钞箱序号不连续")
        )
    if not counted == journal == ledger:
        said = f"counted {yuan_of(counted)}, device {yuan_of(journal)}, ledger {yuan_of(ledger)}"
        found.append(_finding("JL-P326", f"{box}: {said} 钞箱金额不符"))
    return found


def _finding(code: str, text: str) -> Finding:
    return {"code": code, "text": text}


def _last(asked: Mapping[str, Any]) -> int:
    last = asked.get("last")
    if isinstance(last, bool) or not isinstance(last, int) or not 0 <= last <= MOST_NOTES:
        raise Refused("JL-P320", f"`last` is the last sequence of the box, at most {MOST_NOTES} 序号无效")
    return last
