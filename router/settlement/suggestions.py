"""What an operator may do next: the first rule of suggestions.yaml that fits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from config.text import parse

RULES = Path(__file__).parent / "suggestions.yaml"


class Suggestion(BaseModel):
    """Actions in their order: ask, retry, mark, compensate, forward, release."""

    model_config = ConfigDict(frozen=True)

    do: list[str]
    en: str
    zh: str


class Rule(Suggestion):
    """`when`: what must be so, each a field of the settlement and its value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: dict[str, str | bool] = Field(min_length=1)


@cache
def rules() -> tuple[Rule, ...]:
    """As they are shipped."""
    data = parse(RULES.read_text(encoding="utf-8"), RULES.name).data
    return tuple(Rule.model_validate(one) for one in data["rules"])


def suggested(facts: Mapping[str, Any]) -> Suggestion | None:
    """`facts`: code, state, column and direction of the last attempt, held, stuck.

    >>> suggested({"state": "SUSPENDED", "code": "JL-T005"}).do
    ['ask', 'mark']
    """
    for rule in rules():
        if all(facts.get(name) == wanted for name, wanted in rule.when.items()):
            return Suggestion(do=rule.do, en=rule.en, zh=rule.zh)
    return None
