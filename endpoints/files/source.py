"""The source that takes files from a folder, wherever the folder is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from typing import Any, ClassVar

import structlog
from msgspec.structs import replace

from config.errors import JingluoError
from endpoints.base import HEAD_SIZE, Arrival, Deliver, Ground, Told, not_kept
from endpoints.base import Options as AnyOptions
from endpoints.files.folder import Entry, Folder, away, reason
from endpoints.files.names import free_names
from endpoints.files.options import RemoteSourceOptions, SourceOptions
from endpoints.files.watcher import Watcher
from schemas.message import Message, Once, Reply

log = structlog.get_logger()

_STOP_S = 30.0  # how long a stop waits for the file at hand


class FolderSource:
    """Takes files in their order, one at a time.

    A file is moved only after the engine has it. After a crash between the two it is taken again, and the engine
    knows it by name, size, time and content: it is not sent on again.
    """

    Options: ClassVar[type[AnyOptions]] = SourceOptions
    codes = frozenset(("done", "failed", "stays"))  # where its file is in the end

    def __init__(self, options: Any, ground: Ground) -> None:
        self.options: SourceOptions = options
        self.ground = ground
        self.folder = self.open_folder(options, ground)
        if isinstance(options, RemoteSourceOptions):
            self.folder.claims = options.claim
        self.watcher = Watcher(options, self.folder, secrets.token_hex(4), ground.name, ground.now)
        self._answered: dict[Entry, Reply] = {}  # the engine has it, the folder would not let it be moved
        self._named: dict[tuple[str, int, int], str] = {}  # what could not be done with it: said once
        self._away = ""
        self._go = asyncio.Event()
        self._go.set()
        self._stopping = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._deliver: Deliver

    @staticmethod
    def open_folder(options: Any, ground: Ground) -> Folder:
        """What each kind has of its own. Nothing is connected yet."""
        raise AssertionError("a kind says which folder")

    @property
    def trouble(self) -> str:
        """What an operator should know of it; '' when all is well."""
        if self._away or not self._named:
            return self._away
        why = next(reversed(self._named.values()))
        return f"{len(self._named)} file(s) cannot be taken or put away: {why}"

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await self.folder.open()
        self._looking = asyncio.create_task(self._look_again_and_again(), name=f"files {self.ground.name}")

    def pause(self) -> None:
        self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def told(self, message: Message, reply: Reply) -> Told:
        return Told({"refused": "failed", "failed": "stays"}.get(reply.state, "done"))

    def close(self) -> None:
        """Begins no further file. Who opens here next has its turn when this one has stopped."""
        self._stopping.set()
        self._go.set()

    async def stop(self) -> None:
        """Returns when the file at hand has its reply and has been moved; those claimed besides are given back."""
        self.close()
        if self._looking is not None:
            done, _ = await asyncio.wait((self._looking,), timeout=_STOP_S)
            if not done:
                log.warning("file.stopped_in_the_midst", channel=self.ground.name)
                self._looking.cancel()
                await asyncio.gather(self._looking, return_exceptions=True)
        with contextlib.suppress(OSError):
            for seen in self.watcher.mine if not self._away else ():
                with contextlib.suppress(FileNotFoundError, FileExistsError):
                    await self.folder.release(seen)
        await self.folder.close()

    async def _look_again_and_again(self) -> None:
        while not self._stopping.is_set():
            try:
                if await self.folder.turn():
                    await self._look()
                self._is_away("")
            except OSError as error:
                self._is_away(reason(error))
            except Exception as error:
                why = f"a fault of the engine's: {type(error).__name__}"
                if why != self._away:
                    log.exception("file.look_failed", channel=self.ground.name)
                self._away = why
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.options.poll)

    def _is_away(self, why: str) -> None:
        """A share or server that is away for hours is two lines in the log."""
        if why and why != self._away:
            log.error("file.folder_unreadable", channel=self.ground.name, reason=why)
        elif self._away and not why:
            log.info("file.folder_back", channel=self.ground.name)
        self._away = why

    async def _look(self) -> None:
        due = await self.watcher.due()
        known = self.watcher.settling
        self._answered = {seen: reply for seen, reply in self._answered.items() if seen in known}
        there = {seen.content for seen in known}
        self._named = {content: why for content, why in self._named.items() if content in there}
        for seen in due:
            await self._go.wait()
            if self._stopping.is_set():
                return
            try:
                if not await self._take(seen):
                    return
            except FileNotFoundError:
                continue  # somebody took it away meanwhile
            except OSError as error:
                if away(error):
                    raise
                self._name(seen, reason(error))

    def _name(self, seen: Entry, why: str) -> None:
        if self._named.get(seen.content) != why:
            log.error("file.unusable", channel=self.ground.name, reason=why)
        self._named[seen.content] = why

    async def _take(self, seen: Entry) -> bool:
        """Whether the next file may be taken; not when the engine takes nothing just now."""
        reply = self._answered.get(seen)
        if reply is None:
            if self.folder.claims and not self.watcher.is_mine(seen):
                seen = await self.folder.claim(seen, self.watcher.owner)
            if self.folder.claims:
                self.watcher.mine.add(seen)
            reply = await self._hand_over(seen)
        if reply.state == "failed":
            # Where the engine takes nothing just now, no file can be taken; a bug with this one holds only this one.
            return not reply.retry_after_s
        self.watcher.mine.discard(seen)
        self._answered[seen] = reply
        try:
            await self._put_away(seen, reply)
        except FileNotFoundError:
            if await self.folder.has(seen.at):  # it is the folder beside it that is not there
                raise OSError(0, "no folder to put it into") from None
        else:
            del self._answered[seen]
        return True

    async def _hand_over(self, seen: Entry) -> Reply:
        arrival = Arrival(self.ground.spool)
        try:
            digest = await self._read(seen, arrival)
        except JingluoError as error:
            log.warning("file.large_not_kept", channel=self.ground.name, code=error.code, reason=error.text)
            return not_kept(error)
        finally:
            await arrival.give_up()
        name = seen.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        message = Message(
            arrival.body,
            f"{self.folder.place}/{name}",
            {"file": name},
            charset=self.options.charset,
            blob=arrival.blob,
            once=Once(_known_by(seen, digest), b"") if digest else None,
        )
        if digest is None:  # the engine refuses it, and files its head
            fault = f"larger than {self.options.max_size} bytes"
            message = replace(message, fault=fault, fault_code="JL-E301")
        return await self._deliver(message)

    async def _read(self, seen: Entry, arrival: Arrival) -> bytes | None:
        """The content's digest; None where the file is larger than allowed: then there is only its head."""
        size, head, content = 0, b"", hashlib.blake2b(digest_size=16)
        async with contextlib.aclosing(self.folder.read(seen)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                head = head or piece[:HEAD_SIZE]
                size += len(piece)
                if max(size, seen.size) > self.options.max_size:
                    arrival.body = head
                    return None
                content.update(piece)
                await arrival.take(piece)
        if size != seen.size >= 0:
            raise OSError(0, "it changed while it was read")
        await arrival.end()
        return content.digest()

    async def _put_away(self, seen: Entry, reply: Reply) -> None:
        marker = self.watcher.markers.get(seen.name)
        if reply.state == "refused":
            moved = await self._move(seen, "failed")
            said = " ".join(part for part in (reply.code, reply.path, reply.id) if part)
            body = (f"{said}\n".encode(),)
            above, _, last = f"{moved}.reason.txt".rpartition("/")
            await self.folder.write(f"{above}/{last}", body, f"{above}/.{last}.part", over=True)
        elif self.options.done == "move":
            await self._move(seen, "done")
        elif self.options.done == "delete":
            await self.folder.remove(seen.at)
        else:
            await self.folder.mark(seen)
        if marker:
            await self.folder.remove(marker)

    async def _move(self, seen: Entry, to: str) -> str:
        """Beside a file of the same name that is there already, not over it."""
        for name in free_names(f"{to}/{seen.name}", self.ground.now()):
            with contextlib.suppress(FileExistsError):
                await self.folder.move(seen.at, name)
                return name
        raise OSError(0, "too many files of its name")


def _known_by(seen: Entry, digest: bytes) -> bytes:
    """By what the engine knows a file again that was taken and could not be put away."""
    name = seen.name.encode("utf-8", "surrogateescape")
    facts = f"\0{seen.size}\0{seen.changed_ns}\0{seen.tag}\0".encode()
    return hashlib.blake2b(name + facts + digest, digest_size=16).digest()
