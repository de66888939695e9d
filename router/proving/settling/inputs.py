"""Whether what an insurance centre is sent in a test is what its tables allow, as kind `nhsa` checks it first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.nhsa.catalogue import UnknownTransaction, transaction
from schemas.nhsa.check import checker
from schemas.nhsa.money import problems
from schemas.nhsa.profile import national


def faults_of(operation: str, body: Any) -> Iterator[str]:
    """Of `insurance.2207`; nothing of what is none of the transactions, or has no `input`."""
    try:
        asked = transaction(operation.rpartition(".")[2])
    except UnknownTransaction:
        return
    given = body if isinstance(body, Mapping) else {}
    if asked.centre == "institution":
        inputs: Any = given.get("input")
    else:
        inputs = {"data": {"orgCodg": "H99999900001", **given.get("data", {})}}  # put in by kind nhsa_mobile
    for fault in (*checker(asked).request(inputs), *problems(asked.name, inputs, None, national().money)):
        yield str(fault)
