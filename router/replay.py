"""Replay: new messages made from stored ones, each pointing at the one it was made from.

A plan comes first (`plan: true` changes nothing): how many, and where to. A replayed message goes to the
destinations of the old one, or to the chosen ones and to no other; conditions are not asked again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from config.errors import JingluoError
from router.envelope import Envelope
from router.ids import new_id
from router.search import MAX_PAGE, Query, Story
from router.store import Store

log = structlog.get_logger()

MAX_REPLAY = 10_000  # messages in one request
_FAILURES_TOLD = 100


class CannotReplay(JingluoError):
    """JL-J006: the request, or this one message, cannot be replayed."""


class ReplayRequest(BaseModel):
    """Which messages (`ids`, or what a `query` finds), where to, and with what in place of the old body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: tuple[str, ...] = Field(default=(), max_length=MAX_REPLAY)
    query: Query | None = None
    destinations: tuple[str, ...] = Field(default=(), description="these only; the old message's by default")
    dead_only: bool = Field(default=False, description="only where it is a dead letter")
    body: Base64Bytes | None = Field(default=None, description="an edited body, for one message")
    limit: int = Field(default=1000, ge=1, le=MAX_REPLAY, description="a query that finds more is refused")
    plan: bool = Field(default=False, description="say what would be done, do nothing")


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


def replay_envelope(
    stored: Story, destinations: Sequence[str], new_id: str, now_ms: int, body: bytes | None = None
) -> Envelope:
    """The new message. An edited one keeps the searchable values: it is looked for by the same patient.

    `destinations` chooses; empty means where the old one went. Raises CannotReplay where that is nowhere.
    """
    old = stored.message
    chosen = tuple(dict.fromkeys(destinations)) or tuple(d.destination for d in old.deliveries)
    if body is None and stored.body_over:
        raise CannotReplay("JL-J006", "its body is no longer kept (keep: body)")
    if not chosen:
        raise CannotReplay("JL-J006", f"the message went nowhere ({old.state}): choose its destinations")
    return Envelope(
        id=new_id,
        channel=old.channel,
        received_ms=now_ms,
        source=f"replay of {old.id}",
        format=stored.format,
        charset=stored.charset,
        kind=old.kind,
        body=stored.body if body is None else body,
        headers=dict(stored.headers),
        index=dict(old.index),
        destinations=chosen,
        parent=old.id,
        blob=stored.blob if body is None else None,
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
        if bool(request.ids) == (request.query is not None):
            raise CannotReplay("JL-J006", "give either ids or a query")
        ids = list(dict.fromkeys(request.ids)) or await asyncio.to_thread(self._ids, request)
        if request.body is not None and len(ids) != 1:
            raise CannotReplay("JL-J006", f"an edited body is for one message, not for {len(ids)}")
        result = ReplayResult(plan=request.plan, ids=sorted(ids), to={})
        to: Counter[str] = Counter()
        # One after the other, oldest first: where a channel keeps an order, the new order is the old one.
        for id in result.ids:
            try:
                envelope = await self._one(id, request)
            except JingluoError as error:
                result.failed += 1
                if len(result.failures) < _FAILURES_TOLD:
                    result.failures.append(Failure(id=id, code=error.code, reason=error.text))
                continue
            to.update(f"{envelope.channel}/{destination}" for destination in envelope.destinations)
            if not request.plan:
                result.made.append(Made(old=envelope.parent, new=envelope.id))
        result.to = dict(sorted(to.items()))
        if not request.plan:
            log.info("replay.done", made=len(result.made), failed=result.failed)
        return result

    def _ids(self, request: ReplayRequest) -> list[str]:
        ids: list[str] = []
        cursor = ""
        while request.query is not None:
            page = self._store.search(request.query, MAX_PAGE, cursor)
            ids += [found.id for found in page.found]
            if len(ids) > request.limit:
                raise CannotReplay("JL-J006", f"more than {request.limit} messages: narrow it")
            cursor = page.next
            if not cursor:
                break
        return ids

    async def _one(self, id: str, request: ReplayRequest) -> Envelope:
        stored = await asyncio.to_thread(self._store.show, id)
        now_ms = self._now_ms()
        envelope = replay_envelope(stored, _chosen(stored, request), new_id(now_ms), now_ms, request.body)
        if not request.plan:
            await self._publish(envelope)
        return envelope


def _chosen(stored: Story, request: ReplayRequest) -> tuple[str, ...]:
    """What is asked for by its dead letters is not sent again to whom it has reached."""
    query = request.query or Query()
    chosen = request.destinations or ((query.destination,) if query.destination else ())
    if not request.dead_only and query.state != "dead":
        return chosen
    dead = tuple(d.destination for d in stored.message.deliveries if d.state == "dead")
    left = tuple(d for d in dead if not chosen or d in chosen)
    if not left:
        raise CannotReplay("JL-J006", "none of its deliveries is dead")
    return left
