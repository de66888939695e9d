"""What every protocol offers: a source that takes messages in, a destination that hands them on.

README.md in this folder is the checklist for a new one.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.callers import ANYBODY
from config.errors import JingluoError, Problem
from config.tls import ClientCertificates
from endpoints.insurance.catalogues import Tables
from endpoints.insurance.records import Records
from endpoints.operations import Operation
from endpoints.payment.records import Payments
from endpoints.settling import Settle
from endpoints.stating import Statements
from schemas.base import Format
from schemas.message import LARGE, Blob, Message, Receipt, Reply

# Never raises, never blocks: what comes back is a Future of the Reply.
Deliver = Callable[[Message], "asyncio.Future[Reply]"]
# The same, to the channel of that name.
HandOver = Callable[[str, Message], "asyncio.Future[Reply]"]

RETRY_AFTER_S = 5  # when to come back, where nobody knows better
PARAMETER = re.compile(r"\{(\w+)\}")  # of a request, in a `scope`
HEAD_SIZE = 4096  # bytes kept of a message that could not be taken whole: enough to know whose it is


class Options(BaseModel):
    """The YAML of an endpoint. Unknown keys are refused; a field's description is the manual."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A source that may take the same thing again after a crash, and says so by `Message.once`.
    takes_again: ClassVar[bool] = False

    # A source that waits at a `port` of this machine's, as against one that calls somebody else's.
    listens: ClassVar[bool] = True

    # Of a destination the option that says what is asked of it: `send: system.operation` gives that one.
    operation_field: ClassVar[str] = ""

    # The option that is the system's name in systems.yaml, where its entry does not say another.
    system_field: ClassVar[str] = ""

    # Of a system's entry what this end takes, where the other end's options stand there too; None: all of it.
    of_system: ClassVar[frozenset[str] | None] = None

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        """The site's files that decide what the endpoint does besides its YAML, all that they name included.

        What is wrong with them goes to `problems`, `at` beginning within the options. Reads them: may block.
        """
        return ()

    def operations(self) -> Mapping[str, Operation]:
        """What a destination can be asked, by name, where each message says which; without that, nothing."""
        return {}

    def paths(self) -> Sequence[str]:
        """What a destination reads of the messages that it is sent: `$` and a path of their format."""
        return ()


def listed(value: Any) -> Any:
    """One name may stand for a list of one."""
    return [value] if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], BeforeValidator(listed, json_schema_input_type=tuple[str, ...] | str)]


class WebOptions(Options):
    """What every source on the engine's web server says of who may call. Where it says nothing: this machine alone."""

    callers: Listed = Field(
        (), description="names of callers.yaml, or `anybody`; without it and `scope`, this machine alone"
    )
    scope: str = Field(
        "",
        description="what a caller of callers.yaml must have among its `scopes`; `insurance.{code}`: for each its own",
    )
    tls: ClientCertificates = Field(
        ClientCertificates(), description="which certificates; `http.tls` of jingluo.yaml is the door's own"
    )

    @property
    def scope_parameters(self) -> Sequence[str]:
        """What of a request may stand in `scope`."""
        return ()

    @model_validator(mode="after")
    def _of_one_mind(self) -> WebOptions:
        if ANYBODY in self.callers and (len(self.callers) > 1 or self.scope):
            raise ValueError(f"{ANYBODY} are all; leave the others and the scope out")
        known, asked = self.scope_parameters, PARAMETER.findall(self.scope)
        if len(asked) > 1 or "{" in PARAMETER.sub("", self.scope) or not set(asked) <= set(known):
            could = " or ".join(f"{{{name}}}" for name in known) or "none"
            raise ValueError(
                f"scope {self.scope!r}: of a request there may stand one word in it; here {could}"
            )
        return self

    def lets_in(self, scopes: Iterable[str]) -> bool:
        """Whether one of these is `scope`; where that is of more than one word, whether it could be one of them."""
        fits = _fits(self.scope)
        return any(map(fits, scopes))

    def scopes_for(self, words: Iterable[str]) -> tuple[str, ...]:
        """The scopes that let a caller in for one of these words; none where `scope` asks nothing of the request."""
        found = PARAMETER.search(self.scope)
        return tuple(self.scope.replace(found[0], word) for word in words) if found else ()


