"""The destination that writes files into a folder, wherever the folder is."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.base import Options as AnyOptions
from endpoints.files.folder import Away, Entry, Folder, reason
from endpoints.files.names import Template, free_names
from endpoints.files.options import DestinationOptions
from schemas.message import Message, Receipt


class FolderDestination:
    """Writes each message to a file of its own. With the id in its name, the same message is the same file again."""

    Options: ClassVar[type[AnyOptions]] = DestinationOptions
    answers_in = ""
    codes = frozenset(("written", "full", "exists"))

    def __init__(self, options: Any, ground: Ground) -> None:
        self.options: DestinationOptions = options
        self.ground = ground
        self.folder = self.open_folder(options, ground)
        format = ground.writes
        paths = {text: format.path(text[1:]) for text in options.paths()} if format else {}
        self._template = Template(options.name, paths)
        self.streams = not paths  # a field can be read of what is there whole

    @staticmethod
    def open_folder(options: Any, ground: Ground) -> Folder:
        """What each kind has of its own. Nothing is connected yet."""
        raise AssertionError("a kind says which folder")

    async def start(self) -> None:
        """Nothing to do: a connection, or the folder, is made when there is something to write."""

    async def send(self, message: Message) -> Receipt:
        name = self._name(message)
        try:
            return Receipt("written", headers={"file": await self._written(message, name)})
        except Away as error:
            raise Unreachable(
                error.code, f"{self.folder.place}: {error.strerror}", maybe_done=error.maybe_done
            ) from None
        except UnicodeEncodeError:
            raise Refused("JL-E311", "the file's name cannot be written in the charset of `names`") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise Refused("JL-E311", "the file's name is too long") from None
            raise Unreachable("JL-E310", f"{self.folder.place}: {reason(error)}") from None

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        name = self._name(message)
        if code == "full":
            raise Unreachable("JL-E310", f"{self.folder.place}: {os.strerror(errno.ENOSPC)}")
        if code == "exists" and self.options.exists == "refuse":
            raise _exists()
        return Receipt("written", headers={"file": name})

    async def stop(self) -> None:
        await self.folder.close()

    def _name(self, message: Message) -> str:
        tree = None
        if not self.streams and self.ground.writes is not None:
            tree = self.ground.writes.decode(message.body, message.charset)
        return self._template.name(message, tree)

    async def _written(self, message: Message, name: str) -> str:
        """What its file is called."""
        aside = "." + re.sub(r"[^\w.-]", "_", f"{message.id}-{self.ground.name}.part")
        if self.options.exists == "overwrite":
            await self.folder.write(name, _body(message), aside, over=True)
            return name
        numbered = self.options.exists == "number"
        for one in free_names(name, self.ground.now()) if numbered else (name,):
            if await self.folder.has(one):
                continue
            try:
                await self.folder.write(one, _body(message), aside, over=False)
            except FileExistsError:  # it came meanwhile
                continue
            return one
        if (message.attempt > 1 or message.redelivered) and await self._is(name, message):
            return name  # an earlier try wrote it, and nobody heard of that
        raise _exists()

    async def _is(self, name: str, message: Message) -> bool:
        """Whether the file holds this message."""
        wanted = _body(message)
        left = b""
        async for piece in self.folder.read(Entry(name, -1, 0)):
            while len(left) < len(piece) and (more := await asyncio.to_thread(next, wanted, b"")):
                left += more
            if not left.startswith(piece):
                return False
            left = left[len(piece) :]
        return not left and not next(wanted, b"")


def _body(message: Message) -> Iterator[bytes]:
    return message.blob.pieces() if message.blob else iter((message.body,))


def _exists() -> Refused:
    return Refused("JL-E312", "there is a file of this name already")
