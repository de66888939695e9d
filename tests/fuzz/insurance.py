"""What a caller sends for an insurance centre, and what one answers: held against the tables, renamed, written."""

from __future__ import annotations

from schemas.json import Json
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.envelope import envelope_faults
from schemas.nhsa.overlay import Side
from schemas.nhsa.profile import profile
from schemas.nhsa.sample import sample

_JSON = Json()
_NAMES = {"2204": "national", "2207": "guangdong", "3101": "national", "9101": "hunan", "5204": "jiangsu"}
_SIDES: tuple[tuple[Side, bool], ...] = (("in", False), ("in", True), ("out", True))
CHECKERS = [checker(transaction(name), profile(of)) for name, of in _NAMES.items()]
REQUESTS = tuple(
    _JSON.encode(sample(transaction(name), side=side, whole=whole))
    for name in _NAMES
    for side, whole in _SIDES
)


def checked(data: bytes) -> None:
    tree = _JSON.decode(data)
    envelope_faults(tree)
    for check in CHECKERS:
        faults = [*check.request(tree), *check.response(tree), *check.notice(tree)]
        assert all(fault.text and fault.code for fault in faults)
        for side, _ in _SIDES[1:]:
            _JSON.encode(check.normalized(tree, side))
            _JSON.encode(check.canonical(tree, side))
