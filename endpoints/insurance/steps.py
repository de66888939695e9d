"""What a long operation of a channel does within one delivery: a step, with a limit that lies far below the broker's.

A broker takes a delivery back that nobody acknowledges for half an hour. So an operation ends a step after some minutes
with "again" (Unreachable, JL-N112): what is done is in the tables, and the next try of the same message goes on there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.errors import Refused, Unreachable
from endpoints.insurance.catalogue_import import Way, owner
from endpoints.insurance.catalogues import Tables
from endpoints.insurance.party import Party

STEP_S = 600.0
_OF_A_TIMER = ("infno", "scheduled", "previous")  # what a message has that a timer made


def tables_of(party: Party) -> Tables:
    """Raises Unreachable (JL-N018)."""
    found = party.ground.insurance_tables
    if found is None:
        raise Unreachable("JL-N018", "there are no tables here 无目录库")
    return found


def way_of(party: Party, **said: Any) -> Way:
    return Way(tables_of(party), lambda: party.now_ms, owner(), stop=over(party), **said)


def over(party: Party, within_s: float = STEP_S) -> Callable[[], bool]:
    end = party.ground.now() + within_s
    return lambda: party.ground.now() >= end


def texts(tree: dict[str, Any], name: str) -> list[str]:
    """A list of texts, or one. Raises Refused (JL-N115)."""
    said = tree.get(name, [])
    said = [said] if isinstance(said, str | int) else said
    if not isinstance(said, list) or not all(isinstance(one, str | int) for one in said):
        raise Refused("JL-N115", f"{name} must be a list of texts")
    return [str(one) for one in said]


def only(tree: dict[str, Any], *names: str) -> None:
    """Raises Refused (JL-N115) where a message asks for what there is not."""
    if unknown := sorted(set(tree) - {*names, *_OF_A_TIMER}):
        raise Refused("JL-N115", f"unknown: {unknown[0][:40]!r}; known are {', '.join(names)}")
