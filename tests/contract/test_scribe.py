"""The process that writes the journal's rows: it dies alone, and with its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import journal_parts
import pytest
from engine_parts import Sink, adt, code_of, running, send, write_site

from router.keeping import rules_of
from router.search import Query
from router.store import StoreError

CHANNEL = """\
channel: adt
from: {{mllp: {{port: 0}}}}
format: hl7v2
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port}}}}}
"""
WAIT_S = 30


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while alive(pid):  # noqa: ASYNC110  # another process's end has no event here
            await asyncio.sleep(0.02)


async def _pid(said: asyncio.StreamReader) -> int:
    await said.readuntil(b"PID ")
    return int(await said.readline())


async def until_rows(engine: object, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                if len(engine.store.search(Query(state="sent"), 100).found) == count:  # type: ignore[attr-defined]
                    return
            except Exception as error:
                if "JL-J003" not in str(error):  # no journal yet
                    raise
            await asyncio.sleep(0.05)


async def test_a_writing_process_that_dies_is_started_again_and_no_row_is_lost(tmp_path: Path) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port)})
    async with running(site) as engine:
        port = engine.doors.port("adt")
        assert port is not None
        assert [code_of(a) for a in await send(port, *(adt(f"A{n}") for n in range(20)))] == ["AA"] * 20
        await until_rows(engine, 20)
        first = engine.scribe.pid
        os.kill(first, signal.SIGKILL)
        assert [code_of(a) for a in await send(port, *(adt(f"B{n}") for n in range(20)))] == ["AA"] * 20
        await until_rows(engine, 40)
        assert engine.scribe.pid != first
        last = engine.scribe.pid
    await until_gone(last)
    await sink.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_writing_process_ends_with_its_owner(tmp_path: Path, how: signal.Signals) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port)})
    script = (
        "import asyncio, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from engine_parts import running, send, adt\n"
        "async def main():\n"
        "    async with running(Path(sys.argv[1])) as engine:\n"
        "        await send(engine.doors.port('adt'), adt('A1'))\n"
        "        while not engine.scribe.pid: await asyncio.sleep(0.02)\n"
        "        print('PID', engine.scribe.pid, file=sys.stderr, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "if __name__ == '__main__': asyncio.run(main())\n"
    )
    program = tmp_path / "owner.py"
    program.write_text(script)
    command = [sys.executable, str(program), str(site), str(Path(__file__).parent)]
    owner = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    assert owner.stderr is not None
    pid = await asyncio.wait_for(_pid(owner.stderr), WAIT_S)
    assert alive(pid)
    owner.send_signal(how)
    await owner.wait()
    await until_gone(pid)
    await sink.stop()


async def test_the_writing_process_drops_what_is_over(tmp_path: Path) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port) + "keep: {rows: 30d}\n"})
    async with running(site) as engine:
        old = journal_parts.message(channel="adt")
        await asyncio.to_thread(engine.store.write, [old], [journal_parts.tried(old)])
        assert [one.id for one in engine.store.search(Query(), 10).found] == [old.id]
        assert await engine.scribe.keep(rules_of(engine.settings, engine.site.channels)) == 1
        assert engine.store.search(Query(), 10).found == ()
        port = engine.doors.port("adt")
        assert port is not None
        assert [code_of(a) for a in await send(port, adt("A1"))] == ["AA"]
        await until_rows(engine, 1)
    await sink.stop()


async def test_an_engine_with_another_sites_key_does_not_start(tmp_path: Path) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port)})
    async with running(site) as engine:
        port = engine.doors.port("adt")
        assert port is not None
        await send(port, adt("A1"))
        await until_rows(engine, 1)
        key = engine.settings.var / "site.key"
    key.rename(tmp_path / "kept.key")
    with pytest.raises(StoreError, match="JL-J012"):
        async with running(site):
            pass
    (tmp_path / "kept.key").replace(key)
    async with running(site) as engine:
        await until_rows(engine, 1)
    await sink.stop()
