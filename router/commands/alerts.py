"""`jingluo alerts`: what is not well now, and what was not lately. Asks the running engine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import typer

if TYPE_CHECKING:
    from config.settings import Settings


def show(settings: Settings, state: str, channel: str, since_ms: int | None, *, as_json: bool) -> int:
    """Prints them. 1 where any is open, so that a script can ask."""
    from pydantic import TypeAdapter

    from router.api_alerts import Shown
    from router.commands.operator import operator
    from router.commands.tables import print_alerts

    asked = {"state": state, "channel": channel}
    if since_ms is not None:
        asked["since"] = str(since_ms / 1000)  # Unix seconds are a moment too
    with operator(settings) as engine:
        answer = engine.get(f"/api/alerts?{urlencode(asked)}")
    found = TypeAdapter(list[Shown]).validate_json(answer)
    if as_json:
        typer.echo(answer.decode())
    else:
        print_alerts(found)
    return int(any(not one.closed_ms for one in found))
