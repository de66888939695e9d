"""What goes wrong: a fault a function. It happens to a trial under load, and ends when all is well again.

A fault opens a window (`trial.window`) for as long as it lasts, and says whether it cuts deliveries off: only then
may what was in flight reach a receiver a second time (verdict.py). `trial.long` is the form of `make chaos`, with
times as they are in a hospital; the short form is for `make test`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import disk
import servers
from proxy import Cut

if TYPE_CHECKING:
    from trial import Trial

Act = Callable[["Trial", Random], Awaitable[None]]
STACKS = ("embedded", "rabbitmq")  # where most faults can happen; `cluster` is three nodes of RabbitMQ


@dataclass(frozen=True, slots=True)
class Fault:
    """`needs` is what a trial must be given for it: `clock`, `tmpfs`."""

    name: str
    act: Act
    stacks: tuple[str, ...]
    needs: str = ""


FAULTS: dict[str, Fault] = {}


def fault(name: str, *stacks: str, needs: str = "") -> Callable[[Act], Act]:
    """Registers a fault, for these stacks or for all."""

    def register(act: Act) -> Act:
        FAULTS[name] = Fault(name, act, stacks or STACKS, needs)
        return act

    return register


def possible() -> tuple[tuple[str, ...], list[str]]:
    """The stacks that there are on this machine, and for what there is not the reason."""
    reasons = [reason for reason in (servers.missing(), disk.missing()) if reason]
    return ("embedded",) if servers.missing() else (*STACKS, "cluster"), reasons


def runnable(stacks: tuple[str, ...]) -> list[str]:
    """The faults that can happen here, by name."""
    return [
        name
        for name, each in sorted(FAULTS.items())
        if set(stacks) & set(each.stacks) and not (each.needs == "tmpfs" and disk.missing())
    ]


def fault_of(seed: int, names: Sequence[str], stacks: Sequence[str]) -> str:
    """By turns, so that each comes as often; one time in five together with a second, where both can be."""
    first, chance = names[seed % len(names)], Random(f"fault {seed}")
    others = [
        name
        for name in names
        if name != first and set(FAULTS[name].stacks) & set(FAULTS[first].stacks) & set(stacks)
    ]
    return f"{first}+{chance.choice(others)}" if others and chance.random() < 0.2 else first


# The engine's processes


@fault("kill")
async def kill(trial: Trial, chance: Random) -> None:
    """kill -9 of a process, and its start."""
    await trial.gets_through()
    process = chance.choice(trial.scene.engine.processes)
    with trial.window(f"kill {process.name}", cuts=process.does("delivery")):
        process.kill()
        await asyncio.sleep(chance.uniform(0, 1))
        process.start()
        await trial.scene.engine.until_open()


@fault("kill-scribe")
async def kill_scribe(trial: Trial, chance: Random) -> None:
    """kill -9 of the process that writes the journal's rows. Its owner starts it again."""
    with trial.window("kill scribe", cuts=False):
        trial.scene.engine.doing("journal").kill_scribe()
        await asyncio.sleep(chance.uniform(0, 1))


@fault("stop")
async def stop(trial: Trial, chance: Random) -> None:
    """SIGSTOP: a process that hangs, or a machine that sleeps, and goes on as if nothing had been."""
    process = chance.choice(trial.scene.engine.processes)
    with trial.window(f"stop {process.name}", cuts=process.does("delivery")):
        process.pause()
        await asyncio.sleep(chance.choice((2, 10, 40)) if trial.long else chance.uniform(1, 3))
        process.resume()
        await asyncio.sleep(0.5)  # what it missed falls upon it


@fault("restart")
async def restart(trial: Trial, chance: Random) -> None:
    """SIGTERM of a process, which ends well, and its start. What was being sent is finished: nothing comes twice."""
    process = chance.choice(trial.scene.engine.processes)
    with trial.window(f"restart {process.name}", cuts=False):
        code = await asyncio.to_thread(process.stop)
        if code:
            raise RuntimeError(f"a stopped process ended with {code}")
        process.start()
        await trial.scene.engine.until_open()


