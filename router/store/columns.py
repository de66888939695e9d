"""The kinds of columns that tables of durable rows are made of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Text

# Compared byte by byte on every database.
KEY = Text().with_variant(Text(collation="C"), "postgresql")


def text_column(name: str) -> Column[str]:
    return Column(name, KEY, nullable=False)


def number_column(name: str) -> Column[int]:
    """Of 64 bits: times in milliseconds, money in fen."""
    return Column(name, BigInteger, nullable=False)


def sealed_column(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)
