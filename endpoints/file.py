"""Files in folders: a source takes what others put there, a destination puts there what others take."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import fnmatch
import heapq
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal

import structlog
from msgspec.structs import replace
from pydantic import Field, field_validator

from config import registry
from config.errors import JingluoError, Refused, Unreachable
from config.units import Seconds, Size
from endpoints.base import HEAD_SIZE, Arrival, Deliver, Ground, Options, Told, not_kept
from schemas.message import LARGE, Message, Receipt, Reply

log = structlog.get_logger()

_UNFINISHED = (".part", ".tmp")
_PIECE = 262_144  # bytes of a large file that are read at once
_WATCHED = 10  # batches of files that are looked at while they settle


class SourceOptions(Options):
    """`from: {file: {folder: in, pattern: "*.hl7", done: move}}`."""

    folder: str
    pattern: str = Field("*", description="which names: *, ?, [abc]")
    done: Literal["move", "delete"] = Field("move", description="to the subfolder done/, or away")
    charset: str = Field("", description="what files are written in that do not say so themselves")
    poll: Seconds = Field(1.0, gt=0, description="how often the folder is looked at")
    settle: Seconds = Field(1.0, description="a file is taken when it has not changed for so long")
    max_size: Size = Field(100_000_000, description="of a file; a larger one goes to failed/")
    batch: int = Field(100, ge=1, description="files taken in one look")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as a look at the folder found it."""

    name: str
    size: int
    changed_ns: int


@registry.source("file")
class FileSource:
    """Takes files in the order of their names, one at a time.

    A file is moved only after the engine has it: a crash between the two means that it comes again.
    """

    Options: ClassVar[type[Options]] = SourceOptions
    codes = frozenset(("done", "failed", "stays"))  # where its file is in the end

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self.folder = Path(ground.base_dir, options.folder)
        self._settling: dict[_Seen, float] = {}  # since when it looks like this, loop time
        self._answered: dict[_Seen, Reply] = {}  # the engine has it, the folder would not let it be moved
        self._go = asyncio.Event()
        self._go.set()
        self._stopping = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._turn: int | None = None  # the folder, open and locked, while this process takes from it
        self._deliver: Deliver

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await asyncio.to_thread(self._make_folders)
        self._looking = asyncio.create_task(self._look_again_and_again(), name=f"file {self.ground.name}")

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
        """Returns when the file at hand has its reply and has been moved."""
        self.close()
        if self._looking is not None:
            await self._looking
        if self._turn is not None:
            turn, self._turn = self._turn, None
            os.close(turn)

    async def _look_again_and_again(self) -> None:
        while not self._stopping.is_set():
            try:
                if await asyncio.to_thread(self._has_turn):
                    await self._look()
            except OSError as error:
                log.error("file.folder_unreadable", channel=self.ground.name, reason=error.strerror)
            except Exception:
                log.exception("file.look_failed", channel=self.ground.name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.options.poll)

    def _has_turn(self) -> bool:
        """One process at a time takes from a folder; another takes over when it ends, however it ends."""
        if self._turn is None:
            turn = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(turn)
                return False
            except (
                OSError
            ) as error:  # some network file systems: there one process alone must have the folder
                log.warning("file.folder_not_locked", channel=self.ground.name, reason=error.strerror)
            self._turn = turn
        return True

    async def _look(self) -> None:
        for seen in self._settled(await asyncio.to_thread(self._scan)):
            await self._go.wait()
            if self._stopping.is_set():
                return
            try:
                if not await self._take(seen):
                    return
            except OSError as error:
                if (self.folder / seen.name).exists():  # else somebody took it away meanwhile
                    log.error("file.unusable", channel=self.ground.name, reason=error.strerror)

    def _scan(self) -> list[_Seen]:
        found = []
        with os.scandir(self.folder) as entries:
            wanted = (entry for entry in entries if self._wanted(entry))
            first = heapq.nsmallest(_WATCHED * self.options.batch, wanted, key=lambda entry: entry.name)
        for entry in first:
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                found.append(_Seen(entry.name, facts.st_size, facts.st_mtime_ns))
        return found

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        name = entry.name
        if name.startswith(".") or name.lower().endswith(_UNFINISHED):
            return False
        return fnmatch.fnmatch(name, self.options.pattern) and entry.is_file(follow_symlinks=False)

    def _settled(self, found: list[_Seen]) -> list[_Seen]:
        """Those that looked the same at an earlier look, `settle` ago or longer."""
        now = asyncio.get_running_loop().time()
        known = self._settling
        self._settling = {seen: known.get(seen, now) for seen in found}
        self._answered = {seen: reply for seen, reply in self._answered.items() if seen in self._settling}
        ready = [seen for seen in found if seen in known and now - known[seen] >= self.options.settle]
        return ready[: self.options.batch]

    async def _take(self, seen: _Seen) -> bool:
        """Whether the next file may be taken; not when the engine takes nothing just now."""
        reply = self._answered.get(seen) or await self._hand_over(seen)
        if reply.state == "failed":
            # Where the engine takes nothing just now, no file can be taken; a bug with this one holds only this one.
            return not reply.retry_after_s
        self._answered[seen] = reply
        await asyncio.to_thread(self._put_away, seen.name, reply)
        del self._answered[seen]
        return True

    async def _hand_over(self, seen: _Seen) -> Reply:
        arrival = Arrival(self.ground.spool)
        try:
            whole = await self._read(seen.name, arrival)
        except JingluoError as error:
            log.warning("file.large_not_kept", channel=self.ground.name, code=error.code, reason=error.text)
            return not_kept(error)
        finally:
            await arrival.give_up()
        name = os.fsencode(seen.name).decode("utf-8", "replace")  # some names are GBK
        source = f"file {self.options.folder}/{name}"
        body, blob = arrival.body, arrival.blob
        message = Message(body, source, {"file": name}, charset=self.options.charset, blob=blob)
        if not whole:  # the engine refuses it, and files its head
            fault = f"larger than {self.options.max_size} bytes"
            message = replace(message, fault=fault, fault_code="JL-E301")
        return await self._deliver(message)

    async def _read(self, name: str, arrival: Arrival) -> bool:
        """False where the file is larger than allowed: then there is only its head."""
        piece, file = await asyncio.to_thread(self._begin, name)
        size, head = len(piece), piece[:HEAD_SIZE]
        try:
            await arrival.take(piece)
            while file is not None and size <= self.options.max_size:
                if not (piece := await asyncio.to_thread(file.read, _PIECE)):
                    break
                size += len(piece)
                await arrival.take(piece)
        finally:
            if file is not None:
                file.close()
        if size > self.options.max_size:
            arrival.body = head
            return False
        await arrival.end()
        return True

    def _begin(self, name: str) -> tuple[bytes, BinaryIO | None]:
        """A small file whole; of a large one the beginning, and the file for the rest."""
        file = os.fdopen(_no_link(str(self.folder / name), os.O_RDONLY), "rb")
        piece = file.read(LARGE + 1)
        if len(piece) > LARGE:
            return piece, file
        file.close()
        return piece, None

    def _put_away(self, name: str, reply: Reply) -> None:
        if reply.state == "refused":
            moved = self._move(name, "failed")
            reason = " ".join(part for part in (reply.code, reply.path, reply.id) if part)
            said = moved.with_name(moved.name + ".reason.txt")
            said.unlink(missing_ok=True)
            with open(said, "x", encoding="utf-8", opener=_no_link) as file:
                file.write(reason + "\n")
        elif self.options.done == "move":
            self._move(name, "done")
        else:
            (self.folder / name).unlink()

    def _move(self, name: str, to: str) -> Path:
        """Beside a file of the same name that is there already, not over it."""
        target = next(path for path in _names(self.folder / to / name) if not path.exists())
        (self.folder / name).rename(target)
        return target

    def _make_folders(self) -> None:
        for name in ("done", "failed"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)