@fault("reload")
async def reload(trial: Trial, chance: Random) -> None:
    """A channel is changed, its destinations too, and put to work while messages come (SIGHUP)."""
    with trial.window("reload", cuts=False):
        trial.scene.change(chance)
        for process in trial.scene.engine.processes:
            process.reload()
        await asyncio.sleep(chance.uniform(0.5, 2))


# The receivers


def _misbehaves(name: str, *words: str) -> None:
    """A receiver that is told one of the words of deploy/sandbox/behaviour.py for a while."""

    @fault(name)
    async def act(trial: Trial, chance: Random) -> None:
        word = chance.choice(words)
        sinks = [sink for sink in trial.scene.sinks.values() if chance.random() < 0.6] or list(
            trial.scene.sinks.values()
        )
        with trial.window(word, cuts=False):
            for sink in sinks:
                sink.behaviour.be(word)
            await asyncio.sleep(chance.uniform(1, 10 if trial.long else 2))
            for sink in sinks:
                sink.behaviour.well()


_misbehaves("receiver-hangs", "mute@5%", "mute@50%", "mute")
_misbehaves("receiver-late", "slow:3@20%", "slow:3", "slow:1")
_misbehaves("receiver-refuses", "refuse:AE@10%", "refuse:AE@50%", "refuse:AE")
_misbehaves("receiver-cuts", "cut@20%", "cut", "garbage@20%", "lie@20%")


@fault("receiver-absent")
async def absent(trial: Trial, chance: Random) -> None:
    """Connections are cut and refused for a while."""
    sink = chance.choice(list(trial.scene.sinks.values()))
    with trial.window("absent", cuts=True):  # it hangs up between its yes and the engine's look
        await sink.leave()
        await asyncio.sleep(chance.uniform(0.5, 10 if trial.long else 2))
        await sink.open()


# What the engine stands on


@fault("clock", needs="clock")
async def clock(trial: Trial, chance: Random) -> None:
    """The wall clock jumps, forwards or back, while receivers refuse a part and the engine waits to try again."""
    process = chance.choice(trial.scene.engine.processes)
    with trial.window("clock", cuts=False):
        for sink in trial.scene.sinks.values():
            sink.behaviour.be("refuse:AE@20%")
        for _ in range(3):
            process.set_clock(chance.choice((-7200, -3600, -60, -1, 0, 1, 60, 3600)))
            await asyncio.sleep(chance.uniform(0.2, 1))
        for sink in trial.scene.sinks.values():
            sink.behaviour.well()


@fault("disk-full", "embedded", needs="tmpfs")
async def disk_full(trial: Trial, chance: Random) -> None:
    """Nothing can be written for a while."""
    with trial.window("disk full", cuts=False), trial.scene.disk.full():
        await asyncio.sleep(chance.uniform(1, 10 if trial.long else 3))


@fault("database-locked", "embedded")
async def database_locked(trial: Trial, chance: Random) -> None:
    """Somebody holds the journal's SQLite file."""
    with trial.window("database", cuts=False), trial.scene.journal_locked():
        await asyncio.sleep(chance.choice((3, 10, 60)) if trial.long else chance.uniform(1, 4))


@fault("database-down", "rabbitmq")
async def database_down(trial: Trial, chance: Random) -> None:
    """PostgreSQL is killed, refuses, or says nothing."""
    seconds = chance.choice((3, 10, 60)) if trial.long else chance.uniform(1, 4)
    how = chance.choice(("killed", "refuses", "silent"))
    scene = trial.scene
    with trial.window(f"database {how}", cuts=False):
        if how == "killed":
            await asyncio.to_thread(scene.postgres.kill)
            await asyncio.sleep(seconds)
            scene.postgres.start()
            await scene.postgres.until_up()
        else:
            with scene.sql.refusing() if how == "refuses" else scene.sql.silent():
                await asyncio.sleep(seconds)


