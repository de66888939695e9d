"""Deliberate bugs, each of which the simulation must find: `python -m tests.settlement.bugs [NUMBER]`.

A bug is a text of a module and what stands there instead. It is put in while the module is imported, in a process of
its own; the files are not touched.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

SEEDS = 400


class Bug(NamedTuple):
    what: str
    module: str
    text: str
    instead: str


BUGS = (
    Bug(
        "the probe is skipped: no answer means not done",
        "router.settlement.progress",
        "    return _found_out(way, last, step)\n",
        '    return "LATER"\n',
    ),
    Bug(
        "no answer means done",
        "router.settlement.progress",
        "    return _found_out(way, last, step)\n",
        '    return "OK"\n',
    ),
    Bug(
        "what a query does not show at once was not done",
        "router.settlement.progress",
        "    return probe.began_ms > ",
        "    return True or probe.began_ms > ",
    ),
    Bug(
        "a new number for what is sent again",
        "router.settlement.resolve",
        "    key = last.key\n    if direction",
        "    key = f'{last.key}!'\n    if direction",
    ),
    Bug(
        "the old number for what was reversed",
        "router.settlement.resolve",
        'if direction == "do" and closed(way)',
        'if direction == "never" and closed(way)',
    ),
    Bug(
        "sent before it is written",
        "router.settlement.runner",
        "            refused, answered = await",
        "            if isinstance(command, Call):\n                await self._calls.call(settlement, command)\n"
        "            refused, answered = await",
    ),
    Bug(
        "the answer is not written",
        "router.settlement.runner",
        "change, ended=answered)",
        "change)",
    ),
    Bug(
        "undone in the order in which it was done",
        "router.settlement.decide",
        "back = passed[::-1]",
        "back = passed[:]",
    ),
    Bug(
        "what nobody knows of is not looked at before it goes back",
        "router.settlement.decide",
        '        if standing == "OPEN":\n            return found_out(step, place, progress.do',
        '        if standing == "NEVER":\n            return found_out(step, place, progress.do',
    ),
    Bug(
        "nothing is undone",
        "router.settlement.decide",
        '        if standing != "OK" or step.undo is None:\n',
        "        if True:\n",
    ),
    Bug(
        "a refusal is taken for a yes",
        "router.settlement.progress",
        'return "LATER" if way.wished(last) else "REJECTED"',
        'return "OK"',
    ),
    Bug(
        "what is undone stays in the ledger",
        "router.settlement.posting",
        'if standing == "UNDONE":',
        "if False:",
    ),
    Bug(
        "a journal does not balance",
        "router.settlement.posting",
        "yield Entry(posting.credit(facts), -amount)",
        "yield Entry(posting.credit(facts), 1 - amount)",
    ),
    Bug(
        "only one of the two sides is undone",
        "router.settlement.posting",
        "tuple(Entry(one.account, -one.fen) for one in entries)",
        "tuple(Entry(one.account, -one.fen) for one in entries[:1])",
    ),
    Bug(
        "a call that died is not asked about",
        "router.settlement.progress",
        '    if last.outcome == "UNSENT" or not unknowable:',
        '    if last.outcome in ("UNSENT", None) or not unknowable:',
    ),
    Bug(
        "what an undoing is asked about is taken for the doing",
        "router.settlement.progress",
        '        elif attempt.about == "undo":',
        '        elif attempt.about == "never":',
    ),
    Bug(
        "what may still be on its way counts as over",
        "router.settlement.rows",
        "    return call.ended_ms if heard else max(call.began_ms + CALL_MS, call.ended_ms)\n",
        "    return call.ended_ms or call.began_ms\n",
    ),
    Bug(
        "nothing is closed when the time is over",
        "router.settlement.decide",
        'if step.wait.otherwise == "cancel" and step.reverse is not None and not known.past:',
        "if False:",
    ),
    Bug(
        "a close that is refused counts as closed",
        "router.settlement.progress",
        'return any(one.outcome in ("OK", "ABSENT") for one in way.reverses)',
        'return any(one.outcome in ("OK", "ABSENT", "REJECTED") for one in way.reverses)',
    ),
    Bug(
        "what was waited for and found by asking has not come",
        "router.settlement.progress",
        "    said = {one.outcome for one in way.probes}\n",
        "    said = {one.outcome for one in way.probes if way.told}\n",
    ),
    Bug(
        "a person's no is taken for a yes",
        "router.settlement.progress",
        'return "OK" if way.told.what == "done" else "REJECTED"',
        'return "OK"',
    ),
    Bug(
        "silence is taken for a yes",
        "router.settlement.decide",
        'if step.wait.otherwise == "go on":',
        "if step.manual is not None:",
    ),
    Bug(
        "an end is no end: nothing is said of it",
        "router.settlement.runner",
        'if step.emit and command.state == "COMPLETED"',
        'if step.emit and command.state == "NEVER"',
    ),
)


class _Put(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module with a bug in it."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.bug.module:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        self.origin = found.origin
        return importlib.util.spec_from_loader(name, self, origin=found.origin)

    def exec_module(self, module: ModuleType) -> None:
        with open(self.origin, encoding="utf-8") as file:
            source = file.read()
        assert source.count(self.bug.text) == 1, f"{self.bug.what}: the text stands there no more"
        exec(compile(source.replace(self.bug.text, self.bug.instead), self.origin, "exec"), module.__dict__)


def play(number: int) -> int:
    """In this process: the exit code of the simulation with that bug."""
    sys.meta_path.insert(0, _Put(BUGS[number]))
    from tests.settlement import __main__ as simulation

    sys.argv = ["simulation", "--first", "--seeds", str(SEEDS)]
    return simulation.main()


def found(number: int) -> bool:
    """Whether the simulation finds that bug; in a process of its own."""
    asked = [sys.executable, "-m", "tests.settlement.bugs", str(number)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False)
    assert "stands there no more" not in done.stderr, done.stderr
    return done.returncode != 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(play(int(sys.argv[1])))
    missed = [bug.what for number, bug in enumerate(BUGS) if not found(number)]
    print(f"{len(BUGS) - len(missed)} of {len(BUGS)} found", *missed, sep="\n")
    sys.exit(bool(missed))
