"""What the engine knows of itself that an operator should: each as long as it is so. No one configures these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from channels.model import Channel
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name
from router.envelope import way_of
from router.plan import HALF_READ

if TYPE_CHECKING:
    from router.engine import Engine


class States:
    """Of an engine that has the journal."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        found.raised.update(self._now())

    def _now(self) -> Iterator[tuple[Name, Fact]]:
        engine = self._engine
        if not engine.journal.ok:
            yield Name("journal"), Fact()
        for way, lanes in Counter(way_of(queue) for queue in engine.board.held).items():
            yield Name("held", *way), Fact(lanes)
        for one in engine.conservation.missing:
            yield Name("missing", one.channel, one.destination), Fact(one.count)
        for channel in engine.doors.closed:
            yield Name("door", channel), Fact()
        for channel in engine.pressure.paused:
            yield Name("full", channel), Fact()
        for file in self._refused():
            yield Name("refused", about=file), Fact()

    def _refused(self) -> set[str]:
        """The files of channels that do not run, and those for which the last reload was refused."""
        findings = list(self._engine.site.findings)
        last = self._engine.reload.last
        if last is not None and last.refused:
            findings += last.findings
        return {one.file for one in findings if one.severity == "error" and one.code != HALF_READ}
