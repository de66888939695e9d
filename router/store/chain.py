"""The chain: each row's mac covers its content, its place, and the mac of the row before it.

Whoever writes begins a chain of its own in each day: a writer's number and the numbers of its rows, without a gap.
The key is the day's, so that nobody without the site's key can write, change, move or renumber a row unseen. How long
a chain is stands in a row that is changed with each batch: rows that are cut off its end are missed.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from config.crypto import Mac

MAC = 16  # bytes that are kept of an HMAC-SM3
START = bytes(MAC)  # what stands before a chain's first row

_encode = msgspec.msgpack.Encoder().encode


def row_mac(mac: Mac, before: bytes, table: str, row: tuple[Any, ...]) -> bytes:
    """Of a row's columns in their order, up to and with `writer` and `seq`."""
    return mac(before + _encode((table, *row)))[:MAC]


def length_mac(mac: Mac, writer: int, count: int, head: bytes) -> bytes:
    return mac(_encode(("chain", writer, count, head)))[:MAC]


def writer_name(writer: int) -> str:
    """As notes and findings have it: 16 hex digits."""
    return f"{writer:016x}"


class Chain:
    """One writer's rows of one day."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self.writer = secrets.randbits(63)
        self.count = 0
        self.head = START
        self.others: set[str] = set()  # those that are noted, by this writer or another

    def batch(self) -> Batch:
        return Batch(self, self._mac)

    def extend(self, batch: Batch) -> None:
        """What a batch added is durable."""
        self.count, self.head = batch.count, batch.head


class Batch:
    """Rows that are about to be written: nothing of them counts until the chain is extended by them."""

    def __init__(self, chain: Chain, mac: Mac) -> None:
        self._mac = mac
        self.writer, self.count, self.head = chain.writer, chain.count, chain.head

    def add(self, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The row with its place in the chain."""
        self.count += 1
        placed = (*row, self.writer, self.count)
        self.head = row_mac(self._mac, self.head, table, placed)
        return (*placed, self.head)

    @property
    def length(self) -> tuple[int, int, bytes, bytes]:
        """A row of the table `chain`."""
        return self.writer, self.count, self.head, length_mac(self._mac, self.writer, self.count, self.head)
