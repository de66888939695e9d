"""What a destination can be asked, where each message says which: a door shows each with a schema of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from schemas.validation.base import Fault


class Outlined(NamedTuple):
    """An answer in XML for a caller that reads a code and a text first, and then elements."""

    state: Literal["accepted", "refused", "pending"]
    text: str
    inside: str


class Operation(Protocol):
    """`groups` are words for several of them: a caller's scope may name those, or the operation itself."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def writes(self) -> bool: ...  # done twice, it is done twice
    @property
    def groups(self) -> Sequence[str]: ...
    def request(self) -> Mapping[str, Any]: ...  # JSON Schema of what is asked
    def answer(self) -> Mapping[str, Any]: ...  # and of what comes back
    def sample(self) -> Any: ...  # a request that is valid
    def faults(self, tree: Any) -> Sequence[Fault]: ...  # of a request; none: it may go

    def of_xml(self, document: bytes) -> bytes:
        """A request that came as XML, as JSON. Raises BadMessage."""

    def in_xml(self, answer: bytes) -> Outlined:
        """An answer as XML. Raises BadMessage."""
