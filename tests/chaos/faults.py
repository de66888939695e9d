"""What goes wrong: a fault a function. It happens to a trial under load, and ends when all is well again.

A fault opens a window (`trial.window`) for as long as it lasts, and says whether it cuts deliveries off: only then
may what was in flight reach a receiver a second time (verdict.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trial import Trial

Act = Callable[["Trial", Random], Awaitable[None]]
STACKS = ("embedded", "rabbitmq")


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    act: Act
    stacks: tuple[str, ...]


FAULTS: dict[str, Fault] = {}


def fault(name: str, *stacks: str) -> Callable[[Act], Act]:
    """Registers a fault, for these stacks or for all."""

    def register(act: Act) -> Act:
        FAULTS[name] = Fault(name, act, stacks or STACKS)
        return act

    return register


@fault("kill")
async def kill(trial: Trial, chance: Random) -> None:
    """kill -9 of a process, and its start."""
    process = chance.choice(trial.engine.processes)
    with trial.window(f"kill {process.roles or 'all'}", cuts=process.does("delivery")):
        process.kill()
        await asyncio.sleep(chance.uniform(0, 1))
        process.start()
        await trial.engine.until_open()
