"""Calls of a web service: the SOAP destination beside zeep's own client in threads, to the same party.

A document of 3 KB goes out in an argument, an answer of 100 bytes comes back. The party is a process of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.table import Table
from config import registry
from endpoints.base import Ground
from schemas.message import Message

PER_S = 1000.0  # of the destination, on what the machine has
CALLS = 3000
AT_ONCE = 8
_DOCUMENT = "<Request>" + "<Item>张三</Item>" * 160 + "</Request>"
_SAID = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><CallResponse xmlns="http://tempuri.org/">'
    "<CallResult>&lt;Response&gt;&lt;ResultCode&gt;0000&lt;/ResultCode&gt;&lt;/Response&gt;</CallResult>"
    "</CallResponse></e:Body></e:Envelope>"
)
_PARTY = f"""
import asyncio, re
SAID = {_SAID.encode()!r}
HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/xml\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(SAID)
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            await reader.readexactly(int(re.search(rb"content-length: *(\\d+)", head.lower())[1]))
            writer.write(HEAD + SAID)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(120)
asyncio.run(main())
"""


def run() -> list[Table]:
    title = f"Calls of a web service: {AT_ONCE} at once, 3 KB out, 100 bytes back"
    table = Table(title, ("client", "calls/s", "CPU us a call", "target calls/s"))
    with _party() as port:
        per_s, cpu_us = asyncio.run(_destination(port))
        table.add("SOAP destination", per_s, cpu_us, table.target("calls: calls/s", per_s, PER_S))
        table.add("zeep and requests, in threads", *asyncio.run(_zeep(port)), "")
    return [table]


async def _destination(port: int) -> tuple[float, float]:
    kind = registry.destinations.get("soap")
    options = kind.Options(
        convention="call", url=f"http://127.0.0.1:{port}/", arguments={"tradeCode": "2131", "xml": "$body"}
    )
    destination = kind(options, Ground("bench", "xml"))
    await destination.start()
    message = Message(_DOCUMENT.encode(), id="1")
    measured = await _measured(lambda: destination.send(message))
    await destination.stop()
    return measured


async def _zeep(port: int) -> tuple[float, float]:
    import requests
    from requests.adapters import HTTPAdapter
    from zeep.transports import Transport
    from zeep.wsdl import Document

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
    transport = Transport(session=session)
    own = (
        registry.destinations.get("soap")
        .Options(convention="call", url="http://127.0.0.1:1/")
        .contract(Path())
    )
    folder = Path("var") / "bench-calls"
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in own.files.items():
        (folder / name).write_bytes(body)
    binding = next(iter(Document(str(folder / own.main), transport).bindings.values()))
    operation = binding.get("Call")

    def call() -> object:
        made = operation.create(tradeCode="2131", xml=_DOCUMENT)
        answer = transport.post_xml(f"http://127.0.0.1:{port}/", made.content, dict(made.headers))
        return binding.process_reply(_Client(), operation, answer)

    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(AT_ONCE)
    return await _measured(lambda: loop.run_in_executor(threads, call))


class _Client:
    """What zeep's binding asks of its client."""

    wsse = None
    plugins: tuple[object, ...] = ()

    def __init__(self) -> None:
        from zeep.settings import Settings

        self.settings = Settings()


async def _measured(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Calls a second, and CPU of this process a call in microseconds."""
    await call()

    async def several() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call()

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(several() for _ in range(AT_ONCE)))
    took, used = time.perf_counter() - began, time.process_time() - used
    return CALLS / took, used / CALLS * 1e6


@contextmanager
def _party() -> Iterator[int]:
    party = subprocess.Popen([sys.executable, "-c", _PARTY], stdout=subprocess.PIPE, text=True)
    assert party.stdout is not None
    try:
        yield int(party.stdout.readline())
    finally:
        party.terminate()
        party.wait()
        party.stdout.close()
