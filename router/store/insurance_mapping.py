"""What was uploaded of a hospital's own items (3301), item by item, beside the catalogues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import msgspec
from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, delete, insert, inspect, select

from endpoints.insurance.mapping import Kept

_metadata = MetaData()
_Key = Text().with_variant(Text(collation="C"), "postgresql")
_AT_ONCE = 500

mapping = Table(
    "nhsa_mapping",
    _metadata,
    Column("id", _Key, primary_key=True),  # fixmedins_hilist_id
    Column("code", _Key, nullable=False),  # med_list_codg
    Column("list_type", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("became", Text, nullable=False),  # uploaded | refused | withdrawn | unknown
    Column("text", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

Opens = Callable[[], AbstractContextManager[Connection]]


class MappingStore:
    """`endpoints.insurance.mapping.Mappings`."""

    def __init__(self, reading: Opens, writing: Opens) -> None:
        self._reading, self._writing = reading, writing

    def all(self) -> Mapping[str, Kept]:
        with self._reading() as connection:
            if not inspect(connection).has_table(mapping.name):
                return {}
            rows = connection.execute(select(mapping))
            return {row.id: Kept(*row) for row in rows}

    def keep(self, kept: Sequence[Kept]) -> None:
        with self._writing() as connection:
            _metadata.create_all(connection)
            for at in range(0, len(kept), _AT_ONCE):
                part = {one.id: one for one in kept[at : at + _AT_ONCE]}
                connection.execute(delete(mapping).where(mapping.c.id.in_(part)))
                connection.execute(insert(mapping), [msgspec.structs.asdict(one) for one in part.values()])
