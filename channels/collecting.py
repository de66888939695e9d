"""Several messages as one: `collect: {by: $.visit, count: 100, within: 5m}`, the counterpart of `split`.

What the whole looks like, the format says: a list, a Bundle, rows one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.errors import BadMessage, Problem
from config.text import At
from schemas.base import BadPath, Format, Gather

if TYPE_CHECKING:
    from channels.model import BranchText, CollectText

MAX_COUNT = 10_000  # messages in one
MAX_WITHIN_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Collect:
    """What belongs together, when it goes, and how it is written as one.

    `by` reads the key of a message as it came; None: all belong together. `within_s` counts from the first one's
    arrival; None: only `count` makes a group full.
    """

    count: int
    within_s: float | None
    max_bytes: int  # of what is gathered, before it is written as one
    format: Format  # of what is gathered, and of the whole
    gather: Gather
    text: str = ""  # the path of `by`
    by: Callable[..., str | None] | None = None

    def key(self, tree: Any, message: Any) -> str:
        """What a message belongs to. Raises BadMessage (JL-M092) where nothing stands there."""
        if self.by is None:
            return ""
        key = self.by(tree, message)
        if not key:
            raise BadMessage("JL-M092", "nothing says what this belongs to", self.text)
        return key

    def check(self, body: bytes, charset: str) -> None:
        """Of what is gathered, by itself: what cannot be read must not spoil the others. Raises BadMessage."""
        self.gather.check(self.format.decode(body, charset))

    def written(self, bodies: Sequence[tuple[bytes, str]], charset: str) -> bytes:
        """All of them as one; each comes with its charset. Raises BadMessage."""
        return self.gather.write([self.format.decode(body, own) for body, own in bodies], charset)


def compile_collect(
    text: CollectText,
    branch: BranchText,
    by: Callable[..., str | None] | None,
    format: Format | None,
    problems: list[Problem],
    at: At,
    absent: Collection[At],
) -> Collect | None:
    """None where it is wrong, or nobody knows the format. `by` is compiled."""

    def wrong(what: str, hint: str = "", at: At = at) -> None:
        problems.append(Problem(at, "JL-C057", what, hint))

    if text.count is None and text.within is None and not {(*at, "count"), (*at, "within")} & set(absent):
        wrong("nothing says when a group goes", "count: 100, within: 5m, or both")
        return None
    if branch.split is not None:
        wrong(
            "what is sent is divided or gathered, not both",
            "a channel in between does the one after the other",
        )
        return None
    if "channel" not in branch.send:
        wrong(
            "only what is sent to a channel is gathered: there the whole is tried, and given up",
            "`send: {channel: ...}`",
        )
        return None
    if format is None:
        return None
    gathers = getattr(format, "gathers", None)
    if gathers is None:
        wrong(
            f"messages of format {format.name} cannot be gathered into one",
            "a map in between makes them JSON",
        )
        return None
    try:
        gather = gathers(text.as_)
    except BadPath as error:
        near = f"did you mean ${error.nearest}?" if error.nearest else ""
        wrong(str(error), near, (*at, "as"))
        return None
    return Collect(
        count=text.count or MAX_COUNT,
        within_s=text.within,
        max_bytes=text.bytes,
        format=format,
        gather=gather,
        text=text.by or "",
        by=by,
    )
