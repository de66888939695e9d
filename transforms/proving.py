"""A map's own tests: what is given, and what must come out. Pure: no file, no clock.

```yaml
tests:
  - name: an admission makes a patient
    given: |
      MSH|...
    envelope: {id: "42", received_ms: 1767571200000}     # optional
    expect: {$.resourceType: Bundle, $.entry[9]: null}    # null: nothing there
  - name: without a number it is refused
    given: ...
    expect: {error: JL-M050}
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config.errors import BadMessage
from schemas.base import BadPath
from schemas.message import Message
from transforms.mapping import Map

_KEYS = {"name", "given", "envelope", "expect"}
_ENVELOPE = {"id", "source", "received_ms", "channel", "parent", "headers"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a test wanted otherwise. `path` is '' where the test itself is at fault."""

    test: str
    path: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.test}: {self.path or 'test'}: expected {self.expected!r}, got {self.got!r}"


def prove(mapped: Map, tests: Iterable[Any]) -> list[Failure]:
    """Runs a map's tests. Nothing in the list means that all hold."""
    return [failure for number, test in enumerate(tests, 1) for failure in _prove(mapped, test, number)]


def _prove(mapped: Map, test: Any, number: int) -> list[Failure]:
    if not isinstance(test, Mapping) or not isinstance(test.get("expect"), Mapping) or set(test) - _KEYS:
        return [Failure(f"test {number}", "", f"a mapping with {', '.join(sorted(_KEYS))}", test)]
    name, expect = str(test.get("name", f"test {number}")), dict(test["expect"])
    wanted_error = expect.pop("error", None)
    body = str(test.get("given", "")).encode()
    try:
        message = _message(test.get("envelope", {}), body)
        tree = mapped.target.decode(mapped.run(mapped.source.decode(body, "utf-8"), message))
    except BadMessage as error:
        return [] if error.code == wanted_error else [Failure(name, "error", wanted_error, str(error))]
    except ValueError as error:
        return [Failure(name, "", "a test that can be run", str(error))]
    if wanted_error:
        return [Failure(name, "error", wanted_error, None)]
    return [
        failure for path, value in expect.items() for failure in _compare(mapped, tree, name, path, value)
    ]


def _message(envelope: Mapping[str, Any], body: bytes) -> Message:
    if set(envelope) - _ENVELOPE:
        raise ValueError(f"an envelope has {', '.join(sorted(_ENVELOPE))}")
    return Message(body, **envelope)


def _compare(mapped: Map, tree: Any, name: str, path: Any, wanted: Any) -> list[Failure]:
    if not (isinstance(path, str) and path.startswith("$")):
        return [Failure(name, "", "a path that begins with $", path)]
    try:
        got = mapped.target.path(path[1:]).one(tree)
    except BadPath as error:
        return [Failure(name, path, wanted, str(error))]
    return [] if same(wanted, got) else [Failure(name, path, wanted, got)]


def same(wanted: Any, got: Any) -> bool:
    """Equal by value: numbers whatever their type, and truth is no number."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return wanted.keys() == got.keys() and all(same(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(same, wanted, got))
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, float):
        wanted = Decimal(repr(wanted))
    return bool(wanted == got)
