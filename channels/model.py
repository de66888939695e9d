"""A channel twice: `ChannelText` as its YAML says it, `Channel` as the router runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from channels.answers import Findable, Read
from channels.case_schema import TESTS
from channels.collecting import MAX_COUNT, MAX_WITHIN_S, Collect
from channels.sending import SendText
from channels.splitting import Batch, Split
from config.alert_settings import AlertSettings
from config.units import Seconds, Size
from endpoints.base import Described
from schemas.message import Message
from schemas.validation.base import Validation


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# A name, or a name and its options: `schemas.choice` says what is wrong with it.
FormatText = Annotated[Any, WithJsonSchema({"type": ["string", "object"]})]
TestsText = Annotated[list[Any], WithJsonSchema(TESTS)]  # `case_text` says what is wrong with one


class RetryText(_Text):
    """How a failed delivery is tried again: after `first`, then `factor` times longer each time, to `max`."""

    first: Seconds = Field(default=1.0, description="the wait after the first failure")
    factor: float = Field(default=2.0, ge=1, le=10, description="how much longer each wait is than the last")
    max: Seconds = Field(default=300.0, description="the longest wait")
    for_: Seconds = Field(default=86400.0, alias="for", description="give up after this time")
    then: Literal["dead", "hold"] = Field(
        default="dead",
        description="what is given up: a dead letter, or (`hold`) its lane waits for an operator",
    )


class OrderText(_Text):
    """Messages of one key reach a destination in the order they were accepted; lanes run in parallel."""

    by: str = Field(description="the key: an expression, `$PID-3.1`")
    lanes: int = Field(default=4, ge=1, le=64, description="how many keys are delivered at once")


class DuplicatesText(_Text):
    """A resend gets the reply of the first and is not sent on again."""

    by: str = Field(description="what makes two messages one: an expression, `$MSH-10`")
    within: Seconds = Field(default=86400.0, gt=0, le=31 * 86400, description="how long it is remembered")


class LimitText(_Text):
    """How much may wait in each destination's queue before the channel's source is told to wait."""

    messages: int = Field(default=1_000_000, ge=1)
    bytes: Size = 2_000_000_000


class KeepText(_Text):
    """How long the journal keeps what came, counted from the end of its day (UTC)."""

    body: Seconds | None = Field(
        default=None, description="the message itself; without it, as long as `rows`"
    )
    rows: Seconds | None = Field(
        default=None, description="all else: what became of it; without it, for good"
    )


def _named(value: Any) -> Any:
    """`validate: fhir/r4` is short for `validate: {as: fhir/r4}`."""
    return {"as": value} if isinstance(value, str) else value


class ValidateText(_Text):
    """What messages are validated by, and what becomes of those with faults."""

    as_: str = Field(
        alias="as", description="hl7v2/2.5, hl7v2, fhir/r4, fhir/r5, models, nhsa/2207, or a file of schemas/"
    )
    then: Literal["refuse", "note"] = Field(
        default="refuse", description="refuse them, or take them and note the faults in the journal"
    )
    besides: list[str] = Field(
        default=[],
        alias="except",
        description="codes, and paths with all below them, that are no faults here",
    )


Validate = Annotated[ValidateText, BeforeValidator(_named, json_schema_input_type=ValidateText | str)]


class CollectText(_Text):
    """Messages are gathered into one. A group goes when it has `count` of them, or `within` after its first came."""

    by: str | None = Field(
        default=None, description="what messages of one group have in common: an expression, `$.visit`"
    )
    count: int | None = Field(default=None, ge=2, le=MAX_COUNT, description="how many make a group full")
    within: Seconds | None = Field(
        default=None, gt=0, le=MAX_WITHIN_S, description="how long after its first message a group goes"
    )
    bytes: Size = Field(
        default=5_000_000, ge=1000, le=100_000_000, description="a group goes before it would be larger"
    )
    as_: str = Field(
        default="",
        alias="as",
        description="of XML the name of the root; HL7 v2: $OBR, the segment to join at; without it a batch",
    )


class BranchText(_Text):
    """One destination of a channel."""

    when: Any = Field(default=None, description="the condition; without one, every message of the channel")
    map: str | None = Field(
        default=None, description="the map that makes what is sent; without one, as it came"
    )
    validate_: Validate | None = Field(
        default=None, alias="validate", description="of what is sent; with `refuse` it is a dead letter"
    )
    split: str | None = Field(
        default=None,
        description="where `send` is a channel: each item at this path is a message of its own, `$.items[]`",
    )
    collect: CollectText | None = Field(
        default=None,
        description="where `send` is a channel: what is sent is gathered, and each group one message",
    )
    send: SendText = Field(
        description="`{kind: {options}}`, `{system: name, overrides}`, or `system.operation`"
    )
    retry: RetryText = RetryText()
    parallel: int = Field(default=8, ge=1, le=256, description="deliveries at once, where there is no order")
    reply_map: str | None = Field(
        default=None, description="the map that makes the sender's reply of the answer"
    )
    index: dict[str, str] = Field(
        default={}, description="what the journal finds a message by in the answer: name to expression"
    )


class ChannelText(_Text):
    """A channel file."""

    channel: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="the name; the file is called so too"
    )
    title: str = Field(default="", description="for people")
    from_: dict[str, Any] = Field(alias="from", description="the source: `{kind: {options}}`")
    format: FormatText = Field(description="what comes in: `json`, `{delimited: {separator: ';'}}`")
    batch: Literal["hl7", "whole"] | None = Field(
        default=None,
        description="batches (FHS, BHS) are taken as one, and each of their messages goes on by itself; "
        "whole: they go on as they are, unread",
    )
    validate_: Validate | None = Field(
        default=None, alias="validate", description="without it, whatever can be read is taken"
    )
    duplicates: DuplicatesText | None = Field(default=None, description="without it, every message is new")
    order: OrderText | None = Field(default=None, description="without it, as fast as it goes")
    index: dict[str, str] = Field(
        default={}, description="what the journal finds a message by: name to expression"
    )
    when: Any = Field(default=None, description="what does not match is accepted and filed as filtered")
    to: dict[str, BranchText] = Field(default={}, description="the destinations, by name")
    reply: str = Field(
        default="accepted", description="accepted, none, or the destination whose answer is the reply"
    )
    timeout: Seconds = Field(default=30.0, description="how long a sender waits for a destination's answer")
    limit: LimitText = LimitText()
    keep: KeepText | None = Field(
        default=None, description="without it, as the site's `journal: {keep}` says"
    )
    alert: AlertSettings = Field(
        default=AlertSettings(), description="without it, as the site's `alerts` say"
    )
    tests: TestsText = Field(default=[], description="cases for `jingluo test`")


# The destination that a channel with `batch` has besides its own: to itself, message by message.
BATCH = "batch"


# RabbitMQ takes a delivery back that is not acknowledged within 30 minutes: one send must be well below.
LONGEST_SEND_S = 1200.0

Tree = Any
# It and `Read` take the tree, and the message or envelope that it is of: `$@header.action` is read there.
Test = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Retry:
    first_s: float = 1.0
    factor: float = 2.0
    max_s: float = 300.0
    for_s: float = 86400.0
    then: str = "dead"  # or hold

    def delay_s(self, attempt: int) -> float:
        """How long to wait after try number `attempt` failed.

        >>> [Retry().delay_s(n) for n in (1, 2, 3, 20)]
        [1.0, 2.0, 4.0, 300.0]
        """
        return float(min(self.first_s * self.factor ** min(attempt - 1, 64), self.max_s))


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long after the end of their day. None: for good."""

    body_s: float | None = None
    rows_s: float | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A destination, compiled. `map` is None where the body goes on as it came."""

    name: str
    kind: str  # mllp, http, file ...: a name in config.registry.destinations
    options: Any  # that kind's Options
    format: str  # what the destination is sent
    writes: Any  # the same: a schemas.base.Format
    charset: str = ""  # what the map writes, where its format has a word on it
    when: Test | None = None
    map: Callable[[Tree, Message], bytes] | None = None  # decoded message -> bytes; raises BadMessage
    validation: Validation | None = None  # of what is sent
    split: Split | None = None  # what is sent is divided, and each item handed over by itself
    collect: Collect | None = None  # what is sent is gathered, and each group handed over as one
    retry: Retry = Retry()
    parallel: int = 8
    reply_map: Callable[[Tree], bytes] | None = None
    reply_format: Any = None  # of that answer: a schemas.base.Format
    findable: Findable | None = None  # what the journal finds the message by in the answer

    @property
    def target(self) -> str:
        """The channel that it sends to, or ''."""
        return str(self.options.channel) if self.kind == "channel" else ""

    @property
    def longest_send_s(self) -> float:
        """How long one try may take at the most, where its kind has a limit; 0 where nobody knows."""
        return float(getattr(self.options, "timeout", 0.0) + getattr(self.options, "connect_within", 0.0))


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, compiled: what the router runs. `digest` changes with whatever changes its behaviour."""

    name: str
    title: str
    kind: str  # of the source
    options: Any
    format: Any  # a schemas.base.Format
    branches: tuple[Branch, ...]
    when: Test | None = None
    validation: Validation | None = None  # of what `when` lets in
    index: Mapping[str, Read] = field(default_factory=dict)
    order_by: Read | None = None
    lanes: int = 0
    duplicates_by: Read | None = None
    duplicates_within_s: float = 86400.0
    reply: str = "accepted"
    timeout_s: float = 30.0
    max_messages: int = 1_000_000
    max_bytes: int = 2_000_000_000
    keep: Keep | None = None
    alert: AlertSettings = field(default_factory=AlertSettings)
    web: bool = False  # whether its source is a door of the engine's web server
    described: Described = field(default_factory=Described)
    whole: bool = False  # batches go on as they are, and nothing is read of what comes
    door: str = ""  # changes with the files that its source reads
    digest: str = ""
    file: str = ""

    @property
    def batch(self) -> Batch | None:
        """What unwraps its batches, where it takes any: the destination `batch`, which is the channel itself."""
        unwraps = (b.split for b in self.branches if b.name == BATCH and b.target == self.name)
        return next((split for split in unwraps if isinstance(split, Batch)), None)

    @property
    def ways(self) -> tuple[Branch, ...]:
        """The destinations that its messages go to."""
        return tuple(b for b in self.branches if b.name != BATCH) if self.batch else self.branches

    @property
    def found_by(self) -> list[str]:
        """The names of what the journal finds its messages by: their own, and those of answers to them."""
        answers = {name for branch in self.branches if branch.findable for name in branch.findable.reads}
        return sorted(answers.union(self.index))

    def lanes_to(self, destination: str) -> int:
        """How many lanes a destination has; one that collects has one for all keys, so that nobody halves a group."""
        return 1 if any(b.collect for b in self.branches if b.name == destination) else self.lanes

    @property
    def asks(self) -> str:
        """The destination whose answer is the reply, or ''."""
        return self.reply if self.reply not in ("accepted", "none") else ""

    @property
    def remembers(self) -> bool:
        """Whether its replies are kept: for resends, or for who asks later."""
        return self.duplicates_by is not None or self.web or getattr(self.options, "takes_again", False)
