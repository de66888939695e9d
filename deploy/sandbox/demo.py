"""`jingluo demo`: a day in the example hospital, played through the engine in this process.

Everything runs on free ports of loopback and in a temporary folder: it is in nobody's way and leaves nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from channels.loader import load_site
from config import logs
from config.settings import load_settings
from deploy.sandbox.balance import balance
from deploy.sandbox.behaviour import orders
from deploy.sandbox.hospital import PARTIES, Doors, Hospital
from deploy.sandbox.screen import Bar, hint, invite, leave_out, show
from deploy.sandbox.traffic import FEWEST, Day, plan
from router.api import mount
from router.engine import Engine

_STALLED_S = 20.0  # nothing has moved for so long: the day is over
_LONGEST_S = 600.0
EXCEL = ("nucleic-excel",)  # those that may lack the extra `xlsx`
IMAGING = ("imaging-orders", "images")  # the channels that need the extra `dicom`


async def run_demo(count: int = 500, seed: int = 1, keep: bool = False, misbehave: Sequence[str] = ()) -> int:
    """Plays `count` messages (at least 11) and prints the verdict. Exit code 0: nothing was lost."""
    try:
        told = orders(tuple(misbehave), PARTIES)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.setup("critical" if told else "warning")
    with TemporaryDirectory(prefix="jingluo-demo-") as name:
        hospital = Hospital(Path(name), seed)
        day = plan(max(count, FEWEST), seed, imaging=hospital.imaging is not None)
        hospital.misbehave(told)
        await hospital.open()
        try:
            return await _day(hospital, day, Path(name), keep)
        finally:
            await hospital.close()


async def _day(hospital: Hospital, day: Day, folder: Path, keep: bool) -> int:
    left_out = () if hospital.imaging else IMAGING
    if left_out:
        leave_out(left_out)
    engine = _engine(hospital.environment(), folder, left_out)
    if engine is None:
        return 2
    await engine.start()
    try:
        doors = _doors(engine, left_out)
        with Bar(day.messages) as bar:
            await hospital.play(day, doors, bar.step)
            await _settle(engine, hospital, bar.say)
        result = await asyncio.to_thread(balance, engine.store, hospital, day)
        show(result, hospital)
        if keep:
            invite(engine, hospital, doors)
            await _told_to_stop()
        else:
            hint()
    finally:
        await engine.stop()
    return 0 if result.lost == 0 and result.accepted else 1


def _engine(environment: dict[str, str], folder: Path, left_out: Sequence[str]) -> Engine | None:
    """The example site, with its own broker, journal and ports. None, and why, where its files are wrong, but for the
    channels that are left out.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JINGLUO_")}
    own = {"JINGLUO_VAR": str(folder / "var"), "JINGLUO_HTTP_PORT": "0", "JINGLUO_BROKER": "embedded"}
    env = {**inherited, **environment, **own}
    settings = load_settings(env=env)
    site = load_site(settings, env)
    if {Path(name).stem for name in site.refused}.difference(
        left_out, () if find_spec("python_calamine") else EXCEL
    ):
        print(*site.findings, sep="\n", file=sys.stderr)
        return None
    engine = Engine(settings, site)
    mount(engine)
    return engine


def _doors(engine: Engine, left_out: Sequence[str]) -> Doors:
    names = ("his-adt", "his-orders", "lab-results", *IMAGING)
    ports = {name: engine.doors.port(name) or 0 for name in names if name not in left_out}
    if engine.doors.closed or not all(ports.values()):
        raise OSError(f"these doors did not open: {engine.doors.closed}")
    adt, orders, results, exams, images = (ports.get(name, 0) for name in names)
    return Doors(adt, orders, results, engine.web.port, exams, images)


async def _settle(engine: Engine, hospital: Hospital, say: Callable[[str], None]) -> None:
    """Until nothing waits anywhere, or nothing has moved for a good while."""
    loop = asyncio.get_running_loop()
    started = moved = loop.time()
    last: object = None
    fewest = sys.maxsize
    while True:
        await engine.gauges.sample()
        seen = engine.gauges.snapshot(engine.journal, engine.web, engine.board)
        waiting = sum(way.depth for way in seen.waiting)
        fewest = min(fewest, waiting)  # a failing try goes from queue to queue, which moves nothing
        left = (waiting, hospital.lis.owed, len(hospital.folders.look()))
        if not any(left) and not seen.journal_behind + engine.journal.behind:
            return
        now, state = loop.time(), (fewest, hospital.arrived, *left[1:])
        if state != last or not any(left):
            last, moved = state, now
        if now - moved > _STALLED_S or now - started > _LONGEST_S:
            return
        say(f"等待送达 waiting: {waiting}")
        await asyncio.sleep(0.1)


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await stop.wait()
