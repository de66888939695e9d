"""What a database's error means: whether it was the row's fault, whether it is worth another try.

Said by SQLSTATE or by the database's own number, for the drivers' classes are too coarse: a deadlock and a missing
table are both an OperationalError somewhere. Of the text nothing is repeated, since most of them quote the value.

Sources: PostgreSQL manual, appendix A; MariaDB error codes; Oracle Database error messages; sys.messages of SQL Server;
sqlite.org/rescode.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# refused: by the database's rules, or by its procedure. wrong: the statement or our rights. again: a deadlock, a
# limit of time. gone: no connection.
Meaning = Literal["refused", "wrong", "again", "gone"]


@dataclass(frozen=True, slots=True)
class Fault:
    """`text` names the error and the rule that was broken; `said` are the database's own words, with values."""

    meaning: Meaning
    text: str
    said: str = ""


_POSTGRESQL: dict[str, Meaning] = {
    "08": "gone", "22": "refused", "23": "refused", "25": "wrong", "28": "gone", "3D": "gone", "40": "again",
    "42": "wrong", "44": "refused", "53": "again", "55": "again", "57": "again", "57P01": "gone", "57P02": "gone",
    "57P03": "gone", "58": "gone", "P0": "refused",
}  # fmt: skip
_MYSQL: dict[int, Meaning] = {
    **dict.fromkeys((1048, 1062, 1216, 1217, 1264, 1265, 1292, 1364, 1366, 1406, 1411, 1451, 1452, 1557, 1586, 1644,
                     1690, 3819, 4025), "refused"),
    **dict.fromkeys((1044, 1049, 1054, 1064, 1109, 1136, 1142, 1143, 1146, 1227, 1290, 1305, 1318, 1370, 1792),
                    "wrong"),
    **dict.fromkeys((1040, 1203, 1205, 1213, 1226, 1317, 1836, 1969, 3024), "again"),
    **dict.fromkeys((1045, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2055), "gone"),
}  # fmt: skip
_ORACLE: dict[int, Meaning] = {
    **dict.fromkeys((1, 1400, 1407, 1438, 1722, 2290, 2291, 2292, 12899, *range(1830, 1866)), "refused"),
    **dict.fromkeys((54, 60, 1013, 4021, 4068, 8177, 30006), "again"),
    **dict.fromkeys((28, 1012, 1017, 1033, 1034, 1089, 3113, 3114, 3135, *range(12150, 12700)), "gone"),
    **dict.fromkeys((1031, 6550, 6553, *range(900, 1000)), "wrong"),
}  # fmt: skip
_SQLSERVER: dict[int, Meaning] = {
    **dict.fromkeys((220, 241, 242, 245, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152), "refused"),
    **dict.fromkeys((1205, 1222, 3960, 3961, 20003, 40501), "again"),
    **dict.fromkeys((4060, 18456, 20002, 20004, 20006, 20009, 20047), "gone"),
    **dict.fromkeys((102, 156, 201, 207, 208, 229, 8144, 2812), "wrong"),
}  # fmt: skip
_SQLITE: dict[str, Meaning] = {
    "CONSTRAINT": "refused", "MISMATCH": "refused", "TOOBIG": "refused", "BUSY": "again", "LOCKED": "again",
    "INTERRUPT": "again", "CANTOPEN": "gone", "FULL": "gone", "IOERR": "gone", "CORRUPT": "gone", "NOTADB": "gone",
    "READONLY": "wrong", "ERROR": "wrong", "AUTH": "wrong", "PERM": "gone",
}  # fmt: skip
_CLASSES: dict[str, Meaning] = {  # where the number says nothing: PEP 249's classes
    "IntegrityError": "refused",
    "DataError": "refused",
    "ProgrammingError": "wrong",
    "NotSupportedError": "wrong",
    "InterfaceError": "gone",
    "OperationalError": "again",
    "InternalError": "again",
}
_PROCEDURES = range(20_000, 21_000)  # raise_application_error of Oracle
_OWN_ERRORS = 50_000  # RAISERROR and THROW of SQL Server, from here


def fault_of(error: SQLAlchemyError, kind: str) -> Fault:
    """`kind` is SQLAlchemy's name of the database."""
    if isinstance(error, PoolTimeout):
        return Fault("again", "all connections are busy")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return Fault("wrong", type(error).__name__, str(error))
    cause = error.orig
    name = type(cause).__name__
    classes = [c.__name__ for c in type(cause).__mro__]
    by_class: Meaning = next((_CLASSES[c] for c in classes if c in _CLASSES), "again")
    number = _number(cause, kind)
    meaning = "gone" if error.connection_invalidated else _meaning(number, kind) or by_class
    rule = _rule(cause)
    text = " ".join(filter(None, (name, str(number or ""), rule and f"({rule})")))
    return Fault(meaning, text, str(cause).strip())


def _number(cause: Any, kind: str) -> str | int:
    """SQLSTATE, the database's number, or SQLite's name."""
    if kind == "postgresql":
        return str(getattr(cause, "sqlstate", None) or "")
    if kind == "sqlite":
        return str(getattr(cause, "sqlite_errorname", ""))
    first = cause.args[0] if cause.args else 0
    first = getattr(first, "code", first)  # oracledb
    first = first[0] if isinstance(first, tuple) and first else first  # pymssql
    return first if isinstance(first, int) else 0


def _meaning(number: str | int, kind: str) -> Meaning | None:
    if isinstance(number, str):
        if kind == "sqlite":
            parts = number.split("_")
            return _SQLITE.get(parts[1]) if len(parts) > 1 else None
        return _POSTGRESQL.get(number) or _POSTGRESQL.get(number[:2])
    if kind == "oracle":
        return "refused" if number in _PROCEDURES else _ORACLE.get(number)
    if kind == "mssql":
        return "refused" if number >= _OWN_ERRORS else _SQLSERVER.get(number)
    return _MYSQL.get(number)


def _rule(cause: Any) -> str:
    """The constraint, or table and column: names of the schema, and no values."""
    told = getattr(cause, "diag", None)
    parts = (getattr(told, f"{part}_name", None) for part in ("table", "column", "constraint"))
    return ".".join(filter(None, parts))
