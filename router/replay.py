"""Replay: new messages made from stored ones, each pointing at the one it was made from.

A plan comes first (`plan: true` changes nothing): how many, and where to. A replayed message goes to the
destinations of the old one, or to the chosen ones and to no other; conditions are not asked again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import structlog
from msgspec import Struct
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from config.errors import JingluoError
from router.envelope import Envelope
from router.ids import new_id
from router.search import MAX_PAGE, Found, Query, Story
from router.store import Store

log = structlog.get_logger()

MAX_REPLAY = 10_000  # ids in one request, and messages that one request makes
FAILURES_TOLD = 100


class CannotReplay(JingluoError):
    """JL-J006: the request, or this one message, cannot be replayed."""


class ReplayRequest(BaseModel):
    """Which messages (`ids`, what a `query` finds, or the dead letters of a `cause`), where to, with which body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: tuple[str, ...] = Field(default=(), max_length=MAX_REPLAY)
    query: Query | None = None
    cause: str = Field(default="", max_length=64, description="the key of a group of dead letters")
    destinations: tuple[str, ...] = Field(default=(), description="these only; the old message's by default")
    dead_only: bool = Field(default=False, description="only where it is a dead letter")
    body: Base64Bytes | None = Field(default=None, description="an edited body, for one message")
    who: str = Field(default="", max_length=64, description="who asks for it: the journal keeps it")
    limit: int = Field(
        default=1000, ge=1, description="more than that is refused, and so is more than may be"
    )
    plan: bool = Field(default=False, description="say what would be done, do nothing")


class Step(Struct, frozen=True):
    """One message to be made: from which, and for whom."""

    id: str
    channel: str
    destinations: tuple[str, ...]


class Made(BaseModel):
    """A new message and the one it was made from."""

    old: str
    new: str


class Failure(BaseModel):
    """A message that was not replayed, and why."""

    id: str
    code: str
    reason: str


class ReplayResult(BaseModel):
    """`to` counts the deliveries ("his-adt/lis": 12): planned, or with `plan: false` made durable."""

    plan: bool
    ids: list[str]
    to: dict[str, int]
    made: list[Made] = []
    failed: int = 0
    failures: list[Failure] = []  # the first hundred


class Steps(Struct, frozen=True):
    """What a request comes to: oldest first, so that where a channel keeps an order the new order is the old one."""

    steps: list[Step]
    failures: list[Failure]

    @property
    def ids(self) -> list[str]:
        """Of all that was asked for."""
        return sorted([step.id for step in self.steps] + [failure.id for failure in self.failures])


def deliveries(steps: Iterable[Step]) -> dict[str, int]:
    """How many there are for each destination ("his-adt/lis": 12)."""
    to = Counter(f"{step.channel}/{destination}" for step in steps for destination in step.destinations)
    return dict(sorted(to.items()))


def replay_envelope(
    stored: Story,
    destinations: Sequence[str],
    new_id: str,
    now_ms: int,
    body: bytes | None = None,
    who: str = "",
) -> Envelope:
    """The new message. An edited one keeps the searchable values: it is looked for by the same patient.

    Raises CannotReplay where its body is over.
    """
    old = stored.message
    if body is None and stored.body_over:
        raise CannotReplay("JL-J006", "its body is no longer kept (keep: body)")
    what = "replay" if body is None else "edited replay"
    return Envelope(
        id=new_id,
        channel=old.channel,
        received_ms=now_ms,
        source=f"{what} of {old.id}" + (f" by {who}" if who else ""),
        format=stored.format,
        charset=stored.charset,
        kind=old.kind,
        body=stored.body if body is None else body,
        headers=dict(stored.headers),
        index=dict(old.index),
        destinations=tuple(destinations),
        parent=old.id,
        blob=stored.blob if body is None else None,
        item=stored.item,
    )