@functools.lru_cache(256)
def _fits(scope: str) -> Callable[[str], object]:
    parts = [re.escape(part) for part in PARAMETER.split(scope)[::2]]
    return re.compile("(.+)".join(parts)).fullmatch


@dataclass(frozen=True, slots=True)
class Described:
    """What a web door says of its channel in /openapi.json. `request` and `response` are names in `schemas`."""

    title: str = ""
    # JSON Schema, with references within the document.
    schemas: Mapping[str, Any] = field(default_factory=dict)
    request: str = ""
    response: str = ""
    examples: Mapping[str, Any] = field(default_factory=dict)  # of requests: trees, or texts
    answers: Mapping[str, Any] = field(default_factory=dict)
    # What may be asked at this door, by name, where its path or its call says which.
    operations: Mapping[str, Operation] = field(default_factory=dict)


class Web(Protocol):
    """The engine's one HTTP server, to which web doors add their routes."""

    def add_route(
        self,
        path: str,
        methods: list[str],
        handler: Callable[..., Awaitable[Any]],
        *,
        who: WebOptions | None = None,
        channel: str = "",
        schemas: Mapping[str, Any] | None = None,
        document: Callable[[], Mapping[str, Any]] | None = None,
        **facts: Any,
    ) -> None:
        """`schemas` are what /openapi.json has of it besides its `facts`; `document` makes further paths and schemas.

        `handler` sees only what `who` lets in; without it, everything. Raises OSError where the route is taken."""

    def remove_route(self, path: str, methods: list[str]) -> None: ...

    def guarded(
        self, handler: Callable[..., Awaitable[Any]], who: WebOptions, channel: str
    ) -> Callable[..., Awaitable[Any]]:
        """The handler as a route of its own would have it: it sees only what `who` lets in."""


class Spool(Protocol):
    """A body over `LARGE` bytes while it arrives. Ended by `finish`, or by `drop` at any time."""

    size: int

    async def write(self, piece: bytes) -> None:
        """Returns when there is room for the next. Raises JingluoError: it cannot be kept, the sender is told."""

    async def finish(self) -> Blob:
        """The body of a `Message`, on disk. Raises as `write` does."""

    async def drop(self) -> None: ...


class Turn(Protocol):
    """Of all processes that have a door, one at a time takes from what cannot be taken from twice.

    `value` is what was kept last, by whichever process. Who dies loses the turn, and the next one has it.
    """

    @property
    def held(self) -> bool: ...
    @property
    def value(self) -> str: ...
    async def start(self) -> None:
        """Gets in line. Raises JingluoError where there is no broker."""

    async def wait(self) -> None:
        """Returns once it is ours."""

    async def keep(self, value: str) -> None:
        """Returns when it is durable. Raises JingluoError; then the old value may be what the next one finds."""

    async def stop(self) -> None:
        """The next one has it."""


class Alone:
    """The turn where there is one process, and nothing is kept."""

    held = True
    value = ""

    async def start(self) -> None: ...
    async def wait(self) -> None: ...
    async def stop(self) -> None: ...
    async def keep(self, value: str) -> None:
        self.value = value


@dataclass(frozen=True, slots=True)
class Ground:
    """What a running engine lends its endpoints."""

    name: str  # the channel, or channel.destination: for logs
    format: str = ""  # what the channel reads, or what the destination is sent
    web: Web | None = None
    base_dir: str = "."  # relative paths in a site are relative to this
    now: Callable[[], float] = time.time  # Unix seconds: the router's clock, which a test can stop
    spool: Callable[[], Spool] | None = (
        None  # for a source's large bodies; without it they are held in memory
    )
    # What became of a message: caller's name, message's id, how long to wait for more than `pending` (seconds). Only
    # where a destination's answer is the reply.
    results: Callable[[str, str, float], Awaitable[Reply | None]] | None = None
    described: Described = field(default_factory=Described)
    hand_over: HandOver | None = None  # for a destination that is another channel
    turn: Callable[[], Turn] = Alone  # for a source that one process at a time may take from
    # The engine's rows of its talk with an insurance centre. Opened at first use; None in `jingluo test`.
    insurance: Records | None = None
    settle: Settle | None = None  # for a destination that begins settlements
    payments: Payments | None = None  # orders and refunds of payment channels; opened at first use
    statements: Statements | None = None  # where statements of channels and books are kept and compared
    # Its tables of catalogues, dictionaries and mappings, for a destination. Opened at first use, too.
    insurance_tables: Tables | None = None
    writes: Format | None = None  # what a destination is sent, to be read


