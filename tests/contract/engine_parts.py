"""A site in a temporary folder, an engine that runs it, and MLLP peers of the tests' own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from channels.loader import load_site
from config.settings import load_settings
from router.api import mount
from router.clock import now_ms as wall_ms
from router.engine import Engine
from router.search import Query
from router.store import StoreError

START, END = b"\x0b", b"\x1c\r"


def adt(control_id: str, event: str = "A01", patient: str = "P0001") -> bytes:
    """An invented admission."""
    return (
        f"MSH|^~\\&|HIS|WARD|LIS|LAB|20260105080000||ADT^{event}|{control_id}|P|2.5\r"
        f"EVN|{event}|20260105080000\r"
        f"PID|1||{patient}^^^HIS||测试^甲||19800101|F\r"
        f"PV1|1|I|W3^12^1||||||||||||||||V{patient}\r"
    ).encode()


def field(message: bytes, segment: str, number: int) -> str:
    """A field of a message, read without the engine's parser."""
    for line in message.decode("utf-8", "replace").replace("\n", "\r").split("\r"):
        parts = line.split("|")
        if parts[0] == segment:
            at = number - 1 if segment == "MSH" else number
            return parts[at] if at < len(parts) else ""
    return ""


class Sink:
    """A receiver over MLLP. `answer` decides about each message: AA, AE, AR, or None for silence."""

    def __init__(
        self, answer: Callable[[bytes], str | None] = lambda message: "AA", slow_s: float = 0
    ) -> None:
        self.answer = answer
        self.slow_s = slow_s
        self.got: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> Sink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=10_000_000)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            await self._server.wait_closed()
            self._server = None

    def ids(self) -> list[str]:
        return [field(message, "MSH", 10) for message in self.got]

    async def wait_for(self, count: int, within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while len(self.got) < count:
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = (await reader.readuntil(END))[1:-2]
                self.got.append(message)
                self._changed.set()
                if self.slow_s:
                    await asyncio.sleep(self.slow_s)
                code = self.answer(message)
                if code is not None:
                    control_id = field(message, "MSH", 10)
                    ack = f"MSH|^~\\&|LIS|LAB|HIS|WARD|20260105||ACK|{control_id}|P|2.5\rMSA|{code}|{control_id}\r"
                    writer.write(START + ack.encode() + END)
        self._writers.discard(writer)
        writer.close()


async def send(port: int, *messages: bytes) -> list[bytes]:
    """Sends messages one after the other on one connection; the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    try:
        for message in messages:
            writer.write(START + message + END)
            answers.append((await asyncio.wait_for(reader.readuntil(END), 20))[1:-2])
    finally:
        writer.close()
    return answers


def code_of(answer: bytes) -> str:
    return field(answer, "MSA", 1)


def write_site(
    folder: Path, channels: dict[str, str], systems: str = "systems: {}\n", settings: str = ""
) -> Path:
    """A site's folder with these channel files."""
    (folder / "channels").mkdir(parents=True, exist_ok=True)
    (folder / "jingluo.yaml").write_text("http: {host: 127.0.0.1, port: 0}\n" + settings)
    (folder / "systems.yaml").write_text(systems)
    for name, text in channels.items():
        (folder / "channels" / f"{name}.yaml").write_text(text)
    return folder


@contextlib.asynccontextmanager
async def running(site: Path, now_ms: Callable[[], int] = wall_ms, **settings: str) -> AsyncIterator[Engine]:
    """An engine that runs the site, until the block ends."""
    env = {f"JINGLUO_{name.upper()}": value for name, value in settings.items()}
    chosen = load_settings(site, env)
    loaded = load_site(chosen)
    assert not [f for f in loaded.findings if f.severity == "error"], "\n".join(map(str, loaded.findings))
    engine = Engine(chosen, loaded, now_ms)
    mount(engine)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop()


def channel(sink: Sink, more: str = "", branch: str = "", name: str = "adt") -> dict[str, str]:
    text = (
        f"channel: {name}\nfrom: {{mllp: {{port: 0}}}}\nformat: hl7v2\n"
        f"index: {{patient: $PID-3.1, visit: $PV1-19.1}}\n{more}"
        f"to:\n  lis:\n    send: {{mllp: {{host: 127.0.0.1, port: {sink.port}, timeout: 2s}}}}\n{branch}"
    )
    return {name: text}


def port(engine: Engine, name: str = "adt") -> int:
    found = engine.doors.port(name)
    assert found
    return found


async def settled(engine: Engine, state: str = "", count: int = 1) -> None:
    """Waits until the journal knows the end of every delivery (or has `count` messages in `state`).

    First until it has what was accepted: else it would settle on the first messages of several.
    """
    async with asyncio.timeout(60):
        if not state:
            await engine.journal.has_all()
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                counts = engine.store.counts()
                if state and len(engine.store.search(Query(state=state), count).found) == count:
                    return
                if not state and counts and not sum(c.waiting for c in counts):
                    return
            await asyncio.sleep(0.05)  # the journal tells nobody when it has written
