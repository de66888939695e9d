"""Large bodies on their way through an engine: what is read of them, what becomes of them, and of their files."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site

from config import registry
from router import attempt, handling
from router.duplicates import Duplicates, First
from router.large import APART
from router.replay import Replayer, ReplayRequest
from router.search import Query
from schemas.json import Json
from schemas.message import Reply

SETTINGS = "limits: {whole: 2MB}\nblobs: {free: 1MB}\n"
MB = 1_000_000


def large(control_id: str, size: int = 3 * MB, event: str = "A01") -> bytes:
    """Its last segment is beyond what is read."""
    return adt(control_id, event) + b"OBX|1|ED|||" + b"x" * size + b"\rZZZ|late\r"


def files(site: Path) -> list[str]:
    return [path.name for path in (site / "var" / "blobs").glob("*/*")]


async def test_hl7_is_read_by_its_first_segments(tmp_path: Path) -> None:
    sink = await Sink().start()
    when = "when: {$MSH-9.2: A01}\norder: {by: $PID-3.1, lanes: 2}\nduplicates: {by: $MSH-10, within: 1h}\n"
    late = "    when: {$ZZZ-1: late}\n"
    way = f"    send: {{mllp: {{host: 127.0.0.1, port: {sink.port}}}}}\n"
    site = write_site(tmp_path, channel(sink, when, branch=f"  late:\n{late}{way}"), settings=SETTINGS)
    async with running(site) as engine:
        yes = large("A1")
        answers = await send(port(engine), yes, large("A2", event="A08"), yes, large("A3", MB))
        assert [code_of(answer) for answer in answers] == ["AA"] * 4
        await sink.wait_for(3)
        await settled(engine)
        assert sorted(sink.got, key=len) == [large("A3", MB), large("A3", MB), yes]
        found = engine.store.search(Query(text="P0001"), 10).found
        assert sorted((f.state, f.filtered, f.size > 3 * MB) for f in found) == [
            ("accepted", (), False),
            ("accepted", ("late",), True),
            ("filtered", ("lis", "late"), True),
        ], "what stands late is absent in one that is not read whole"
        assert [f.kind for f in engine.store.search(Query(state="filtered"), 10).found] == ["ADT^A08"]
    await sink.stop()


async def test_json_that_is_not_held_whole_is_passed_on_where_nobody_asks_what_is_in_it(
    tmp_path: Path,
) -> None:
    text = (
        "channel: {name}\nfrom: {{http: {{path: /{name}}}}}\nformat: json\n{more}"
        "to:\n  out: {{send: {{file: {{folder: out}}}}}}\n"
    )
    site = write_site(
        tmp_path,
        {
            "open": text.format(name="open", more=""),
            "asks": text.format(name="asks", more="index: {patient: $.id}\n"),
        },
        settings=SETTINGS,
    )
    body = b'{"id": "P1", "scan": "' + b"x" * 3 * MB + b'"}'
    async with running(site) as engine, httpx2.AsyncClient(trust_env=False, timeout=20) as client:
        base = f"http://127.0.0.1:{engine.web.port}"
        headers = {"content-type": "application/json"}
        asked = [
            await client.post(f"{base}/{path}", content=content, headers=headers)
            for path, content in (
                ("open", body),
                ("asks", body),
                ("asks", body[:22] + b'"}'),
                ("open", body[: MB + 9]),
            )
        ]
        assert [answer.status_code for answer in asked] == [202, 400, 202, 400]
        assert asked[1].json()["code"] == "JL-L004"
        assert asked[3].json()["code"] == "JL-M020", "up to the limit all is read"
        await settled(engine)
        assert sorted(path.read_bytes() for path in (site / "out").iterdir()) == sorted(
            [body[:22] + b'"}', body]
        )


async def test_what_takes_long_to_read_is_read_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "channel: asks\nfrom: {http: {path: /asks}}\nformat: json\nindex: {patient: $.id}\n"
    site = write_site(
        tmp_path, {"asks": text + "to:\n  out: {send: {file: {folder: out}}}\n"}, settings=SETTINGS
    )
    by: list[threading.Thread] = []
    decode = Json.decode

    def watched(self: Json, body: bytes, charset: str = "") -> object:
        by.append(threading.current_thread())
        return decode(self, body, charset)

    monkeypatch.setattr(Json, "decode", watched)
    async with running(site) as engine, httpx2.AsyncClient(trust_env=False, timeout=20) as client:
        url = f"http://127.0.0.1:{engine.web.port}/asks"
        for body in (b'{"id": "P1", "scan": "' + b"x" * (MB + MB // 2) + b'"}', b"[" * (MB + 9)):
            answer = await client.post(url, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == (202 if body.startswith(b"{") else 400), answer.text
        await settled(engine)
        assert len(engine.store.search(Query(text="P1"), 10).found) == 1
    assert by[0] is not threading.main_thread()
    assert by[1] is not threading.main_thread()


@pytest.fixture
def in_main(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_main(value: str) -> str:
        """Where it is done."""
        return str(threading.current_thread() is threading.main_thread())

    registry.functions.known()
    monkeypatch.setitem(registry.functions._things, "in_main", in_main)


def where_mapped(site: Path) -> None:
    """The map `where`: MSH-8 says whether the main thread made it."""
    (site / "maps").mkdir()
    text = "map: where\nfrom: hl7v2\nto: hl7v2\nstart: $\nmake: {MSH: {8: $MSH-10 | in_main}}\n"
    (site / "maps" / "where.yaml").write_text(text)


@pytest.mark.usefixtures("in_main")
async def test_what_takes_long_to_map_is_mapped_beside_the_loop(tmp_path: Path, sink: Sink) -> None:
    site = write_site(tmp_path, channel(sink, branch="    map: where\n"))
    where_mapped(site)
    async with running(site) as engine:
        await send(port(engine), adt("S1"), adt("L1") + b"OBX|1|ED|||" + b"x" * APART + b"\r")
        await sink.wait_for(2)
        await settled(engine)
    assert {field(body, "MSH", 10): field(body, "MSH", 8) for body in sink.got} == {
        "S1": "True",
        "L1": "False",
    }


@pytest.mark.usefixtures("in_main")
async def test_an_answer_that_takes_long_to_map_is_mapped_beside_the_loop(tmp_path: Path) -> None:
    sink = await Sink(
        lambda body: "AA" + f"|{field(body, 'MSH', 10)}|" + "x" * APART * (b"L1" in body)
    ).start()
    site = write_site(
        tmp_path, channel(sink, more="reply: lis\ntimeout: 5s\n", branch="    reply_map: where\n")
    )
    where_mapped(site)
    async with running(site) as engine:
        answers = await send(port(engine), adt("S1"), adt("L1"))
        await settled(engine)
    assert [(code_of(answer), field(answer, "MSH", 8)) for answer in answers] == [
        ("AA", "True"),
        ("AA", "False"),
    ]
    await sink.stop()


async def test_a_map_of_what_is_too_large_is_a_dead_letter_and_the_others_go_on(tmp_path: Path) -> None:
    sink = await Sink().start()
    mapped = "  emr:\n    map: adt-to-fhir\n    send: {file: {folder: out}}\n"
    site = write_site(tmp_path, channel(sink, branch=mapped), settings=SETTINGS)
    async with running(site) as engine:
        await send(port(engine), large("A1"), large("A2", MB))
        await sink.wait_for(2)
        await settled(engine)
        assert [(d.destination, d.code, d.count) for d in engine.store.dead().groups] == [
            ("emr", "JL-L004", 1)
        ]
        assert len(list((site / "out").iterdir())) == 1
    await sink.stop()


@pytest.mark.parametrize("order", ["", "order: {by: $PID-3.1, lanes: 1}\n"])
async def test_what_is_in_hand_behind_large_bodies_goes_back_and_is_taken_again(
    tmp_path: Path, sink: Sink, broker: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "LONGEST_SEND_S", 0.0)  # every large body ends its round
    sent = [large(f"L{n}") if n % 3 == 0 else adt(f"S{n}") for n in range(9)]
    site = write_site(tmp_path, channel(sink, order), settings=SETTINGS)
    async with running(site, broker=broker) as engine:
        await send(port(engine), *sent)
        await sink.wait_for(9)
        await settled(engine)
        assert sorted(sink.got) == sorted(sent)
        assert sink.got == sent or not order


async def test_a_receiver_that_takes_for_ever_to_read_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "LONGEST_SEND_S", 1.0)

    writers: set[asyncio.StreamWriter] = set()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(20_000):  # noqa: ASYNC110  # it is slow
                await asyncio.sleep(0.05)
        writer.close()
        writers.remove(writer)

    server = await asyncio.start_server(slowly, "127.0.0.1", 0, limit=20_000)
    slow = Sink()
    slow.port = server.sockets[0].getsockname()[1]
    site = write_site(tmp_path, channel(slow), settings=SETTINGS)
    async with running(site) as engine:
        await send(port(engine), large("L1", 9 * MB))
        await settled(engine, "retrying")
        assert engine.store.search(Query(code="JL-D902")).found
    server.close()
    async with asyncio.timeout(20):
        while writers:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_replay_sends_the_same_file_again(tmp_path: Path) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, channel(sink, "order: {by: $PID-3.1}\n"), settings=SETTINGS)
    async with running(site) as engine:
        await send(port(engine), large("A1"))
        await settled(engine, "sent")
        (name,) = files(site)
        replayer = Replayer(
            engine.store, engine.resend, lambda: engine.store.search(Query()).found[0].received_ms
        )
        done = await replayer.replay(ReplayRequest(ids=(name,)))
        assert done.failed == 0
        await sink.wait_for(2)
        assert sink.got == [large("A1")] * 2
        assert files(site) == [name]
    await sink.stop()


async def test_what_the_broker_does_not_take_leaves_no_file(tmp_path: Path) -> None:
    sink = await Sink(answer=lambda message: None).start()
    site = write_site(tmp_path, channel(sink, "limit: {messages: 1}\n"), settings=SETTINGS)
    async with running(site) as engine:
        answers = await send(port(engine), large("A1"), large("A2"))
        assert [code_of(answer) for answer in answers] == ["AA", "AE"]
        async with asyncio.timeout(10):
            while len(files(site)) != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await sink.stop()


def _first_failed(duplicates: Duplicates, key: bytes) -> First:
    """The message that is resent was on its way, and was not kept."""
    reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    reply.set_result(Reply("failed", id="1", code="JL-B001"))
    return First("1", reply)


def _bug(duplicates: Duplicates, key: bytes) -> First:
    raise ValueError("a bug")


@pytest.mark.parametrize("first", [_first_failed, _bug])
async def test_what_is_not_kept_for_another_reason_leaves_no_file_either(
    tmp_path: Path, sink: Sink, first: Callable[[Duplicates, bytes], First], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Duplicates, "first", first)
    site = write_site(tmp_path, channel(sink, "duplicates: {by: $MSH-10, within: 1h}\n"), settings=SETTINGS)
    async with running(site) as engine:
        assert [code_of(answer) for answer in await send(port(engine), large("A1"))] == ["AE"]
        async with asyncio.timeout(10):
            while files(site):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert 'jingluo_not_kept_total{channel="adt"} 1.0' in engine.metrics.render().decode()


async def test_a_delivery_waits_for_a_file_that_is_away(tmp_path: Path) -> None:
    sink = await Sink().start()
    retry = "    retry: {first: 100ms, max: 100ms}\n"
    site = write_site(tmp_path, channel(sink, branch=retry), settings=SETTINGS)
    await sink.stop()
    async with running(site) as engine:
        assert [code_of(answer) for answer in await send(port(engine), large("A1"))] == ["AA"]
        folder, away = site / "var" / "blobs", site / "away"
        folder.rename(away)
        await sink.start(sink.port)
        await settled(engine, "retrying")
        assert sink.got == []
        async with asyncio.timeout(10):
            while not engine.store.search(Query(code="JL-L002")).found:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        away.rename(folder)
        await sink.wait_for(1)
        assert sink.got == [large("A1")]
        await settled(engine)
    await sink.stop()