class Replayer:
    """Reads the store in a thread, and publishes.

    `publish` resolves when the envelope is durable in its destinations' queues and the journal's; it raises
    JingluoError where the channel or a destination is unknown, or the broker does not take it.
    """

    def __init__(
        self, store: Store, publish: Callable[[Envelope], Awaitable[None]], now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._publish = publish
        self._now_ms = now_ms

    async def replay(self, request: ReplayRequest) -> ReplayResult:
        """Raises CannotReplay, BadQuery, StoreError; what is wrong with one message is among the failures."""
        found = await self.steps(request, MAX_REPLAY)
        result = ReplayResult(plan=request.plan, ids=found.ids, to={})
        failures, done = list(found.failures), list[Step]()
        for step in found.steps:
            if not request.plan:
                try:
                    new = new_id(self._now_ms())
                    await self.make(step, new, request.body, request.who)
                except JingluoError as error:
                    failures.append(failure_of(step.id, error))
                    continue
                result.made.append(Made(old=step.id, new=new))
            done.append(step)
        result.to = deliveries(done)
        result.failed, result.failures = len(failures), failures[:FAILURES_TOLD]
        if not request.plan:
            log.info("replay.done", made=len(result.made), failed=result.failed)
        return result

    async def steps(self, request: ReplayRequest, most: int) -> Steps:
        """What it comes to; nothing is done. Raises CannotReplay where it is more than `most`, BadQuery, StoreError."""
        if bool(request.ids) + (request.query is not None) + bool(request.cause) != 1:
            raise CannotReplay("JL-J006", "give either ids, a query or a cause")
        request = request.model_copy(update={"limit": min(request.limit, most)})
        found = await asyncio.to_thread(self._steps, request)
        if request.body is not None and len(found.ids) != 1:
            raise CannotReplay("JL-J006", f"an edited body is for one message, not for {len(found.ids)}")
        return found

    async def make(self, step: Step, new_id: str, body: bytes | None = None, who: str = "") -> None:
        """Returns when it is durable. Raises JingluoError."""
        stored = await asyncio.to_thread(self._store.show, step.id)
        await self._publish(replay_envelope(stored, step.destinations, new_id, self._now_ms(), body, who))

    def _steps(self, request: ReplayRequest) -> Steps:
        failures: list[Failure] = []
        if request.cause:
            steps = self._of_cause(request)
        else:
            steps = []
            for found in self._asked(request, failures):
                try:
                    steps.append(
                        Step(id=found.id, channel=found.channel, destinations=chosen(found, request))
                    )
                except CannotReplay as error:
                    failures.append(failure_of(found.id, error))
        return Steps(steps=sorted(steps, key=lambda step: step.id), failures=failures)

    def _of_cause(self, request: ReplayRequest) -> list[Step]:
        """To whom they are dead, or to whom the operator says instead."""
        letters = self._store.letters(request.cause, request.limit + 1)
        if not letters:
            raise CannotReplay("JL-J006", f"there is no dead letter of the cause {request.cause}")
        _within(len(letters), request)
        return [
            Step(id=one.id, channel=one.channel, destinations=request.destinations or (one.destination,))
            for one in letters
        ]

    def _asked(self, request: ReplayRequest, failures: list[Failure]) -> Iterator[Found]:
        if request.query is None:
            for id in dict.fromkeys(request.ids):
                yield from self._one(id, failures)
            return
        count, cursor = 0, ""
        while True:
            page = self._store.search(request.query, MAX_PAGE, cursor)
            count += len(page.found)
            _within(count, request)
            yield from page.found
            cursor = page.next
            if not cursor:
                return

    def _one(self, id: str, failures: list[Failure]) -> tuple[Found, ...]:
        found = self._store.search(Query(id=id), 2).found
        if len(found) == 1:
            return found
        failures.append(
            Failure(
                id=id, code="JL-J005", reason="several ids begin so" if found else "no message has this id"
            )
        )
        return ()


def _within(count: int, request: ReplayRequest) -> None:
    if count > request.limit:
        raise CannotReplay("JL-J006", f"more than {request.limit} messages: narrow it 消息过多，请缩小范围")


def failure_of(id: str, error: JingluoError) -> Failure:
    return Failure(id=id, code=error.code, reason=error.text)


def chosen(old: Found, request: ReplayRequest) -> tuple[str, ...]:
    """Where it goes. What is asked for by its dead letters is not sent again to whom it has reached.

    Raises CannotReplay where that is nowhere.
    """
    query = request.query or Query()
    asked = request.destinations or ((query.destination,) if query.destination else ())
    if not request.dead_only and query.state != "dead":
        ways = tuple(dict.fromkeys(asked)) or tuple(d.destination for d in old.deliveries)
        if not ways:
            raise CannotReplay("JL-J006", f"the message went nowhere ({old.state}): choose its destinations")
        return ways
    dead = tuple(d.destination for d in old.deliveries if d.state == "dead")
    left = tuple(d for d in dead if not asked or d in asked)
    if not left:
        raise CannotReplay("JL-J006", "none of its deliveries is dead")
    return left
