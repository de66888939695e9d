"""Why a settlement came to nothing, in words that its caller can show. Pure."""

from __future__ import annotations

from typing import Any

from channels.settling.model import Definition
from config.errors import BadMessage
from router.settlement.facts import Known
from router.settlement.progress import progress_of
from router.settlement.rows import Rows


def reason(definition: Definition, rows: Rows) -> dict[str, Any]:
    """`{step, code, text}` of the first thing that stood in its way: a refusal, what did not hold, or who cancelled."""
    try:
        return _found(definition, rows)
    except BadMessage:  # a step behind, that it did not come to
        return _said(rows, "")


def _found(definition: Definition, rows: Rows) -> dict[str, Any]:
    known = Known(definition, rows, progress_of(rows))
    refused = {one.place: one for one in rows.attempts if one.direction == "do" and one.outcome == "REJECTED"}
    for step in definition.steps:
        if step.when is not None and not step.when(known.facts):
            continue
        for place, _ in known.places(step):
            standing = known.of(place).standing(step)
            if standing in ("OK", "UNDONE"):
                known.learn(step, place)
            elif place in refused:
                one = refused[place]
                return {"step": step.name, "code": one.code, "text": one.text}
            elif step.do is not None or step.wait is not None:
                return _said(rows, step.name)
            for check in step.checks:
                if check.otherwise == "undo" and not check.holds(known.facts):
                    return {
                        "step": step.name,
                        "code": "JL-T001",
                        "text": check.text or f"{check.name} 核对不符",
                    }
    return _said(rows, "")


def _said(rows: Rows, step: str) -> dict[str, Any]:
    for one in reversed(rows.decisions):
        if one.what in ("cancel", "compensate", "not done"):
            late = one.who == "deadline"
            text = "nothing came in time 超时未完成" if late else one.reason or "cancelled 已取消"
            return {"step": one.place.step if one.place else step, "code": "JL-T017", "text": text}
    return {"step": step, "code": "", "text": ""}
