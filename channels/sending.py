"""`send: insurance.2207`, short for a system and what is asked of it: `{system: insurance, transaction: "2207"}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import WrapValidator
from pydantic_core import PydanticCustomError

# What is asked, until the system's kind says which of its options that is: no option has this name.
OPERATION = ""
_WAYS = "`{0}.operation`, or `{{system: {0}}}`"
PATTERN = r"^.+\.[^.]+$"


def _spelled_out(value: Any, mapping: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """A system's name may have dots in it, an operation's never has.

    >>> _spelled_out("insurance.2207", dict)
    {'system': 'insurance', '': '2207'}
    """
    if not isinstance(value, str):
        return mapping(value)
    system, _, operation = value.rpartition(".")
    if not system or not operation:
        said = f"{value!r} is no mapping, and names no operation; "
        raise PydanticCustomError("JL-C012", "{said}", {"said": said + _WAYS.format(system or value)})
    return {"system": system, OPERATION: operation}


SendText = Annotated[dict[str, Any], WrapValidator(_spelled_out, json_schema_input_type=dict[str, Any] | str)]


def systems_in(data: Any) -> set[str]:
    """The systems that a channel's YAML names, in either form."""
    if isinstance(data, list):
        return {name for inner in data for name in systems_in(inner)}
    if not isinstance(data, dict):
        return set()
    own = {value for key, value in data.items() if key == "system" and isinstance(value, str)}
    if isinstance(short := data.get("send"), str):
        own.add(short.rpartition(".")[0])
    return own.union(*(systems_in(inner) for inner in data.values()))
