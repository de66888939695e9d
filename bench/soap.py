"""SOAP calls through the running engine to a party and back: how many on one core, how quick by the clock.

As `rest`: the engine has one core, the load generator and the party the other. Each call is a front end's, 1 KB of XML
in CDATA and in GBK; it is made durable by the embedded broker, handed to the party over HTTP, and answered with what
that says.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench import rest, usage
from bench.rest import Asking, Sink, engine, flood, free, steady
from bench.site import free_port
from bench.table import Table

PER_S = 250.0  # asked, delivered and answered, on one core
P99_MS = 50.0  # at `rest.STEADY_PER_S`
SECONDS = 6.0
_WARM_S, _REST_S = 2.0, 3.0
_CHANNEL = """\
channel: front
from: {{soap: {{path: /soap/his, convention: call, action: "2131", callers: anybody}}}}
format: xml
index: {{patient: $/Request/PatientID}}
to:
  party: {{send: {{http: {{url: "http://127.0.0.1:{sink}/his"}}}}, parallel: 32}}
reply: party
"""
_SAID = "<Response><ResultCode>0000</ResultCode><ResultContent>成功</ResultContent></Response>"
_XML = f"<Request><PatientID>P1</PatientID><Content>{'张三李四' * 110}</Content></Request>"
_BODY = (
    '<?xml version="1.0" encoding="GBK"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    f'<Call xmlns="http://tempuri.org/"><tradeCode>2131</tradeCode><xml><![CDATA[{_XML}]]></xml></Call>'
    "</e:Body></e:Envelope>"
).encode("gbk")
_CALL = (
    b'POST /soap/his HTTP/1.1\r\nhost: a\r\ncontent-type: text/xml; charset=GBK\r\nsoapaction: ""\r\n'
    b"content-length: %d\r\n\r\n" % len(_BODY)
) + _BODY
CALLS = Asking(lambda: _CALL, lambda answer: b"ResultCode&gt;0000" in answer)


class _Party(Sink):
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"
        % len(_SAID.encode())
        + _SAID.encode()
    )


def run(seconds: float = SECONDS) -> list[Table]:
    """RuntimeError where the engine does not come up."""
    with rest.beside():
        return [asyncio.run(_measure(seconds))]


async def _measure(seconds: float) -> Table:
    table = Table(
        "SOAP, each call 1 KB in CDATA and GBK, to a party and back", ["what", "measured", "target"]
    )
    server = await asyncio.get_running_loop().create_server(_Party, "127.0.0.1", 0)
    sink, http = server.sockets[0].getsockname()[1], free_port()
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        files = {"channels/front.yaml": _CHANNEL.format(sink=sink)}
        running = engine(Path(folder), http, files, CALLS)
        pids = await asyncio.to_thread(running.__enter__)
        try:
            await flood(http, _WARM_S, CALLS)
            await _through(table, pids, http, seconds)
            free(pids)
            await asyncio.sleep(_REST_S)
            load = await steady(http, seconds, CALLS)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    server.close()
    p99, rate = load.at(0.99), f"{rest.STEADY_PER_S:g}/s by the clock"
    table.add(f"p50 ms at {rate}", load.at(0.5), "")
    table.add(f"p99 ms at {rate}", p99, table.target("SOAP p99 ms", p99, P99_MS, most=True))
    return table


async def _through(table: Table, pids: list[int], http: int, seconds: float) -> None:
    used = usage.cpu_s(pids)
    load = await flood(http, seconds, CALLS)
    good = len(load.took) - load.refused
    cpu_ms = (usage.cpu_s(pids) - used) / max(good, 1) * 1000
    rate = good / seconds
    table.add(
        f"answered/s on one core, {rest.CONNECTIONS} connections", rate, table.target("SOAP/s", rate, PER_S)
    )
    table.add("CPU ms a call, the journal's rows included", cpu_ms, "")
    table.add("p50, p99 ms", f"{load.at(0.5):.1f}, {load.at(0.99):.1f}", "")
    table.add("answered otherwise", load.refused, "")
    if load.refused:
        table.missed.append(f"SOAP: {load.refused} calls had another answer, wanted 0")
