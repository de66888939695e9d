"""What is wrong with a channel's `alert`, and with a channel that takes alerts."""

from __future__ import annotations

from channels.compile import Draft
from config.alert_settings import ALERTS
from config.errors import Problem
from config.settings import Settings


def alerts_of(made: Draft, settings: Settings) -> None:
    """Notes it."""
    text = made.text
    if text is None:
        return
    if text.alert.hours is not None and text.alert.over(settings.alerts).silent is None:
        what = "`hours` are those in which a silence counts, and nobody is told of one"
        hint = "say `silent` too, or leave `hours` out"
        made.problems.append(Problem(("alert", "hours"), "JL-C160", what, hint, "warning"))
    if made.source is None or made.source[0] != ALERTS:
        return
    if text.alert.silent is not None:
        what = "a channel of alerts is silent when all is well"
        made.problems.append(Problem(("alert", "silent"), "JL-C160", what, "leave it out"))
    if text.reply != "accepted" and ("reply",) not in made.absent:
        what = "the engine waits for no reply to its alerts"
        made.problems.append(Problem(("reply",), "JL-C052", what, "leave it out", "warning"))
