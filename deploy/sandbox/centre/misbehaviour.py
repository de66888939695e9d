"""How the centre misbehaves: well, unless it was told otherwise, for a transaction, so often, for such a share.

Not done, and the caller hears:
  lose       nothing: the connection is closed
  deaf       nothing, until it gives up
  refuse     infcode -1 and the text
  code       another infcode (`code`: "-999", "1001", "")
  expired    that the sign-in is over; it is
  status     an HTTP status (`code`: 503 unless told otherwise)
Done, and the caller hears:
  mute       nothing, until it gives up
  cut        half an answer: the connection is closed in the middle of it
  error      an HTTP status (`code`: 500 unless told otherwise) with a text
  html       a page of the gateway before it, with status 502
  page       the same page, with status 200
  garbage    bytes that nobody can read
  half       a whole HTTP answer, of which the JSON ends in the middle
  late       the answer after `seconds`
  double     the answer twice over
  repeat     the answer to a second copy of its message: that the msgid was used before
  forged     an answer with a wrong signature, where answers are signed
  null       success with `output` null
Done later, though the caller may be gone:
  delayed    after `seconds`, and then answered
Of mobile payment:
  pending    6202: done, and answered that it is not yet
  exp        6203: done, and answered EXP
  fail       6203: not done, and answered FAIL
Of queries:
  lag        nothing of what was booked since this was told; for `seconds`, or so many times
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

KINDS = (
    *("lose", "deaf", "refuse", "code", "expired", "status"),
    *(
        "mute",
        "cut",
        "error",
        "html",
        "page",
        "garbage",
        "half",
        "late",
        "double",
        "repeat",
        "forged",
        "null",
    ),
    *("delayed", "lag", "pending", "exp", "fail"),
)
UNDONE = ("lose", "deaf", "refuse", "code", "expired", "status", "fail")
_WORD = re.compile(r"(?:([0-9A-Za-z_.*-]+)=)?([a-z]+)(?::([^@*]+))?(?:@(\d{1,2}|100)%)?(?:\*(\d+))?")


@dataclass(frozen=True, slots=True)
class Act:
    kind: str = "well"
    seconds: float = 0
    code: str = ""
    text: str = ""
    blind: int = 0  # of a lag: the serial from which on nothing is seen


WELL = Act()


@dataclass(slots=True)
class _Rule:
    infno: str
    act: Act
    left: float
    skip: int
    share: float
    until: float


class Misbehaviour:
    """The first rule that applies wins; chance comes from the seed."""

    def __init__(self, seed: int = 0, kinds: Collection[str] = KINDS) -> None:
        self._chance = Random(seed)
        self._kinds = kinds
        self._rules: list[_Rule] = []

    def add(
        self,
        infno: str,
        act: Act,
        *,
        times: float = math.inf,
        skip: int = 0,
        share: float = 1,
        until: float = math.inf,
    ) -> None:
        """For `infno`, or '*' for all; not for the first `skip` of them. Raises ValueError for what it cannot do."""
        if act.kind not in self._kinds:
            raise ValueError(f"{act.kind!r}: there are {', '.join(self._kinds)}")
        self._rules.append(_Rule(infno, act, times, skip, share, until))

    def well(self) -> None:
        """Forgets every order."""
        self._rules.clear()

    def next(self, infno: str, now: float) -> Act:
        """How the message at hand is treated."""
        for rule in self._rules:
            if rule.infno not in ("*", infno) or rule.left <= 0 or now > rule.until:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if self._chance.random() >= rule.share:
                continue
            rule.left -= 1
            return rule.act
        return WELL


def order(word: str, kinds: Collection[str] = KINDS) -> tuple[str, Act, float, float]:
    """`2207=mute*1`, `late:5@20%`: transaction, act, how often, which share. Raises ValueError."""
    match = _WORD.fullmatch(word)
    infno, kind, value, share, count = match.groups() if match else (None, "", None, None, None)
    seconds = kind in ("late", "delayed", "lag")
    if kind not in kinds or (seconds and value and not re.fullmatch(r"\d+(\.\d+)?", value)):
        raise ValueError(
            f"{word!r}: write [INFNO=]KIND[:VALUE][@SHARE%][*COUNT], KIND one of {', '.join(kinds)}"
        )
    act = Act(kind, float(value or 1) if seconds else 0, "" if seconds else value or "")
    return infno or "*", act, float(count) if count else math.inf, int(share or 100) / 100
