"""`jingluo demo`: a day in the example hospital, played through the engine in this process.

Everything runs on free ports of loopback and in a temporary folder: it is in nobody's way and leaves nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from channels.loader import load_site
from config import logs
from config.settings import load_settings
from deploy.sandbox.balance import Balance, balance
from deploy.sandbox.behaviour import orders
from deploy.sandbox.hospital import PARTIES, Doors, Hospital
from deploy.sandbox.traffic import Day, plan
from router.api import mount
from router.engine import Engine

_STALLED_S = 20.0  # nothing has moved for so long: the day is over
_LONGEST_S = 600.0


async def run_demo(count: int = 500, seed: int = 1, keep: bool = False, misbehave: Sequence[str] = ()) -> int:
    """Plays `count` messages (at least 5) and prints the verdict. Exit code 0: nothing was lost."""
    try:
        told = orders(tuple(misbehave), PARTIES)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.setup("critical" if told else "warning")
    day = plan(max(count, 5), seed)
    with TemporaryDirectory(prefix="jingluo-demo-") as name:
        hospital = Hospital(Path(name), seed)
        hospital.misbehave(told)
        await hospital.open()
        try:
            return await _day(hospital, day, Path(name), keep)
        finally:
            await hospital.close()


async def _day(hospital: Hospital, day: Day, folder: Path, keep: bool) -> int:
    engine = _engine(hospital.environment(), folder)
    if engine is None:
        return 2
    await engine.start()
    try:
        with _Bar(day.messages) as bar:
            await hospital.play(day, _doors(engine), bar.step)
            await _settle(engine, hospital, bar.say)
        result = await asyncio.to_thread(balance, engine.store, hospital, day)
        _show(result, hospital)
        if keep:
            _invite(engine, hospital)
            await _told_to_stop()
        else:
            _hint()
    finally:
        await engine.stop()
    return 0 if result.lost == 0 and result.accepted else 1


def _engine(environment: dict[str, str], folder: Path) -> Engine | None:
    """The example site, with its own broker, journal and ports. None, and why, where its files are wrong."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JINGLUO_")}
    own = {"JINGLUO_VAR": str(folder / "var"), "JINGLUO_HTTP_PORT": "0", "JINGLUO_BROKER": "embedded"}
    env = {**inherited, **environment, **own}
    settings = load_settings(env=env)
    site = load_site(settings, env)
    if site.refused:
        print(*site.findings, sep="\n", file=sys.stderr)
        return None
    engine = Engine(settings, site)
    mount(engine)
    return engine


def _doors(engine: Engine) -> Doors:
    adt, orders, results = (engine.doors.port(name) for name in ("his-adt", "his-orders", "lab-results"))
    if engine.doors.closed or not (adt and orders and results):
        raise OSError(f"these doors did not open: {engine.doors.closed}")
    return Doors(adt, orders, results, engine.web.port)


async def _settle(engine: Engine, hospital: Hospital, say: Callable[[str], None]) -> None:
    """Until nothing waits anywhere, or nothing has moved for a good while."""
    loop = asyncio.get_running_loop()
    started = moved = loop.time()
    last: object = None
    while True:
        await engine.gauges.sample()
        seen = engine.gauges.snapshot(engine.journal, engine.web)
        waiting = sum(way.depth for way in seen.waiting)
        state = (
            waiting,
            seen.journal_behind + engine.journal.behind,
            hospital.lis.owed,
            len(hospital.folders.look()),
        )
        if not any(state):
            return
        now = loop.time()
        if state != last:
            last, moved = state, now
        if now - moved > _STALLED_S or now - started > _LONGEST_S:
            return
        say(f"等待送达 waiting: {waiting}")
        await asyncio.sleep(0.1)


class _Bar(AbstractContextManager["_Bar"]):
    """A progress bar on a terminal; a line at each quarter elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, disable=not sys.stdout.isatty())
        self._task = self._bar.add_task("发送 sending", total=total)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self) -> None:
        self._done += 1
        self._bar.advance(self._task)
        if self._bar.disable and self._done % max(self._total // 4, 1) == 0:
            print(f"发送 sent {self._done}/{self._total}", flush=True)

    def say(self, text: str) -> None:
        self._bar.update(self._task, description=text)


def _show(result: Balance, hospital: Hospital) -> None:
    table = Table(title="示例医院的一天 A day in the example hospital")
    for heading in ("通道\nChannel", "去向\nTo"):
        table.add_column(heading, no_wrap=True)
    numbers = (
        "接收\nAccepted",
        "送达\nDelivered",
        "过滤\nFiltered",
        "死信\nDead",
        "等待\nWaiting",
        "丢失\nLost",
    )
    for heading in numbers:
        table.add_column(heading, justify="right")
    before = ""
    for line in result.lines:
        if before and line.channel != before:
            table.add_section()
        figures = (line.accepted, line.delivered, line.filtered, line.dead, line.waiting, line.lost)
        table.add_row(line.channel if line.channel != before else "", line.destination, *map(str, figures))
        before = line.channel
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    console.print(table)
    doubled, asked = sum(line.doubled for line in result.lines), len(hospital.asked.answers)
    kept = ", ".join(f"{kind} {count}" for kind, count in sorted(hospital.emr.counts().items()))
    console.print(
        "各方账本 The parties' books: "
        f"重复收到 received twice {doubled}; 查到患者 patients found {hospital.found} of {asked}"
    )
    console.print(f"病历 The record keeps: {kept}")
    print(result.verdict, flush=True)


def _hint() -> None:
    print(
        "接下来 Next: make demo ARGS=--keep (留下来看 stay up and look around); "
        'make demo ARGS="--misbehave lis=slow:1 --misbehave emr=refuse@10%"; channels/README.md'
    )


def _invite(engine: Engine, hospital: Hospital) -> None:
    """What to try while it stays up."""
    web, doors = f"http://127.0.0.1:{engine.web.port}", _doors(engine)
    patient = next(iter(hospital.lis.texts.values())).split("PID|1||", 1)[1].split("^", 1)[0]
    print(
        f"""
系统继续运行，按 Ctrl-C 结束。It stays up until Ctrl-C. In another terminal:

  curl {web}/v1/patients/{patient}   查询患者: a patient, answered from the record
  curl {web}/health/ready            健康: health
  curl {web}/metrics                 指标: figures
  curl http://127.0.0.1:{hospital.emr.port}/fhir                    病历: what the record keeps

  export JINGLUO_VAR={engine.settings.var} JINGLUO_HTTP_PORT={engine.web.port}
  .venv/bin/jingluo messages search --index patient={patient}   找消息: find messages
  .venv/bin/jingluo messages dead                                死信: dead letters

MLLP: his-adt {doors.adt}, his-orders {doors.orders}, lab-results {doors.results}
价格表 Drop price lists into {hospital.folders.drop_dir}""",
        flush=True,
    )


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await stop.wait()
