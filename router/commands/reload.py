"""`jingluo plan` and `jingluo apply`: ask the running engine, which reads its own files."""

from __future__ import annotations

import typer

from config.settings import Settings
from router.commands.operator import operator
from router.plan import Plan

_MARKS = {"added": "+", "changed": "~", "removed": "-", "refused": "!"}
_BECOMES = {"made": "is made", "drained": "is emptied, then dropped", "dropped": "is empty, and dropped"}


def ask(settings: Settings, what: str, *, drain: bool, as_json: bool) -> int:
    """`what`: plan or apply. Exit code 0 when it can be done or is done, 1 with the reasons when not."""
    with operator(settings) as engine:
        answer = engine.post(f"/api/{what}", {"drain": drain})
    plan = Plan.model_validate_json(answer)
    typer.echo(answer.decode() if as_json else as_text(plan))
    return 1 if plan.refused else 0


def as_text(plan: Plan) -> str:
    """A line each: channels, queues, findings; and last what it comes to."""
    lines = []
    for channel in plan.channels:
        if channel.change != "same":
            digests = " -> ".join(digest for digest in (channel.live, channel.new) if digest)
            lines.append(f"{_MARKS[channel.change]} {channel.channel}  {channel.change}  {digests}")
            lines += [f"    {note}" for note in channel.notes]
    lines += plan.callers
    for queue in plan.queues:
        waiting = f" ({queue.waiting} waiting)" if queue.waiting else ""
        lines.append(f"  queue {queue.queue} {_BECOMES[queue.change]}{waiting}")
    lines += [str(finding) for finding in plan.findings]
    return "\n".join([*lines, _verdict(plan)])


def _verdict(plan: Plan) -> str:
    same = sum(channel.change == "same" for channel in plan.channels)
    if plan.refused:
        return f"refused, nothing changed: {plan.live} goes on 已拒绝，未作任何更改"
    if plan.nothing:
        return f"nothing changes: {plan.live} is live, {same} channels 无变化"
    if plan.applied:
        return f"applied: {plan.new} is live, {same} channels untouched 已生效"
    return f"would change {plan.live} to {plan.new}, {same} channels untouched 预览，未执行"
