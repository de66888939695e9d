"""What a channel's web door says of itself in `/openapi.json`: schemas of its validation, examples of its tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from channels.model import Branch, ChannelText
from endpoints.base import Described
from endpoints.operations import Operation
from schemas.validation.base import Kind

MAX_EXAMPLES = 5
_REF = "#/components/schemas/"


def asked(text: ChannelText, branches: Sequence[Branch]) -> Mapping[str, Operation]:
    """What can be asked at the channel's door: of the destination that answers, where messages go as they come."""
    found = (b for b in branches if b.name == text.reply and b.map is None)
    return next((branch.options.operations() for branch in found), {})


def describe(
    text: ChannelText, request: Kind | None, response: Kind | None, operations: Mapping[str, Operation]
) -> Described:
    """`request` and `response` are what both are validated by, where that is known."""
    schemas = {}
    for kind in (request, response):
        for file in kind.files if kind is not None and kind.name.endswith(".json") else ():
            schemas[_name(text.channel, file)] = _component(text.channel, file)
    examples, answers = _examples(text.tests)
    return Described(
        title=text.title,
        schemas=schemas,
        request=_main(text.channel, request),
        response=_main(text.channel, response),
        examples=examples,
        answers=answers,
        operations=operations,
    )


def _main(channel: str, kind: Kind | None) -> str:
    return _name(channel, kind.files[0]) if kind is not None and kind.name.endswith(".json") else ""


def _name(channel: str, file: Path) -> str:
    """Of a component: letters, digits, `.`, `_` and `-`."""
    return f"{channel}.{''.join(c if c.isascii() and c.isalnum() else '-' for c in file.stem)}"


def _component(channel: str, file: Path) -> Any:
    """The schema with its references led into the document; it is one that was compiled, so it can be read."""
    return _led(json.loads(file.read_bytes()), channel, file, top=True)


def _led(value: Any, channel: str, file: Path, top: bool = False) -> Any:
    if isinstance(value, list):
        return [_led(inner, channel, file) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {key: _led(inner, channel, file) for key, inner in value.items()}
    if top:
        made.pop("$schema", None)
        made.pop("$id", None)
    if isinstance(made.get("$ref"), str):
        name, _, within = made["$ref"].partition("#")
        owner = Path(PurePosixPath(name)) if name else file
        made["$ref"] = f"{_REF}{_name(channel, owner)}{within}"
    return made


def _examples(tests: Sequence[Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What is sent and what is answered, of the first tests that have it as it stands."""
    sent: dict[str, Any] = {}
    answered: dict[str, Any] = {}
    for test in tests:
        if not isinstance(test, dict) or len(sent) >= MAX_EXAMPLES:
            continue
        name, given, expect = str(test.get("name", "")), test.get("given"), test.get("expect")
        reply = expect.get("reply") if isinstance(expect, dict) else None
        if not isinstance(given, dict | str) or _is_file(given) or _is_refused(expect, reply):
            continue
        sent[name] = given
        if isinstance(reply, dict) and "$" in reply and reply.get("code", 200) == 200:
            answered[name] = reply["$"]
    return sent, answered


def _is_file(given: Any) -> bool:
    return isinstance(given, dict) and set(given) <= {"file", "charset"} and "file" in given


def _is_refused(expect: Any, reply: Any) -> bool:
    journal = expect.get("journal") if isinstance(expect, dict) else None
    state = journal.get("state") if isinstance(journal, dict) else journal
    refused = isinstance(reply, dict) and ("error" in reply or reply.get("state") == "refused")
    return state == "refused" or refused
