"""What came of a day's account, kept: a file for each party and span of days, for the engine's user alone.

It holds setl_id, mdtrt_id and psn_no of what differs, and no name and no identity number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from config.private import make_file, make_folder
from schemas.nhsa.statement import Key
from schemas.nhsa.statement_judge import Difference

# open: not asked yet. refused: the centre said no to the question itself. unknown: no answer that says anything.
State = Literal["open", "equal", "unequal", "refused", "unknown"]


class Account(Struct, frozen=True):
    """What one 3201 was asked, and what came of it. Money in fen."""

    key: Key
    digest: str  # of the rows that were declared
    medfee_fen: int
    fund_fen: int
    account_fen: int
    cash_fen: int
    count: int
    state: State = "open"
    rslt: str = ""  # stmt_rslt as the centre wrote it
    text: str = ""  # the centre's words
    at_ms: int = 0


class Detail(Struct, frozen=True):
    """One 3202: all rows of an office and a clearing type, whatever their insurance, which 3202 does not ask about."""

    key: Key  # without insutype
    digest: str
    result_no: str = ""  # file_qury_no of the result, '' before there is one
    result_name: str = ""
    result_until: str = ""  # when the centre lets go of it
    task_key: str = ""  # of a comparison that is a task of its own (3211)
    done: bool = False  # the result was read
    listed: int = 0  # its rows
    differences: tuple[Difference, ...] = ()


class Unread(Struct, frozen=True):
    """An exchange that settled, and whose amounts cannot be read."""

    msgid: str
    infno: str
    code: str
    text: str


class Statement(Struct, frozen=True):
    """The account of some days with one party. `differences` are those of our own books with one another."""

    system: str
    begin: str
    end: str
    begun_ms: int
    ended_ms: int = 0
    his: bool = False  # a list of the HIS's was given
    accounts: tuple[Account, ...] = ()
    details: tuple[Detail, ...] = ()
    differences: tuple[Difference, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def equal(self) -> bool:
        """The centre said so of every group, and our own books agree with one another."""
        asked = all(account.state == "equal" for account in self.accounts)
        return asked and bool(self.ended_ms) and not self.differences and not self.unread


_decode = msgspec.json.Decoder(Statement).decode
_encode = msgspec.json.Encoder().encode
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"\w[\w.-]{0,63}")


class Kept:
    """Statements as files: `<folder>/<system>/<begin>_<end>.json`. All methods may block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, made: Statement) -> None:
        """Whole, or not at all: who reads meanwhile sees what was there before."""
        path = self._path(made.system, made.begin, made.end)
        make_folder(self._folder)
        make_folder(path.parent)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        make_file(fresh)
        fresh.write_bytes(_encode(made))
        fresh.replace(path)

    def load(self, system: str, begin: str, end: str) -> Statement | None:
        """None where there is none, or where another version wrote it."""
        try:
            return _decode(self._path(system, begin, end).read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def all(self, system: str = "") -> Iterator[Statement]:
        """Newest days first."""
        paths = sorted(
            self._folder.glob(f"{system or '*'}/*_*.json"), key=lambda path: path.name, reverse=True
        )
        for path in paths:
            begin, _, end = path.stem.partition("_")
            if (made := self.load(path.parent.name, begin, end)) is not None:
                yield made

    def _path(self, system: str, begin: str, end: str) -> Path:
        if not (_NAME.fullmatch(system) and _DAY.fullmatch(begin) and _DAY.fullmatch(end)):
            raise ValueError(f"no statement is called {system} {begin} {end}")
        return self._folder / system / f"{begin}_{end}.json"
