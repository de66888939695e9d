"""DICOM over the network: devices of dcmtk and pynetdicom at our door, and we at theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from authority import Authority, Pair
from dicom_parts import CR, NAME, picture, tool, written
from endpoint_parts import FakeEngine, until
from pynetdicom import AE, evt

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.imaging.source import DicomSource
from schemas.dicom import Dicom
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[DicomSource]]
MPPS = "1.2.840.10008.3.1.2.3.3"


@pytest.fixture
async def door() -> AsyncIterator[Open]:
    doors: list[DicomSource] = []

    async def open_door(engine: FakeEngine, ground: Ground | None = None, **options: Any) -> DicomSource:
        kind = registry.sources.get("dicom")
        made = kind(kind.Options(**{"port": 0, "host": "127.0.0.1", **options}), ground or Ground("ct"))
        doors.append(made)
        await made.start(engine.deliver)
        return made

    yield open_door
    for one in doors:
        await one.stop()


def sender(port: int, **options: Any) -> Any:
    kind = registry.destinations.get("dicom")
    return kind(kind.Options(host="127.0.0.1", port=port, title="JINGLUO", **options), Ground("ct.pacs"))


async def stored(door: DicomSource, path: str, *more: str) -> tuple[int, str]:
    """`path`: a file, or a folder of them."""
    where = ("127.0.0.1", str(door.port), path)
    return await tool("storescu", "-v", "+sd", "-nh", "-aec", "JINGLUO", *more, *where)


async def test_dcmtk_stores_an_image(door: Open, tmp_path: Path) -> None:
    engine = FakeEngine()
    source = await door(engine)
    assert (await tool("echoscu", "-aec", "JINGLUO", "127.0.0.1", str(source.port)))[0] == 0
    code, said = await stored(source, written(tmp_path, picture(pixels=2560)))
    assert (code, "(Success)" in said) == (0, True)
    message = engine.got[0]
    assert Dicom().decode(message.body)["PatientName"] == NAME
    assert message.body.endswith(bytes(range(256)) * 10)
    assert message.headers["calling"] == "STORESCU"
    assert message.headers["sop-instance"] == "1.2.3.4.5"
    assert "P0001" not in str(message.headers)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("accepted"), "0x0000"),
        (Reply("pending"), "0x0000"),
        (Reply("failed", code="JL-B001"), "0xa700"),
        (Reply("refused", code="JL-M110"), "0xc000"),
    ],
)
async def test_the_reply_as_a_status(door: Open, tmp_path: Path, reply: Reply, status: str) -> None:
    source = await door(FakeEngine(reply))
    _, said = await stored(source, written(tmp_path, picture()), "-d")
    assert status in said.lower()
    assert reply.code in said
    assert source.told(Message(b""), reply).code.lower() == status[2:]


async def test_success_is_said_when_the_engine_has_replied(door: Open, tmp_path: Path) -> None:
    engine = FakeEngine(held=True)
    source = await door(engine)
    sending = asyncio.ensure_future(stored(source, written(tmp_path, picture())))
    await engine.has(1)
    await asyncio.sleep(0.1)
    assert not sending.done()
    engine.open[0].set_result(Reply("accepted"))
    assert "(Success)" in (await sending)[1]


async def test_an_engine_that_does_not_reply_in_time(door: Open) -> None:
    engine = FakeEngine(held=True)
    source = await door(engine, reply_within="200ms")
    with pytest.raises(Refused, match="A700"):
        await sender(source.port).send(Message(picture()))
    engine.open[0].set_result(Reply("accepted"))
    engine.held = False
    assert (await sender(source.port).send(Message(picture()))).code == "0000"


async def test_only_callers_that_are_named_come_in(door: Open, tmp_path: Path) -> None:
    engine = FakeEngine()
    near = await door(engine, callers={"CT1": "127.0.0.0/8", "CT2": "10.0.0.7"})
    path = written(tmp_path, picture())
    assert (await stored(near, path, "-aet", "CT1"))[0] == 0
    assert "Calling AE Title Not Recognized" in (await stored(near, path, "-aet", "CT2"))[1]
    assert "Calling AE Title Not Recognized" in (await stored(near, path, "-aet", "CT3"))[1]
    assert (
        "Called AE Title"
        in (await tool("echoscu", "-aec", "OTHER", "-aet", "CT1", "127.0.0.1", str(near.port)))[1]
    )
    far = await door(engine, callers={"CT1": "10.0.0.7"})
    assert (await stored(far, path, "-aet", "CT1"))[0] != 0
    assert len(engine.got) == 1


class Kept:
    """A spool in memory, of which a test sees what is left."""

    def __init__(self) -> None:
        self.size, self.data, self.state = 0, b"", "open"
        self.name = "0" * 32

    async def write(self, piece: bytes) -> None:
        self.data += piece
        self.size += len(piece)

    async def finish(self) -> Any:
        self.state = "kept"
        return self

    async def drop(self) -> None:
        self.state = "dropped"


async def test_a_large_image_goes_to_the_spool(door: Open, tmp_path: Path) -> None:
    engine, spools = FakeEngine(), []

    def spool() -> Any:
        spools.append(Kept())
        return spools[-1]

    source = await door(engine, Ground("ct", spool=spool))
    body = picture(pixels=5_120_000)
    assert "(Success)" in (await stored(source, written(tmp_path, body)))[1]
    assert [(one.state, one.data.endswith(body[-5_120_000:])) for one in spools] == [("kept", True)]
    assert engine.got[0].blob is spools[0]
    assert Dicom().decode(spools[0].data)["PatientName"] == NAME


async def test_an_image_over_the_limit_is_refused_and_the_association_stays(
    door: Open, tmp_path: Path
) -> None:
    engine, spools = FakeEngine(), []

    def spool() -> Any:
        spools.append(Kept())
        return spools[-1]

    source = await door(engine, Ground("ct", spool=spool), max_size="2MB")
    (tmp_path / "a.dcm").write_bytes(picture(pixels=5_120_000))
    (tmp_path / "b.dcm").write_bytes(picture(SOPInstanceUID="1.2.3.4.6"))
    _, said = await stored(source, str(tmp_path))
    assert said.count("(Success)") == 1
    assert engine.refused[0].fault_code == "JL-E831"
    assert len(engine.refused[0].body) == 4096
    assert len(engine.got) == 1
    assert [one.state for one in spools] == ["dropped"]


async def test_too_many_associations_are_turned_away(door: Open) -> None:
    source = await door(FakeEngine(), associations=2)
    links = [await asyncio.to_thread(associated, source.port) for _ in range(3)]
    assert [link.is_established for link in links] == [True, True, False]
    for link in links[:2]:
        await asyncio.to_thread(link.release)


def associated(port: int, sop_class: str = CR) -> Any:
    entity = AE(ae_title="CT1")
    entity.add_requested_context(sop_class)
    return entity.associate("127.0.0.1", port, ae_title="JINGLUO")


@pytest.mark.parametrize(
    "said", [b"\x01\x00\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x04\x00\x00\x00\x00\x08"]
)
async def test_what_is_no_dicom_is_cut_off(door: Open, said: bytes) -> None:
    source = await door(FakeEngine(), pdu_within="200ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(said)
    await asyncio.wait_for(reader.read(100), 10)
    writer.close()
    assert (await tool("echoscu", "-aec", "JINGLUO", "127.0.0.1", str(source.port)))[0] == 0


async def test_an_association_that_breaks_leaves_nothing(door: Open) -> None:
    engine, spools = FakeEngine(), []

    def spool() -> Any:
        spools.append(Kept())
        return spools[-1]

    source = await door(engine, Ground("ct", spool=spool))
    link = await asyncio.to_thread(associated, source.port)
    message = b"\0" * 3_000_000
    command = link.accepted_contexts[0].context_id
    await asyncio.to_thread(cut_short, link, command, message)
    await until(lambda: [one.state for one in spools] == ["dropped"])
    assert engine.got == []


def cut_short(link: Any, context: int, data: bytes) -> None:
    """The command of a C-STORE and the beginning of its data set; then the line is dead."""
    from io import BytesIO

    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CR, "1.2.3"
    request.DataSet = BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    pieces = list(message.encode_msg(context, 16000))
    for piece in pieces[:-5]:
        link.dul.send_pdu(piece)
    while not link.dul.to_provider_queue.empty():
        pass
    link.dul.socket.close()
    link.kill()


async def test_performed_steps_are_messages(door: Open) -> None:
    from pydicom.dataset import Dataset

    engine = FakeEngine()
    source = await door(engine, accepts=["mpps"])

    def device() -> list[int]:
        link = associated(source.port, MPPS)
        begun, done = Dataset(), Dataset()
        begun.SpecificCharacterSet = "GB18030"
        begun.PatientName, begun.PerformedProcedureStepStatus = "张^伟", "IN PROGRESS"
        done.PerformedProcedureStepStatus = "COMPLETED"
        statuses = [
            link.send_n_create(begun, MPPS, "1.2.3.9")[0].Status,
            link.send_n_set(done, MPPS, "1.2.3.9")[0].Status,
        ]
        link.release()
        return statuses

    assert await asyncio.to_thread(device) == [0, 0]
    begun, done = engine.got
    assert (begun.headers["service"], done.headers["service"]) == ("mpps-create", "mpps-set")
    assert done.headers["sop-instance"] == "1.2.3.9"
    assert Dicom().decode(begun.body)["PatientName"] == "张^伟"
    assert Dicom().decode(done.body)["PerformedProcedureStepStatus"] == "COMPLETED"
    assert Dicom().decode(done.body)["MediaStorageSOPInstanceUID"] == "1.2.3.9"


async def test_what_comes_in_goes_out_as_it_is(door: Open) -> None:
    engine = FakeEngine()
    source = await door(engine)
    body = picture(pixels=25_600)
    assert (await sender(source.port).send(Message(body))).code == "0000"
    assert engine.got[0].body[-25_600:] == body[-25_600:]
    await sender(source.port).send(engine.got[0])
    assert engine.got[1].body == engine.got[0].body


async def test_a_receiver_that_is_not_there_or_does_not_know_us(door: Open) -> None:
    source = await door(FakeEngine(), callers={"CT1": "127.0.0.1"})
    with pytest.raises(Unreachable, match="JL-E834"):
        await sender(source.port).send(Message(picture()))
    await sender(source.port, calling="CT1").send(Message(picture()))
    await source.stop()
    with pytest.raises(Unreachable, match="JL-E833"):
        await sender(source.port, connect_within="1s").send(Message(picture()))


async def test_a_receiver_that_does_not_take_the_kind(door: Open) -> None:
    source = await door(FakeEngine(), accepts=["mpps"])
    with pytest.raises(Refused, match="JL-E835"):
        await sender(source.port).send(Message(picture()))


async def test_what_is_no_image_is_refused() -> None:
    for body in (b"", b"MSH|", picture()[:200]):
        with pytest.raises(Refused, match="JL-E837"):
            await sender(1).send(Message(body))


@pytest.mark.parametrize(
    ("status", "error", "retry"),
    [
        (0x0000, None, False),
        (0xB000, None, False),
        (0xA700, Refused, True),
        (0xC000, Refused, False),
        (0x0122, Refused, False),
    ],
)
async def test_what_a_status_means(status: int, error: type[Exception] | None, retry: bool) -> None:
    entity = AE(ae_title="JINGLUO")
    entity.add_supported_context(CR)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: status)]
    )
    try:
        out = sender(server.server_address[1])
        code = f"{status:04X}"
        if error is None:
            assert (await out.send(Message(picture()))).code == code
            assert out.heard(Message(picture()), code, b"", {}).code == code
        else:
            with pytest.raises(Refused, match="JL-E836") as caught:
                await out.send(Message(picture()))
            assert caught.value.retry is retry
            with pytest.raises(Refused, match=code):
                out.heard(Message(picture()), code, b"", {})
    finally:
        server.shutdown()


async def test_a_pause_and_a_stop(door: Open) -> None:
    engine = FakeEngine(held=True)
    source = await door(engine)
    source.pause()
    assert not (await asyncio.to_thread(associated, source.port)).is_established
    source.resume()
    sending = asyncio.ensure_future(sender(source.port).send(Message(picture())))
    await engine.has(1)
    stopping = asyncio.ensure_future(source.stop())
    await asyncio.sleep(0.1)
    engine.open[0].set_result(Reply("accepted"))
    assert (await sending).code == "0000"
    await stopping
    again = await door(engine, port=source.port)
    assert again.port == source.port


async def test_tls_with_certificates_on_both_sides(door: Open, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, theirs, other = (
        authority.issue(name, "127.0.0.1") for name in ("localhost", "ct1.local", "ct2.local")
    )
    shown = {"certificate": str(ours.certificate), "key": str(ours.key), "ca": str(authority.file)}
    engine = FakeEngine()
    source = await door(engine, tls={**shown, "client": "required", "names": ["ct1.local"]})

    def out(pair: Pair) -> Any:
        tls = {"certificate": str(pair.certificate), "key": str(pair.key), "ca": str(authority.file)}
        return sender(source.port, tls=tls, connect_within="2s")

    assert (await out(theirs).send(Message(picture(pixels=256_000)))).code == "0000"
    assert "ct1.local" in engine.got[0].headers["tls.subject"]
    with pytest.raises(Unreachable, match="JL-E833"):
        await out(other).send(Message(picture()))
    with pytest.raises(Unreachable, match="JL-E833"):
        await sender(source.port, connect_within="1s").send(Message(picture()))
    assert len(engine.got) == 1
