"""What a party sent and was told, what a party got. Compared, they prove what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """What was sent and never came, and what came more often than it was sent, by key."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]


def compare(sent: Iterable[str], received: Iterable[str]) -> Difference:
    """Two books side by side. A key that stands twice in both is neither lost nor doubled.

    >>> compare(["1", "2"], ["2", "2"])
    Difference(lost=('1',), doubled=('2',))
    """
    ours, theirs = Counter(sent), Counter(received)
    return Difference(tuple(sorted((ours - theirs).elements())), tuple(sorted((theirs - ours).elements())))


@dataclass(slots=True)
class SentBook:
    """Every key sent, and the last answer to it ("AA", "202", "0000"); "" while there is none."""

    answers: dict[str, str] = field(default_factory=dict)
    repeated: int = 0  # how often something was sent again, because no answer or no good one came

    @property
    def accepted(self) -> list[str]:
        return [
            key for key, answer in self.answers.items() if answer in ("AA", "CA", "0000") or answer[:1] == "2"
        ]