def _no_link(path: str, flags: int) -> int:
    """Who may put files here may not have ours read or written by a link that came since we looked, nor hold us up."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def _names(path: Path) -> Iterator[Path]:
    """`a.hl7`, `a.2.hl7`, `a.3.hl7` and so on."""
    yield path
    for number in range(2, 1_000_000):
        yield path.with_name(f"{path.stem}.{number}{path.suffix}")


class DestinationOptions(Options):
    """`send: {file: {folder: out, name: "{id}.hl7"}}`."""

    folder: str
    name: str = Field("{id}", description="{id}, {channel}, {date} (of receipt, UTC) are filled in")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        unknown = set(re.findall(r"\{([^}]*)\}", name)) - {"id", "channel", "date"}
        if unknown or "{id}" not in name:
            raise ValueError("a name holds {id}, and may hold {channel} and {date}")
        if re.search(r"[/\\\0]", name) or name.startswith("."):
            raise ValueError("a name has no folder in it and does not begin with a dot")
        return name


@registry.destination("file")
class FileDestination:
    """Writes each message to a file of its own. The same message again is the same file again."""

    Options: ClassVar[type[Options]] = DestinationOptions
    codes = frozenset(("written", "full"))
    streams = True

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.folder = Path(ground.base_dir, options.folder)

    async def start(self) -> None:
        """Nothing to do: the folder is made when there is something to write."""

    async def send(self, message: Message) -> Receipt:
        name = self._name(message)
        try:
            pieces = message.blob.pieces() if message.blob else (message.body,)
            await asyncio.to_thread(_write, self.folder, name, pieces)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise Refused("JL-E311", "the file's name is too long") from None
            raise Unreachable("JL-E310", f"{self.options.folder}: {error.strerror}") from None
        return Receipt("written", headers={"file": name})

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        name = self._name(message)
        if code == "full":
            raise Unreachable("JL-E310", f"{self.options.folder}: {os.strerror(errno.ENOSPC)}")
        return Receipt("written", headers={"file": name})

    async def stop(self) -> None:
        """Nothing to do: no file stays open."""

    def _name(self, message: Message) -> str:
        day = datetime.fromtimestamp(message.received_ms / 1000, UTC)
        name = self.options.name.replace("{id}", message.id).replace("{channel}", message.channel)
        name = name.replace("{date}", f"{day:%Y%m%d}")
        if not message.id or not re.fullmatch(r"[^/\\\0]+", name) or name.startswith("."):
            raise Refused("JL-E311", "the message's id makes no file name")
        return name


def _write(folder: Path, name: str, pieces: Iterable[bytes]) -> None:
    """Nobody sees half a file, and a power cut loses none that was reported as written."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / name)
    except Exception:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
