"""The load generator and the sink count right: what they say of an engine is only as true as this."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench import bare, fields, insurance, parse, proving, sealing, usage
from bench.book import Book, percentile, summary
from bench.flow import Row
from bench.load import Desk, Plan
from bench.loader import Loader
from bench.samples import ADT, MIXED
from bench.sinks import Mode
from bench.site import engine
from bench.table import Table
from config.crypto import Mac, Sealer
from config.settings import load_settings
from router.proving.runner import run_tests

AA = b"\x0bMSH|^~\\&|E|E|H|H|20260105||ACK|1|P|2.5.1\rMSA|%b|%b\r\x1c\r"


class Crooked(asyncio.Protocol):
    """An engine that cheats: of ten it refuses the fourth, loses the sixth, delivers the eighth twice."""

    def __init__(self, sink_port: int) -> None:
        self.sink_port = sink_port
        self.got = 0
        self.writes: list[asyncio.Task[None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        control_id = data.split(b"|", 10)[9]
        n, self.got = self.got % 10, self.got + 1
        code = b"AE" if n == 3 else b"AA"
        if n not in (3, 5):
            self.writes.append(asyncio.ensure_future(self._on(data * 2 if n == 7 else data)))
        self.transport.write(AA % (code, control_id))  # type: ignore[attr-defined]

    async def _on(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.sink_port)
        writer.write(data)
        await reader.readuntil(b"\x1c\r")
        writer.close()
        await writer.wait_closed()


async def test_generator_and_sink_agree_when_nothing_stands_between_them() -> None:
    desk = Desk()
    result = await desk.run(Plan(3, await desk.open(), connections=4, warm_s=0.02, measure_s=0.1))
    assert result["messages"] > 4
    assert desk.book.accepted == desk.book.reached == result["messages"]
    assert desk.book.count() == {"sent": result["messages"], "lost": 0, "doubled": 0, "strangers": 0}
    assert (result["refused"], result["unanswered"]) == (0, 0)
    assert result["sink_per_s"] > 0
    await desk.close()


async def test_what_an_engine_loses_doubles_or_refuses_is_counted_by_control_id() -> None:
    desk = Desk()
    sink = await desk.open()
    crooked = Crooked(sink)
    engine = await asyncio.get_running_loop().create_server(lambda: crooked, "127.0.0.1", 0)
    port = engine.sockets[0].getsockname()[1]
    result = await desk.run(Plan(4, port, connections=1, warm_s=0.02, measure_s=0.1, drain_s=0.3))
    await asyncio.gather(*crooked.writes)
    full, rest = divmod(result["messages"], 10)
    assert result["refused"] == full + (rest > 3)
    assert desk.book.count()["lost"] == full + (rest > 5)
    assert desk.book.count()["doubled"] == full + (rest > 7)
    engine.close()
    await engine.wait_closed()
    await desk.close()


class SlowDoor(asyncio.Protocol):
    """Says yes after 100 ms, one after the other."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        said = AA % (b"AA", data.split(b"|", 10)[9])
        asyncio.get_running_loop().call_later(0.1, self.transport.write, said)  # type: ignore[attr-defined]


async def test_by_the_clock_a_slow_door_is_not_spared_and_its_time_counts_from_the_schedule() -> None:
    desk, door = Desk(), SlowDoor()
    slow = await asyncio.get_running_loop().create_server(lambda: door, "127.0.0.1", 0)
    port = slow.sockets[0].getsockname()[1]
    plan = Plan(5, port, connections=1, warm_s=0.0, measure_s=0.5, per_s=20, drain_s=0.3)
    await desk.open()
    result = await desk.run(plan)
    assert result["messages"] == 10, "as many as the clock says, though each answer takes two of its ticks"
    assert result["p99_ms"] >= 190, "its answer took 100 ms, and it waited for those before it"
    assert result["unanswered"] > 0, "what was never sent is unanswered"
    await asyncio.wait_for(door.gone.wait(), 20)
    await desk.close()
    slow.close()


