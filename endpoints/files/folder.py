"""What is asked of a folder of files, wherever it is. Each kind of place answers in a file of its own."""

from __future__ import annotations

import abc
import errno
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

PIECE = 262_144  # bytes that are read at once
MOST_NAMES = 100_000  # of one level, in one look at a server
# Not hidden by a dot, for some servers do not list such names; with an end that others leave alone.
_CLAIM = re.compile(r"(.+)\.taken-([0-9a-f]{8})\.part", re.DOTALL)
_AWAY = frozenset(
    (
        errno.EIO,
        errno.ENODEV,
        errno.ENXIO,
        errno.ESTALE,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
    )
)

# Names in one folder to those that are asked about, in this order.
Choose = Callable[[Iterable[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a look at the folder found it. Two that are equal are the same file with the same content.

    A name is relative to the folder, with "/" between its parts. It is text by the folder's `names`; bytes that are
    none in it stand as surrogates.
    """

    name: str
    size: int  # bytes
    changed_ns: int  # Unix time by the folder's own clock
    tag: str = ""  # what else tells two contents apart: an ETag, the time of the last rename
    taken: str = ""  # what it is called now, where an engine has claimed it

    @property
    def at(self) -> str:
        return self.taken or self.name

    @property
    def content(self) -> tuple[str, int, int]:
        """The same whether it is claimed or not."""
        return self.name, self.size, self.changed_ns


class Away(OSError):
    """The place cannot be asked just now, whatever file it is. `code` says of which kind the trouble is."""

    def __init__(self, code: str, text: str, maybe_done: bool = False) -> None:
        super().__init__(errno.EHOSTUNREACH, text)
        self.code = code
        self.maybe_done = maybe_done  # what was asked may have been done


class Folder(abc.ABC):
    """A folder. Its methods raise OSError, whose `strerror` names no file: names may speak of patients.

    FileNotFoundError and FileExistsError mean just that; what is no fault of one file is what `away` says yes to.
    """

    place: str  # for people: "in", "sftp lis.hospital.local/out"
    claims = True  # whether a file is claimed before it is read: others may take from here too

    async def open(self) -> None:  # noqa: B027
        """Makes what a source needs there. A place over the network may be away, and is connected when it is asked."""

    async def turn(self) -> bool:
        """Whether this process may take files now."""
        return True

    @abc.abstractmethod
    async def look(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        """Of one level, the root for '': the plain files that are chosen, and the names of the folders in it.

        Links are neither. Names are those in the level, entries have whole ones.
        """

    @abc.abstractmethod
    def read(self, entry: Entry) -> AsyncIterator[bytes]:
        """In pieces of `PIECE`; at least one, which may be empty."""

    @abc.abstractmethod
    async def write(self, name: str, body: Iterable[bytes], aside: str, over: bool) -> None:
        """All of it or nothing: what is written is called `aside` until it is whole, and is gone if it fails.

        FileExistsError where there is one already, and `over` is false. `body` may block: it is read in a thread.
        """

    @abc.abstractmethod
    async def has(self, name: str) -> bool: ...

    @abc.abstractmethod
    async def move(self, name: str, to: str) -> None:
        """Makes the folder of `to` where it is missing. FileExistsError where there is one already."""

    @abc.abstractmethod
    async def remove(self, name: str) -> None: ...

    async def claim(self, entry: Entry, owner: str) -> Entry:
        """Only one can rename a file away. FileNotFoundError: somebody else did."""
        taken = f"{entry.name}.taken-{owner}.part"
        await self.move(entry.at, taken)
        return replace(entry, taken=taken)

    async def release(self, entry: Entry) -> None:
        """Gives up a claim: who looks next may take it."""
        await self.move(entry.at, entry.name)

    async def mark(self, entry: Entry) -> None:
        """Leaves it where it is, and never shows it again; where that can be."""
        raise OSError(errno.ENOTSUP, "nothing can be marked there")

    async def close(self) -> None:  # noqa: B027
        """Others may take from here now."""


def claimed(name: str) -> tuple[str, str]:
    """The owner of a claim and the file's own name; ('', name) where it is not claimed.

    >>> claimed("lab/a.hl7.taken-0a1b2c3d.part")
    ('0a1b2c3d', 'lab/a.hl7')
    """
    found = _CLAIM.fullmatch(name)
    return (found[2], found[1]) if found else ("", name)


def away(error: OSError) -> bool:
    """Whether it is the place that is in trouble, and not one of its files."""
    return isinstance(error, Away | ConnectionError | TimeoutError) or error.errno in _AWAY


def reason(error: OSError) -> str:
    """In a few words, for logs and operators; no file is named."""
    said = error.strerror or (
        "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    )
    code = getattr(error, "code", "")
    return f"{code} {said}".strip()
