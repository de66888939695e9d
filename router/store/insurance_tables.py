"""Tables of the engine's talk with insurance centres (医保): the site's own, beside the journal's.

In the clear stands what lists are made by: msgid, infno, times, states. Sealed is what may speak of a patient: what
went over the wire, the centre's words, and the values that an exchange is found by, which are blind in their index.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, text

from router.store.columns import KEY, text_column
from router.store.durable import Schema

_VERSION = 1


records = MetaData()


schema_version = Table("insurance_version", records, Column("version", Integer, primary_key=True))

# One data key, wrapped by the site's key. Without it no row opens and no patient is found.
data_key = Table(
    "insurance_key",
    records,
    Column("id", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)

exchange = Table(
    "insurance_exchange",
    records,
    Column("msgid", KEY, primary_key=True),
    text_column("system"),  # whose: fixmedins_code, or appId
    text_column("infno"),
    text_column("key"),
    Column("at_ms", BigInteger, nullable=False),
    text_column("opter"),
    text_column("state"),
    text_column("infcode"),
    Column("ended_ms", BigInteger, nullable=False),  # 0 until then
    text_column("reversed_by"),
    Column("facts", LargeBinary, nullable=False),  # sealed: links and the centre's words
    Column("request", LargeBinary, nullable=False),  # sealed
    Column("answer", LargeBinary, nullable=False),  # sealed
    Index("insurance_exchange_key", "system", "key"),
    Index("insurance_exchange_at", "at_ms"),
    Index("insurance_exchange_ended", "system", "ended_ms"),
    Index(
        "insurance_exchange_open",
        "at_ms",
        sqlite_where=text("state IN ('sent', 'UNKNOWN', 'PROCESSING')"),
        postgresql_where=text("state IN ('sent', 'UNKNOWN', 'PROCESSING')"),
    ),
)

# HMAC-SM3 of name and value, 64 bits of it: found by who has the key, told to nobody else.
link = Table(
    "insurance_link",
    records,
    Column("tag", BigInteger, primary_key=True),
    Column("msgid", KEY, primary_key=True),
    Index("insurance_link_msgid", "msgid"),
)

sign_in = Table(
    "insurance_sign_in",
    records,
    Column("system", KEY, primary_key=True),
    Column("opter", KEY, primary_key=True),
    Column("device", KEY, primary_key=True),
    Column("day", KEY, primary_key=True),  # yyyy-MM-dd, China's
    text_column("sign_no"),
)

INSURANCE = Schema(
    "insurance",
    "the insurance records",
    records,
    schema_version,
    _VERSION,
    data_key,
    ("JL-E850", "JL-E851", "JL-E852"),
)