class Arrival:
    """A body that arrives piece by piece: small ones become `body`, large ones `blob`, where there is a spool.

    All methods raise JingluoError where it cannot be kept.
    """

    def __init__(self, spool: Callable[[], Spool] | None) -> None:
        self.body = b""
        self.blob: Blob | None = None
        self._place = spool
        self._parts: list[bytes] = []
        self._size = 0
        self._spool: Spool | None = None

    async def take(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > LARGE and self._place is not None:
            self._spool = self._spool or self._place()
            parts, self._parts = self._parts, []
            await self._spool.write(b"".join(parts))

    async def end(self) -> None:
        """That was the last piece."""
        if self._spool is None:
            self.body = b"".join(self._parts)
        else:
            self.blob = await self._spool.finish()
            self._spool = None

    async def give_up(self) -> None:
        """Leaves nothing on disk of what has not ended."""
        if self._spool is not None:
            await self._spool.drop()


class Told(NamedTuple):
    """What a sender reads: the code in its protocol's words ("AA", "202", "done"), and the bytes of the answer."""

    code: str
    body: bytes = b""
    format: str = ""


class Source(Protocol):
    """Takes messages in. Registered by `@source("kind")`; `Options` is its YAML.

    One that also has `told(message, reply) -> Told` says for `jingluo test` what it would answer, without a sender;
    `codes` are then all that it can tell, and `answers_in` the format of its own answers. One with
    `received(message) -> Message` says what comes in, where a test gives it as it stands on the wire: in an envelope.

    One whose other side may be away while the door is open has `trouble`: what an operator should know, '' if nothing.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any, ground: Ground) -> None: ...
    async def start(self, deliver: Deliver) -> None: ...  # open the door; raises OSError where it cannot
    def pause(self) -> None: ...  # take nothing new (stop reading, 503) until `resume`
    def resume(self) -> None: ...
    def close(self) -> None: ...  # give up the port, route or folder at once: another source may open there
    async def stop(self) -> None: ...  # close the door, then wait for the replies still owed


class Doorless:
    """A source with nothing to open: its messages come from within the engine."""

    def __init__(self, options: Any, ground: Ground) -> None:
        self.options = options

    async def start(self, deliver: Deliver) -> None:
        """Nothing to open."""

    def pause(self) -> None:
        """Those who hand over look for themselves."""

    def resume(self) -> None:
        """As for `pause`."""

    def told(self, message: Message, reply: Reply) -> Told:
        return Told(reply.state)

    def close(self) -> None:
        """Nothing is open."""

    async def stop(self) -> None:
        """Nothing is owed."""


class Destination(Protocol):
    """Hands messages on. Registered by `@destination("kind")`; `Options` is its YAML.

    One that sets `streams = True` is given large bodies as `message.blob`; without it they come whole in `body`,
    as far as the engine holds such bodies whole.

    One that also has `heard(message, code, answer, headers) -> Receipt` says for `jingluo test` what `send` would make
    of that answer to this message (`code` '': its yes), and raises as `send` does; `codes` are all that it knows.

    `answers_in` is the format of what its receivers answer, '' where they answer nothing that could be read. Without
    it answers are read as what was sent.

    `send` is called concurrently, at most `parallel` times at once. It returns when the receiver has
    said yes, and raises `Refused` or `Unreachable` (config.errors) otherwise.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any, ground: Ground) -> None: ...
    async def start(self) -> None: ...
    async def send(self, message: Message) -> Receipt: ...
    async def stop(self) -> None: ...


async def pieces_of(blob: Blob) -> AsyncIterator[bytes]:
    """A large body piece by piece, read in a thread. Raises as `Blob.pieces` does."""
    pieces = blob.pieces()
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def not_kept(error: JingluoError) -> Reply:
    """What a sender hears whose large body could not be kept."""
    return Reply("failed", code=error.code, text=error.text, retry_after_s=RETRY_AFTER_S)
