"""A call of a procedure, and how each database says it: parameters in, parameters out.

Every one of them has `call`, but what comes out comes out otherwise: as a row (PostgreSQL), in variables of the
connection (MariaDB, MySQL, SQL Server), in bound variables (Oracle).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_CALL = re.compile(r"\s*(\w+(?:\.\w+){0,3})\s*\((.*)\)\s*;?\s*", re.DOTALL)
_ARGUMENT = re.compile(
    r"(?P<out>out\s+)?:(?P<name>[A-Za-z_]\w*)(?:\s+(?P<type>text|number|date))?", re.IGNORECASE
)
_SQLSERVER = {"text": "nvarchar(4000)", "number": "decimal(38, 10)", "date": "datetime2"}


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    out: bool = False
    type: str = "text"


@dataclass(frozen=True, slots=True)
class Procedure:
    """`name` is a name of the database, with its schema; the arguments are in their order."""

    name: str
    arguments: tuple[Argument, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(a.name for a in self.arguments if not a.out)

    @property
    def outs(self) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if a.out)

    def sql(self, kind: str) -> str:
        """The statement for a kind of database (SQLAlchemy's name), to be run with the parameters that go in."""
        listed = ", ".join(_argument(a, kind) for a in self.arguments)
        if kind == "oracle":
            return f"begin {self.name}({listed}); end;"
        if kind == "mssql":
            declared = "".join(f"declare @{a.name} {_SQLSERVER[a.type]}; " for a in self.outs)
            told = ", ".join(f"@{a.name} as {a.name}" for a in self.outs)
            return f"{declared}exec {self.name} {listed}" + (f"; select {told}" if told else "")
        return f"call {self.name}({listed})"

    def ask(self, kind: str) -> str:
        """The statement that then tells what came out; '' where the call itself does."""
        if kind not in ("mysql", "mariadb") or not self.outs:
            return ""
        return "select " + ", ".join(f"@jl_{a.name} as {a.name}" for a in self.outs)


def _argument(argument: Argument, kind: str) -> str:
    if not argument.out or kind == "oracle":
        return f":{argument.name}"
    if kind == "mssql":
        return f"@{argument.name} output"
    return f"@jl_{argument.name}" if kind in ("mysql", "mariadb") else "null"


def procedure(written: Any) -> Procedure:
    """Raises ValueError.

    >>> procedure("lis.put(:id, out :status number)").arguments
    (Argument(name='id', out=False, type='text'), Argument(name='status', out=True, type='number'))
    """
    if isinstance(written, Procedure):
        return written
    found = _CALL.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError("a call is `name(:id, :value, out :status number)`")
    arguments = []
    for part in filter(None, map(str.strip, found[2].split(","))):
        said = _ARGUMENT.fullmatch(part)
        if said is None or (said["type"] and not said["out"]):
            raise ValueError(
                f"{part!r} is no argument; write :name, or `out :name number` (text, number, date)"
            )
        arguments.append(Argument(said["name"], bool(said["out"]), (said["type"] or "text").lower()))
    names = [a.name.lower() for a in arguments]
    if len(set(names)) < len(names):
        raise ValueError("an argument stands twice")
    return Procedure(found[1], tuple(arguments))
