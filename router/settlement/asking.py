"""A person asks a party now, outside the schedule: what it answers is an attempt as any other, and evidence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.settling.model import Step
from router.settlement.commands import Call
from router.settlement.progress import Progress
from router.settlement.resolve import body_of, key_of
from router.settlement.rows import Place, Rows


def wished(rows: Rows) -> frozenset[Place]:
    """The places that a person wished asked about, and that were not asked since."""
    asks = [one for one in rows.decisions if one.what == "ask" and one.place is not None]
    probed = [(one.place, one.number) for one in rows.attempts if one.direction == "probe"]
    return frozenset(
        one.place
        for one in asks
        if one.place is not None
        and not any(place == one.place and number > one.after for place, number in probed)
    )


def asking(step: Step, progress: Progress, facts: Mapping[str, Any]) -> Call | None:
    """The question; None where the step has none, or nothing was asked of the party that it could be about."""
    if step.ask is None:
        return None
    way = progress.undo if progress.undo.last is not None else progress.do
    if way.last is None and step.wait is None:
        return None
    key = way.last.key if way.last is not None else key_of(progress.place, 0)
    about = "undo" if way is progress.undo else "do"
    return Call(progress.place, "probe", str(step.ask), key, body_of(step, dict(facts)), about)  # type: ignore[arg-type]
