"""A map's own tests: what is given, and what must come out. No clock, no network.

```yaml
tests:
  - name: an admission makes a patient
    given: |
      MSH|...
    envelope: {id: "42", received_ms: 1767571200000}     # optional
    expect: {$.resourceType: Bundle, $.entry[9]: null}    # null: nothing there
  - name: without a number it is refused
    given: {file: samples/no-number.hl7}
    expect: {error: JL-M050}
```
What `expect` may say stands in `contents.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from config.errors import BadMessage, Problem
from config.models import did_you_mean
from config.registry import nearest
from config.text import At
from schemas.choice import as_bytes, spoken
from schemas.dicom import Dicom
from schemas.message import Message
from schemas.xlsx import Xlsx
from transforms.compare import Difference
from transforms.contents import Content, compile_content, read_sample
from transforms.expression import Tables
from transforms.mapping import Map
from transforms.samples import Samples, file_of

KEYS = ("name", "given", "envelope", "expect")
ENVELOPE = ("id", "source", "received_ms", "channel", "parent", "headers")


class NoTables:
    """For tests that ask for no table."""

    def table(self, name: str) -> None:
        return None

    def table_names(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a test wanted otherwise. `path` is '' where the test itself is at fault."""

    test: str
    path: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        if not self.path:
            return f"{self.test}: test: expected {self.expected!r}, got {self.got!r}"
        return f"{self.test}: {Difference(self.path, self.expected, self.got)}"


@dataclass(frozen=True, slots=True)
class Given:
    """The message of a test. `missing`: why its file cannot be read."""

    body: bytes = b""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """One test of a map, understood. `faults` says why it cannot be run."""

    name: str
    at: At = ()
    given: Given = Given()
    envelope: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    content: Content | None = None
    faults: tuple[str, ...] = ()


def compile_proofs(
    tests: Any,
    mapped: Map,
    problems: list[Problem],
    at: At = ("tests",),
    samples: Samples = Samples(),  # noqa: B008  (frozen)
    tables: Tables = NoTables(),  # noqa: B008
) -> list[Proof]:
    """The tests of a map. Their mistakes are added to `problems`, with their places."""
    if not isinstance(tests, list):
        problems.append(Problem(at, "JL-C012", "tests must be a list"))
        return []
    made = [_proof(test, mapped, problems, (*at, n), samples, tables) for n, test in enumerate(tests)]
    named_twice([(proof.name, proof.at) for proof in made], problems)
    return made


def _proof(
    test: Any, mapped: Map, problems: list[Problem], at: At, samples: Samples, tables: Tables
) -> Proof:
    name = f"test {int(at[-1]) + 1}"
    own: list[Problem] = []
    made = Proof(name, at)
    if test_keys(test, KEYS, own, at):
        name = str(test.get("name", name))
        expect = test["expect"]
        error = str(expect.get("error", ""))
        spec = {key: value for key, value in expect.items() if key != "error"}
        content = compile_content(spec, mapped.target, tables, samples, own, (*at, "expect"))
        if error and spec:
            what = "an error and a content: of a message that is refused nothing is made"
            own.append(Problem((*at, "expect", "error"), "JL-C086", what))
        given = given_of(test["given"], mapped.source_format, samples, own, (*at, "given"))
        if isinstance(test["given"], str):
            given = replace(given, body=as_bytes(mapped.source, test["given"]))
        envelope = envelope_of(test.get("envelope", {}), ENVELOPE, own, (*at, "envelope"))
        made = Proof(name, at, given, envelope, error, content if spec else None)
    problems += own
    faults = tuple(problem.message for problem in own if problem.severity == "error")
    return Proof(name, at, made.given, made.envelope, made.error, made.content, faults)


def test_keys(test: Any, known: Sequence[str], problems: list[Problem], at: At) -> bool:
    """Whether a test has the shape of one: given, and what is expected."""
    if not isinstance(test, Mapping):
        problems.append(Problem(at, "JL-C012", f"a test is a mapping with {', '.join(known)}"))
        return False
    for key in test:
        if key not in known:
            hint = did_you_mean(nearest(str(key), known), list(known))
            problems.append(Problem((*at, key), "JL-C010", f"unknown key {str(key)!r}", hint, on_key=True))
    for key in ("given", "expect"):
        if key not in test:
            problems.append(Problem(at, "JL-C011", f"the key {key!r} is missing"))
    expect = test.get("expect")
    if "expect" in test and not isinstance(expect, Mapping):
        problems.append(Problem((*at, "expect"), "JL-C012", "expect must be a mapping (key: value)"))
    elif "expect" in test and not expect:
        what = "a test that expects nothing proves nothing"
        problems.append(Problem((*at, "expect"), "JL-C087", what))
    return "given" in test and isinstance(expect, Mapping) and bool(expect)


