"""What a settlement knows: its request, and what its steps kept of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from channels.settling.model import MAX_ITEMS, Definition, Step
from config.errors import BadMessage
from router.settlement.progress import Progress, progress_of
from router.settlement.rows import Place, Rows


class TooMany(ValueError):
    """A step's `each` has more items than a settlement may have."""


class Known:
    """The facts as they grow, step by step, while a pipeline is gone through."""

    def __init__(self, definition: Definition, rows: Rows, progress: Mapping[Place, Progress]) -> None:
        self.definition = definition
        self.rows = rows
        self.progress = progress
        self.facts: dict[str, Any] = dict(rows.request)

    @cached_property
    def past(self) -> bool:
        """Whether a pivot is done: then only forward."""
        pivots = {step.name: step for step in self.definition.steps if step.pivot}
        return any(
            one.do.calls and one.standing(pivots[place.step]) == "OK"
            for place, one in self.progress.items()
            if place.step in pivots
        )

    def of(self, place: Place) -> Progress:
        return self.progress.get(place) or Progress(place)

    def places(self, step: Step) -> Iterator[tuple[Place, dict[str, Any]]]:
        """The times of a step, each with the facts as it sees them: `item` and `items` where it has `each`."""
        if step.each is None:
            yield Place(step.name), self.facts
            return
        items = step.each(self.facts) or []
        if len(items) > MAX_ITEMS:
            raise TooMany(f"{step.name}: {len(items)} items, more than {MAX_ITEMS}")
        for number, at in enumerate(range(0, len(items), step.at_once)):
            some = items[at : at + step.at_once]
            yield Place(step.name, number), {**self.facts, "items": some, "item": some[0]}

    def learn(self, step: Step, place: Place) -> None:
        """What it keeps of the answer, now that it is done. Of several times: what the last kept, and all in a list."""
        asks = step.do or step.wait
        reply = (
            self.of(place).do.reply if asks else self.facts
        )  # who asks nobody keeps what follows from the facts
        for name, read in step.keep.items():
            value = read(reply)
            if step.each is None:
                self.facts[name] = value
            else:
                self.facts[name] = [*(self.facts.get(name, []) if place.item else []), value]


def kept(definition: Definition, rows: Rows) -> dict[str, Any]:
    """What its steps kept so far, without the request."""
    known = Known(definition, rows, progress_of(rows))
    for step in definition.steps:
        if step.when is not None and not step.when(known.facts):
            continue
        left = False
        for place, _ in known.places(step):
            if known.of(place).standing(step) not in ("OK", "UNDONE") and (step.do or step.wait):
                left = True
                if not step.apart:
                    break
            else:
                try:
                    known.learn(step, place)
                except BadMessage:  # it was not come to: what it reads is not there yet
                    left = True
        if left:
            break
    return _without(known.facts, rows)


def _without(facts: dict[str, Any], rows: Rows) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in rows.request}