async def test_a_bundle_is_counted_by_its_identifier_at_the_second_sink() -> None:
    desk = Desk()
    await desk.open()
    desk.books = [Book(6), Book(6)]
    numbers = [book.next() for book in desk.books]
    body = b'{"identifier":{"value":"%b"},"type":"transaction"}' % desk.book.control_id(numbers[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.ports[1])
    whole = b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    for part in (whole[:30], whole[30:-5], whole[-5:]):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    assert (desk.books[0].reached, desk.books[1].reached) == (0, 1)
    writer.close()
    await writer.wait_closed()
    await desk.close()


async def test_a_sink_that_gives_no_answer_still_counts() -> None:
    desk = Desk()
    desk.mode = Mode(answers=False)
    plan = Plan(7, await desk.open(), connections=2, warm_s=0, measure_s=0, drain_s=0.1, messages=2)
    result = await desk.run(plan)
    assert (result["unanswered"], desk.book.reached) == (2, 2)
    await desk.close()


def test_a_message_of_another_run_is_a_stranger_and_not_a_delivery() -> None:
    book = Book(1)
    book.arrive(Book(2).control_id(0))
    book.arrive(book.control_id(book.next()))
    assert (book.strangers, book.reached) == (1, 1)


def test_the_rate_counts_from_the_first_to_the_last_arrival_of_the_window() -> None:
    book = Book(1)
    for number in range(6):
        book.next()
        book.sent[number] = float(number)
        book.answered[number] = number + 0.25
        book.arrived[number] = 10.0 + 2 * number
    found = summary(book, first=1, last=5, began=1.0, over=5.0, backlog=2)
    assert found["accepted_per_s"] == 1.0
    assert found["sink_per_s"] == 0.5, (
        "four messages, one every two seconds, though they were sent one a second"
    )
    assert (found["p50_ms"], found["drain_s"]) == (250.0, 15.0)


def test_slow_answers_show_in_the_ten_seconds_in_which_they_were_asked_for() -> None:
    book = Book(1)
    for number in range(30):
        book.next()
        book.sent[number] = 100.0 + number
        book.answered[number] = book.sent[number] + (2.0 if number == 15 else 0.25)
    assert summary(book, 0, 30, 100.0, 130.0, 0)["windows_p99_ms"] == [250.0, 2000.0, 250.0]


def test_what_a_part_keeps_busy_is_not_counted_with_the_others() -> None:
    with usage.Cores({"this": [os.getpid()]}) as cores:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    busy = cores.busy()
    assert set(busy) == {"this", "all others"}
    # The kernel counts in ticks of 10 ms: half of what was used shows that it is counted.
    assert cores.used["this"] >= 0.1


@pytest.mark.parametrize(("part", "value"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(part: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == value


@pytest.mark.parametrize("sample", MIXED, ids=lambda s: s.name)
def test_the_three_libraries_read_the_same_fifteen_values(sample: parse.Sample) -> None:
    read = parse.readings(sample)
    assert len(read["jingluo"]) == 15
    assert all(read["jingluo"])
    assert read["jingluo"] == read["hl7"] == read["hl7apy"]


@pytest.mark.parametrize("ways", [fields.of_bytes, fields.of_tree])
def test_all_ways_make_the_same_object_of_the_same_fifteen_fields(ways: Callable[[], fields.Calls]) -> None:
    made = [call() for call in ways().values()]
    objects = [msgspec.json.decode(one) if isinstance(one, bytes) else one for one in made]
    read = parse.readings(ADT)["jingluo"]
    assert all(list(one.values()) == read for one in objects)


def test_the_samples_have_the_size_that_they_are_called_by() -> None:
    adt, oru = (sample.body(b"B010000000001") for sample in MIXED)
    assert 1000 <= len(adt) <= 1100
    assert 2900 <= len(oru) <= 3200
    assert oru.count(b"\r") == 33


def test_the_cpu_time_of_a_process_includes_its_threads_and_never_falls() -> None:
    before = usage.cpu_s([os.getpid()])
    sum(range(2_000_000))
    assert usage.cpu_s([os.getpid()]) > before > 0


def test_a_missed_target_is_named_and_a_met_one_is_not() -> None:
    table = Table("t", ["what", "target"])
    table.add("speed", table.target("speed", 10.0, 12.0))
    table.add("memory", table.target("memory", 10.0, 12.0, most=True))
    assert table.missed == ["speed: 10.0, wanted at least 12.0"]
    assert "MISSED" in str(table)
    assert "<= 12.0 met" in str(table)


@pytest.mark.parametrize(("program", "is_bare"), [((), False), (bare.PROGRAM, True)])
def test_a_bare_engines_rows_are_in_the_clear_and_the_products_are_not(
    program: tuple[str, ...], is_bare: bool
) -> None:
    """They are written by a process that the engine spawns: there, too, the bare one seals nothing."""
    with Loader() as loader, engine("embedded", "", loader.sink, program=program) as running:
        running.wait_until_open()
        accepted = loader.run(Plan(8, running.port, 2, 0.0, 0.0, messages=4))["accepted"]
        running.wait_for_journal(30.0)
        assert accepted >= 4
        assert loader.count() == {"sent": accepted, "lost": 0, "doubled": 0, "strangers": 0}
        sealing.prove(running.journal, is_bare)
        with pytest.raises(RuntimeError, match="seal"):
            sealing.prove(running.journal, not is_bare)


def test_within_a_block_nothing_is_sealed_and_after_it_everything() -> None:
    sealer, mac = Sealer(bytes(16)), Mac(bytes(16))
    with bare.unsealed():
        assert b"plain" in sealer.seal(b"plain")
        assert sealer.open(sealer.seal(b"plain")) == b"plain"
        in_block = mac(b"plain")
    assert b"plain" not in sealer.seal(b"plain")
    assert sealer.open(sealer.seal(b"plain")) == b"plain"
    assert len(mac(b"plain")) == len(in_block) == 32
    assert mac(b"plain") != in_block


def _run(per_s: float, doubled: int = 0) -> Row:
    told = {"sink_per_s": per_s, "refused": 0, "unanswered": 0}
    count = {"sent": 9, "lost": 0, "doubled": doubled, "strangers": 0}
    return Row("a stack", 8, told, count, {"engine": 0.5}, (None, None))


@pytest.mark.parametrize(
    ("rates", "missed"),
    [
        ((850.0, 990.0, 700.0), []),
        (
            (849.0, 990.0, 700.0),
            ["messages/s sealed of bare, a stack, 8 connections: 0.849, wanted at least 0.850"],
        ),
    ],
)
def test_what_sealing_costs_is_judged_by_the_median_of_the_pairs(
    rates: tuple[float, ...], missed: list[str]
) -> None:
    table = Table("t", sealing._COLUMNS)
    sealing._add([sealing.Pair(_run(rate), _run(1000.0)) for rate in rates], table)
    assert table.missed == missed
    assert table.rows[0][4:7] == [f"{rates[0] / 1000:.3f}", "0.700", "0.990"]


def test_a_message_that_a_pair_doubles_is_named() -> None:
    table = Table("t", sealing._COLUMNS)
    sealing._add([sealing.Pair(_run(990.0), _run(1000.0, doubled=2))], table)
    assert table.missed == ["a stack, 8 connections: 2 doubled, wanted 0"]


def test_the_generated_channel_tests_hold_and_reach_both_destinations(tmp_path: Path) -> None:
    proving.write_tests(tmp_path / "site", 2, 2)
    report = run_tests(load_settings(tmp_path / "site", {}), {}, coverage=True)
    assert (len(report.results), report.failed, report.findings) == (4, [], [])
    assert {route.words for routes in report.routes for route in routes.gone} >= {
        "a message to lis",
        "a message to emr",
    }


def test_the_calls_of_the_insurance_bench_are_calls_that_would_leave() -> None:
    for name, node, way in (
        ("2204", "feedetail", insurance._institution),
        ("MP-6201", "feedetailList", insurance._mobile),
    ):
        size, call = insurance._fees(name, node, way)
        assert size > 40_000, "fifty lines, with all their fields"
        assert call()
