"""Steps that wait for a person: what is asked of whom, and what a decision lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.settling.model import Definition, Manual, Step
from router.settlement.commands import Wait
from router.settlement.decide import decide
from router.settlement.rows import Decision, Place, Rows


def asked(definition: Definition, rows: Rows, now_ms: int) -> tuple[Place, Step] | None:
    """The step that waits for a person, where one does. Raises TooMany."""
    command = decide(definition, rows, now_ms)
    if not isinstance(command, Wait) or command.place is None:
        return None
    step = definition.step(command.place.step)
    return (command.place, step) if step.manual is not None else None


def shown(place: Place, manual: Manual) -> dict[str, Any]:
    """For whoever is to decide."""
    return {
        "step": place.step,
        "item": place.item,
        "form": list(manual.form),
        "roles": list(manual.roles),
        "four_eyes": manual.four_eyes,
    }


def lacking(manual: Manual, said: Decision) -> str:
    """What a decision lacks, for people; '' where it lacks nothing."""
    if manual.roles and said.role not in manual.roles:
        return f"only {', '.join(manual.roles)} may decide this (`role`) 无权审批"
    if manual.four_eyes and (not said.second or said.second == said.who):
        return "it needs a second person (`second`) 需复核人"
    form = said.reply if isinstance(said.reply, Mapping) else {}
    empty = [name for name in manual.form if form.get(name) in (None, "")] if said.what == "done" else []
    return f"the form (`reply`) lacks {', '.join(empty)} 表单缺项" if empty else ""
