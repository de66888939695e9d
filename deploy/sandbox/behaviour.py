"""How a party of the example hospital behaves: well, unless it was told otherwise.

A word says how it misbehaves, for how many messages and which share of them:
`slow:2`, `refuse:AE@20%`, `cut*3`, `absent:5`; `lis=slow:2` names the party as well.

slow:SECONDS      does it, and answers after that time (later than its asker waits: a late answer)
absent[:SECONDS]  its door is shut: connections are refused (for that time)
refuse[:CODE]     does not do it and says so: AE or AR over MLLP, a status of 400 or more over HTTP
lie               does it, but answers for another message (HTTP: 200 with an error inside)
garbage           does it, and answers what nobody can read
cut               does it, and hangs up in the middle of the answer
mute              does it, and never answers
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from random import Random

KINDS = ("slow", "absent", "refuse", "lie", "garbage", "cut", "mute")
_WORD = re.compile(rf"({'|'.join(KINDS)})(?::([A-Z0-9.]+))?(?:@(\d{{1,2}}|100)%)?(?:\*(\d+))?")
_SECONDS = r"\d+(\.\d+)?"
_VALUES = {"slow": _SECONDS, "absent": _SECONDS, "refuse": r"AE|AR|[45]\d\d"}


@dataclass(frozen=True, slots=True)
class Act:
    """What to do with one message. `seconds` and `code` where its kind has them."""

    kind: str = "well"
    seconds: float = 0
    code: str = ""


WELL = Act()


@dataclass(slots=True)
class _Rule:
    act: Act
    share: float
    left: int | None  # None: for all that come


class Behaviour:
    """Says for each message how to treat it. The first rule that applies wins; chance comes from the seed."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = Random(seed)
        self._rules: list[_Rule] = []
        self.absent_s: float | None = None  # None: at home; infinite: until told otherwise

    def be(self, word: str) -> None:
        """Takes an order like `slow:2`. Raises ValueError with the words that there are."""
        match = _WORD.fullmatch(word)
        kind, value, share, count = match.groups() if match else ("", "", "", "")
        if value and not re.fullmatch(_VALUES.get(kind, ""), value):
            kind = ""
        if not kind:
            raise ValueError(f"{word!r}: write KIND[:VALUE][@SHARE%][*COUNT], KIND one of {', '.join(KINDS)}")
        if kind == "absent":
            self.absent_s = float(value) if value else math.inf
            return
        seconds = float(value or 1) if kind == "slow" else 0
        act = Act(kind, seconds, value or "" if kind == "refuse" else "")
        self._rules.append(_Rule(act, int(share or 100) / 100, int(count) if count else None))

    def well(self) -> None:
        """Forgets every order."""
        self._rules.clear()
        self.absent_s = None

    def next(self) -> Act:
        """How the message at hand is treated."""
        for rule in self._rules:
            if rule.left == 0 or self._chance.random() >= rule.share:
                continue
            if rule.left is not None:
                rule.left -= 1
            return rule.act
        return WELL


def orders(words: tuple[str, ...], parties: tuple[str, ...]) -> list[tuple[str, str]]:
    """`lis=slow:2` as (party, word), each tried once. Raises ValueError."""
    told = []
    for text in words:
        party, mark, word = text.partition("=")
        if not mark or party not in parties:
            raise ValueError(f"{text!r}: write PARTY=WORD, PARTY one of {', '.join(parties)}")
        Behaviour().be(word)
        told.append((party, word))
    return told
