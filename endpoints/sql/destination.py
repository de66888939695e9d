"""The database destination: a statement or a call for each message, with the keys of its JSON body as parameters.

A message is one transaction, a list of objects too: all of it is there, or nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground, Options
from endpoints.sql.engine import open_engine
from endpoints.sql.fault import Fault, fault_of
from endpoints.sql.options import DestinationOptions
from endpoints.sql.running import Done, TooMuch, run
from endpoints.sql.values import Unreadable, encoded, parameters
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
_GRACE_S = 10.0  # beyond all limits of the database's own
_LONGEST_S = 1200.0  # RabbitMQ takes a delivery back after 30 minutes


class DatabaseDestination:
    """Runs the statement once for each object, and answers with what came out."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = "json"
    codes = frozenset(("done", "refused", "wrong", "again", "gone", "lost"))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Connections are made when there is something to send."""
        self._threads = ThreadPoolExecutor(self.options.connections, f"database {self.ground.name}")

    async def stop(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)
        if self._engine is not None:
            await asyncio.to_thread(self._engine.dispose)

    async def send(self, message: Message) -> Receipt:
        items = self._items(message)
        assert self._threads is not None
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._run, items)
        within_s = self.options.timeout * (len(items) + 1) + self.options.connect_within + _GRACE_S
        within_s = min(within_s, _LONGEST_S)
        try:
            async with asyncio.timeout(within_s):
                return self._receipt(await work)
        except TimeoutError:
            raise Unreachable("JL-E360", f"nothing within {within_s:g} s", maybe_done=True) from None

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        self._items(message)
        if code in ("", "done"):
            return Receipt("done", answer, "json" if answer else "")
        lost = code == "lost"  # while it was being committed
        raise _raised(Fault("gone" if lost else code, code), maybe_done=lost)  # type: ignore[arg-type]

    def _items(self, message: Message) -> list[dict[str, Any]]:
        """The parameters of each run. Raises Refused."""
        try:
            tree = _JSON.decode(message.body, message.charset)
        except BadMessage as error:
            raise Refused("JL-E364", error.text) from None
        items = tree if isinstance(tree, list) else [tree]
        if len(items) > self.options.max_items:
            raise Refused("JL-E364", f"a list of {len(items)}; {self.options.max_items} is the most")
        came = datetime.fromtimestamp(message.received_ms / 1000, UTC)
        own = {"jl_id": message.id, "jl_channel": message.channel, "jl_received": came.isoformat()}
        return [self._bound(item, own, number) for number, item in enumerate(items)]

    def _bound(self, item: Any, own: Mapping[str, str], number: int) -> dict[str, Any]:
        options = self.options
        if not isinstance(item, dict):
            raise Refused("JL-E364", f"item {number} is no JSON object")
        try:
            return parameters(options.names, {**item, **own}, options.types, options.kind, options.charset)
        except ValueError as error:
            raise Refused("JL-E364", f"item {number}: {error}") from None

    def _run(self, items: Sequence[dict[str, Any]]) -> Done:
        """In a thread. Raises Refused and Unreachable."""
        at, ending = 0, False
        try:
            engine = self._opened()
            with engine.connect() as connection, connection.begin() as transaction:
                done = Done()
                for at, item in enumerate(items):  # noqa: B007
                    done += self._one(connection, item)
                ending = True
                transaction.commit()
                return done
        except SQLAlchemyError as error:
            fault = fault_of(error, engine.dialect.name)
            # A procedure may have committed by itself.
            unsure = fault.meaning == "gone" and (ending or self.options.call is not None)
            raise _raised(fault, maybe_done=unsure, item=at if len(items) > 1 else None) from None
        except TooMuch as error:
            raise Refused("JL-E365", str(error)) from None
        except OSError as error:
            raise Unreachable("JL-E360", error.strerror or type(error).__name__) from None

    def _opened(self) -> Engine:
        """One for all threads: another would have connections of its own, which nobody closes."""
        with self._opening:
            if self._engine is None:
                self._engine = open_engine(self.options, self.ground.base_dir, self.options.connections)
            return self._engine

    def _one(self, connection: Connection, item: dict[str, Any]) -> Done:
        return run(connection, self.options.statement, self.options.call, item, self.options.max_rows)

    def _receipt(self, done: Done) -> Receipt:
        try:
            answer = encoded(done.tree(self.options.charset))
        except (Unreadable, ValueError) as error:
            raise Refused("JL-E365", f"done, but its answer cannot be read: {error}") from None
        if len(answer) > self.options.max_answer:
            raise Refused("JL-E365", f"done, but its answer is larger than {self.options.max_answer} bytes")
        return Receipt("done", answer, "json")


def _raised(fault: Fault, *, maybe_done: bool, item: int | None = None) -> Refused | Unreachable:
    where = "" if item is None else f"item {item}: "
    text, answer = where + fault.text, fault.said.encode() or None
    match fault.meaning:
        case "refused":
            return Refused("JL-E361", text, answer=answer)
        case "wrong":
            return Refused("JL-E362", text, retry=True, answer=answer)
        case "again":
            return Unreachable("JL-E363", text)
        case _:
            return Unreachable("JL-E360", text, maybe_done=maybe_done)