# RabbitMQ. Whatever happens to it, deliveries in flight may come again.


@fault("broker-restart", "rabbitmq")
async def broker_restart(trial: Trial, chance: Random) -> None:
    """The node ends, well or by kill -9, and comes back with what it has on its disk."""
    rabbit = trial.scene.rabbit
    with trial.window("broker restart", cuts=True):
        await asyncio.to_thread(chance.choice((rabbit.kill, rabbit.stop)))
        await asyncio.sleep(chance.uniform(0, 2))
        await asyncio.to_thread(rabbit.start)
        await _open_again(trial)


@fault("node-killed", "cluster")
async def node_killed(trial: Trial, chance: Random) -> None:
    """kill -9 of one node of three, and its start."""
    number = str(chance.randrange(1, 4))
    with trial.window(f"node {number} killed", cuts=True):
        await asyncio.to_thread(trial.scene.cluster.do, "kill", number)
        await _open_again(trial)
        await asyncio.sleep(chance.uniform(0, 3))
        await asyncio.to_thread(trial.scene.cluster.do, "node", number)
        await _open_again(trial)


@fault("broker-hangs", "rabbitmq")
async def broker_hangs(trial: Trial, chance: Random) -> None:
    """SIGSTOP of the node: confirms are late, heartbeats are missed."""
    with trial.window("broker hangs", cuts=True):
        trial.scene.rabbit.pause()
        await asyncio.sleep(chance.choice((5, 15, 40)) if trial.long else chance.uniform(1, 3))
        trial.scene.rabbit.resume()
        await _open_again(trial)


@fault("broker-disk-full", "rabbitmq")
async def broker_disk_full(trial: Trial, chance: Random) -> None:
    """RabbitMQ's disk alarm: it reads no publish, and deliveries go on."""
    with trial.window("broker's disk full", cuts=True):  # a publish that waits too long ends the session
        await asyncio.to_thread(trial.scene.rabbit.control, "set_disk_free_limit", "100000GB")
        await asyncio.sleep(chance.uniform(5, 20) if trial.long else 2)
        await asyncio.to_thread(trial.scene.rabbit.control, "set_disk_free_limit", "50MB")
        await _open_again(trial)


def _cuts(name: str, *ways: tuple[str, str]) -> None:
    """The connection to RabbitMQ is cut at a frame: the event, and before, within or after it."""

    @fault(name, "rabbitmq")
    async def act(trial: Trial, chance: Random) -> None:
        event, where = chance.choice(ways)
        with trial.window(f"cut {where} a {event}", cuts=True):
            await trial.scene.amqp.cut_at(Cut(event, where, chance.randrange(1, 30)), 10)
            await _open_again(trial)


_cuts("cut-before-confirm", ("confirm", "before"))
_cuts("cut-after-confirm", ("confirm", "after"))
_cuts("cut-elsewhere", ("publish", "within"), ("ack", "before"), ("ack", "after"), ("delivery", "within"))


@fault("network", "rabbitmq")
async def network(trial: Trial, chance: Random) -> None:
    """Between engine and RabbitMQ: nothing goes through, or nobody is there."""
    amqp = trial.scene.amqp
    with trial.window("network", cuts=True):
        with chance.choice((amqp.silent, amqp.refusing))():
            await asyncio.sleep(chance.choice((5, 15, 60)) if trial.long else chance.uniform(1, 3))
        await _open_again(trial)


async def _open_again(trial: Trial) -> None:
    """Until somebody hears yes again: only then all is well."""
    accepted = trial.accepted()
    async with asyncio.timeout(60):
        while trial.accepted() == accepted:  # noqa: ASYNC110 - senders tell nobody
            await asyncio.sleep(0.05)