test_keys.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


def named_twice(names: Iterable[tuple[str, At]], problems: list[Problem]) -> None:
    """A finding for every test whose name an earlier one has: it could not be chosen."""
    seen: set[str] = set()
    for name, at in names:
        if name in seen:
            problems.append(Problem((*at, "name"), "JL-C084", f"two tests are called {name!r}"))
        seen.add(name)


# Formats that no text can be, and that a tree is written in for a test.
_BINARY: Mapping[str, Callable[[], Dicom | Xlsx]] = {"dicom": Dicom, "xlsx": Xlsx}


def given_of(spec: Any, format_name: str, samples: Samples, problems: list[Problem], at: At) -> Given:
    """A text, `{file: name}`, or (of JSON, Excel, and DICOM without pixels) the message as YAML."""
    if name := file_of(spec):
        body = read_sample(name, samples, problems, at)
        return Given(body or b"", "" if body is not None else f"{name} cannot be read")
    if isinstance(spec, str):
        return Given(spec.encode())
    if format_name in ("json", "fhir") and isinstance(spec, Mapping | list):
        return Given(json.dumps(spec, ensure_ascii=False).encode())
    if format_name in _BINARY and isinstance(spec, Mapping):
        return _encoded(format_name, spec, problems, at)
    what = "given is the message: a text, or {file: name}"
    problems.append(Problem(at, "JL-C012", what))
    return Given()


def _encoded(format_name: str, tree: Mapping[str, Any], problems: list[Problem], at: At) -> Given:
    """A file of keywords, what an image says without its pixels; or a sheet of rows."""
    try:
        return Given(_BINARY[format_name]().encode(tree))
    except BadMessage as error:
        problems.append(Problem(at, "JL-C083", f"given is no message: {error.text}"))
        return Given()


def envelope_of(spec: Any, known: Sequence[str], problems: list[Problem], at: At) -> dict[str, Any]:
    """What a message carries beside its body, as a test says it."""
    if not isinstance(spec, Mapping):
        problems.append(Problem(at, "JL-C012", "envelope must be a mapping (key: value)"))
        return {}
    made: dict[str, Any] = {}
    for key, value in spec.items():
        if key not in known:
            hint = did_you_mean(nearest(str(key), known), list(known))
            problems.append(Problem((*at, key), "JL-C010", f"unknown key {str(key)!r}", hint, on_key=True))
        elif key == "headers" and isinstance(value, Mapping):
            made[key] = {str(name).lower(): str(text) for name, text in value.items()}
        elif isinstance(value, int if key == "received_ms" else str) and key != "headers":
            made[key] = value
        else:
            wanted = {"headers": "a mapping", "received_ms": "a whole number"}.get(str(key), "text")
            problems.append(Problem((*at, key), "JL-C012", f"{key} must be {wanted}"))
    return made


def prove(mapped: Map, tests: Iterable[Any]) -> list[Failure]:
    """Runs a map's tests. Nothing in the list means that all hold."""
    return [failure for proof in compile_proofs(list(tests), mapped, []) for failure in run(proof, mapped)[0]]


def run(proof: Proof, mapped: Map) -> tuple[list[Failure], bytes]:
    """What one test wanted otherwise, and what was made."""
    if proof.faults:
        return [Failure(proof.name, "", "a test that can be run", fault) for fault in proof.faults], b""
    if proof.given.missing:
        return [Failure(proof.name, "given", "a message", proof.given.missing)], b""
    body = proof.given.body
    try:
        made = mapped.run(mapped.source.decode(body, spoken(mapped.source)), Message(body, **proof.envelope))
    except BadMessage as error:
        if error.code == proof.error:
            return [], b""
        return [Failure(proof.name, "error", proof.error or None, str(error))], b""
    if proof.error:
        return [Failure(proof.name, "error", proof.error, None)], made
    found = proof.content.differences(made) if proof.content else []
    return [Failure(proof.name, diff.path, diff.wanted, diff.got) for diff in found], made
