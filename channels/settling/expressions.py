"""Expressions on a settlement's facts: `$.total` is a field of the request, `$preset.fund` a fact that a step kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from channels.settling.model import Read, Test
from config.errors import Problem
from config.text import At
from transforms.conditions import compile_when
from transforms.expression import begin, compile_expression, is_expression, literal, open_scope
from transforms.library import Library

_FACT = re.compile(r"^\$([a-z][a-z0-9_]*)(?=[.\[\s|]|$)")


class Expressions:
    """Compiles them; mistakes are gathered in `problems`."""

    def __init__(self, library: Library, problems: list[Problem]) -> None:
        self.library, self.problems = library, problems

    def test(self, said: Any, at: At) -> Test | None:
        return compile_when(self.renamed(said), "json", self.library, self.problems, at, ())

    def value(self, said: Any, at: At) -> Read | None:
        """An expression on the facts, or a literal."""
        return self.raw(self.renamed(said), at)

    def values(self, said: str, at: At) -> Read:
        """All that an expression finds, as a list."""
        return self.raw(self.renamed(said), at, every=True) or (lambda facts: [])

    def raw(self, said: Any, at: At, every: bool = False) -> Read | None:
        if not is_expression(said):
            fixed = literal(said)
            return lambda tree: fixed
        scope = open_scope("json", self.library, self.problems, at)
        expression = compile_expression(said, scope, at, every) if scope else None
        if expression is None:
            return None
        call = expression.closure()
        return lambda tree: call(tree, begin(tree))

    def renamed(self, said: Any) -> Any:
        """`$preset.x`, a fact that a step kept, is `$.preset.x` in the tree of all facts."""
        if isinstance(said, Mapping):
            return {self.renamed(key): self.renamed(value) for key, value in said.items()}
        if isinstance(said, list):
            return [self.renamed(one) for one in said]
        if not isinstance(said, str):
            return said
        found = _FACT.match(said)
        return said if found is None else f"$.{said[1:]}"

    def problem(self, at: At, code: str, message: str, hint: str = "", on_key: bool = False) -> None:
        self.problems.append(Problem(at, code, message, hint, on_key=on_key))
