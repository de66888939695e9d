"""`jingluo run`: the engine from its start to its stop, and the signals in between."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import structlog
import typer

from channels.loader import Site
from config.errors import JingluoError
from config.settings import Settings
from router.api import mount
from router.brokers.base import BrokerDown
from router.engine import Engine
from router.reload import Reload, Reread
from router.watch import Watcher

log = structlog.get_logger()

_LOST = (
    "JL-B001",
    "JL-B006",
    "JL-B007",
)  # the broker went away in mid start; other trouble does not go by itself
_AGAIN_S = 1.0


async def serve(settings: Settings, site: Site, reread: Reread, watch: str) -> int:
    """Until SIGTERM or SIGINT; SIGHUP reloads. `watch`: `polling`, `on`, or empty. 1: it could not start."""
    engine = _made(settings, site, reread)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_bug)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    reloads: set[asyncio.Task[bool]] = set()

    def reload() -> asyncio.Task[bool]:
        """A task of its own: nothing but the engine's own stop may cut it short."""
        task = loop.create_task(tried(engine.reload))
        reloads.add(task)
        task.add_done_callback(reloads.discard)
        return task

    loop.add_signal_handler(signal.SIGHUP, reload)
    polling = watch == "polling"
    watcher = Watcher(settings, lambda: asyncio.shield(reload()), polling=polling) if watch else None

    async def begin() -> None:
        nonlocal engine
        while not await _started(engine):
            await engine.stop()
            await asyncio.sleep(_AGAIN_S)
            engine = _made(settings, site, reread)

    starting = asyncio.create_task(begin())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failed = starting.exception() if starting.done() else None
    if failed is not None:
        stopping.cancel()
        typer.echo(f"cannot start: {failed}", err=True)
    else:
        watching = asyncio.create_task(watcher.run()) if watcher is not None else None
        await stopping
        for task in (starting, watching):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    await engine.stop()
    return 1 if failed is not None else 0


def _bug(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody caught. asyncio's own words show arguments and what the exception says: a message, perhaps."""
    what = context["message"].split("(")[0].split("<")[0].strip()
    log.error("loop.bug", what=what, exc_info=context.get("exception"))


def _made(settings: Settings, site: Site, reread: Reread) -> Engine:
    engine = Engine(settings, site, reread=reread)
    mount(engine)
    return engine


async def _started(engine: Engine) -> bool:
    """False where the broker was lost in mid start: there is one way to come up, so it is gone through anew."""
    try:
        await engine.start()
    except BrokerDown as lost:
        if lost.code not in _LOST:
            raise
        log.warning("engine.starts_again", code=lost.code, error=lost.text)
        return False
    return True


async def tried(reload: Reload) -> bool:
    """An apply that nobody waits for: what became of it is in the log, and in `/health/ready`.

    False where the files could not be judged now: no broker, or somebody is writing.
    """
    try:
        plan = await reload.apply()
    except JingluoError as error:
        log.error("reload.failed", code=error.code, error=error.text)
        return False
    except Exception:  # a bug of ours, or a disk that fails: the next change is another chance
        log.exception("reload.bug")
        return True
    if plan.nothing and not plan.refused:
        log.info("reload.nothing", digest=plan.live)
    return not plan.half_read
