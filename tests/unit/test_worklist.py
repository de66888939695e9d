"""The modality worklist: orders kept, and asked for by dcmtk's findscu and pynetdicom's devices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from dicom_parts import tool
from endpoint_parts import FakeEngine
from pydicom.dataset import Dataset
from pynetdicom import AE

from config import registry
from config.errors import Refused
from endpoints.base import Ground
from endpoints.imaging.matching import fits
from endpoints.imaging.source import DicomSource
from schemas.message import Message, Reply

WORKLIST, MPPS = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3"
NOON = 1_767_672_000.0  # 2026-01-06 12:00 in China
NAME = "Zhang^Wei=张^伟"
Open = Callable[..., Awaitable[DicomSource]]


def step(number: str = "A1", name: str = NAME, day: str = "20260106", **planned: Any) -> dict[str, Any]:
    item = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": day,
        **planned,
    }
    item.setdefault("ScheduledProcedureStepStartTime", "093000")
    return {
        "AccessionNumber": number,
        "PatientName": name,
        "PatientID": f"P{number}",
        "ScheduledProcedureStepSequence": [item],
    }


def order(*steps: dict[str, Any], control: str = "NW") -> Message:
    return Message(json.dumps({"control": control, "steps": steps}).encode())


@pytest.fixture
def orders(tmp_path: Path) -> Any:
    kind = registry.destinations.get("worklist")
    return kind(kind.Options(keep="3d"), Ground("orders.list", base_dir=str(tmp_path), now=lambda: NOON))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Open]:
    doors: list[DicomSource] = []

    async def open_door(engine: FakeEngine | None = None, **options: Any) -> DicomSource:
        kind = registry.sources.get("dicom")
        said = {"port": 0, "host": "127.0.0.1", "accepts": ["worklist", "mpps"], **options}
        ground = Ground("ct", base_dir=str(tmp_path), now=lambda: NOON)
        made = DicomSource(kind.Options(**said), ground)
        doors.append(made)
        await made.start((engine or FakeEngine()).deliver)
        return made

    yield open_door
    for one in doors:
        await one.stop()


def associated(port: int, kind: str) -> Any:
    entity = AE(ae_title="CT1")
    entity.add_requested_context(kind)
    link = entity.associate("127.0.0.1", port, ae_title="JINGLUO")
    assert link.is_established
    return link


async def asked(door: DicomSource, charset: str = "ISO_IR 192", **keys: Any) -> tuple[int, list[Dataset]]:
    """The last status, and the answers to a question with these keys of the step, and of whom it is for."""
    question, planned = Dataset(), Dataset()
    if charset:
        question.SpecificCharacterSet = charset
    names = {"PatientName": "", "PatientID": "", "AccessionNumber": "", "StudyInstanceUID": ""}
    inner = {
        "Modality": "",
        "ScheduledStationAETitle": "",
        "ScheduledProcedureStepStartDate": "",
        "ScheduledProcedureStepStartTime": "",
        "ScheduledProcedureStepID": "",
        "ScheduledPerformingPhysicianName": "",
    }
    for keyword, value in {**names, **inner, **keys}.items():
        setattr(question if keyword in names else planned, keyword, value)
    question.ScheduledProcedureStepSequence = [planned]

    def ask() -> tuple[int, list[Dataset]]:
        link = associated(door.port, WORKLIST)
        said = [(status.Status, found) for status, found in link.send_c_find(question, WORKLIST)]
        link.release()
        return said[-1][0], [found for _, found in said[:-1]]

    return await asyncio.to_thread(ask)


def numbers(answer: tuple[int, list[Dataset]]) -> list[str]:
    return [found.AccessionNumber for found in answer[1]]


async def test_findscu_gets_the_list(orders: Any, door: Open, tmp_path: Path) -> None:
    assert (await orders.send(order(step()))).code == "kept"
    source = await door()
    keys = (
        "-k",
        "0010,0010",
        "-k",
        "(0040,0100)[0].0008,0060=CT",
        "-k",
        "(0040,0100)[0].0040,0002=20260106-20260107",
    )
    code, said = await tool(
        "findscu",
        "-W",
        "-v",
        "-aec",
        "JINGLUO",
        "-X",
        "-od",
        str(tmp_path),
        "127.0.0.1",
        str(source.port),
        *keys,
    )
    assert code == 0, said
    found = (tmp_path / "rsp0001.dcm").read_bytes()
    assert b"GB18030" in found
    assert NAME.encode("gb18030") in found


@pytest.mark.parametrize("charset", ["GB18030", "GBK", "ISO_IR 192"])
async def test_answers_are_in_the_callers_charset(orders: Any, door: Open, charset: str) -> None:
    await orders.send(order(step()))
    _, (found,) = await asked(await door(charset="ISO_IR 192"), charset)
    assert (found.SpecificCharacterSet, str(found.PatientName)) == (charset, NAME)


@pytest.mark.parametrize("charset", ["", "ISO_IR 100", "ISO 2022 IR 58"])
async def test_a_caller_whose_charset_lacks_the_letters_gets_ours(
    orders: Any, door: Open, charset: str
) -> None:
    await orders.send(order(step()))
    _, (found,) = await asked(await door(), charset)
    assert (found.SpecificCharacterSet, str(found.PatientName)) == ("GB18030", NAME)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, ["A1", "A2", "A3"]),
        ({"Modality": "MR"}, ["A2"]),
        ({"ScheduledStationAETitle": "CT1"}, ["A1", "A3"]),
        ({"ScheduledProcedureStepStartDate": "20260106"}, ["A1", "A2"]),
        ({"ScheduledProcedureStepStartDate": "20260107-"}, ["A3"]),
        ({"ScheduledProcedureStepStartDate": "-20260106"}, ["A1", "A2"]),
        ({"ScheduledProcedureStepStartDate": "20260101-20260105"}, []),
        ({"ScheduledProcedureStepStartTime": "0900-1000"}, ["A1", "A3"]),
        ({"PatientName": "张*"}, ["A1"]),
        ({"PatientName": "zhang^*"}, ["A1"]),
        ({"PatientName": "李?四"}, ["A2"]),
        ({"PatientName": "Wei"}, []),
        ({"PatientID": "PA3"}, ["A3"]),
        ({"PatientID": "pa3"}, []),
        ({"PatientID": "P*"}, ["A1", "A2", "A3"]),
        ({"AccessionNumber": "A[12]"}, []),
        ({"ScheduledPerformingPhysicianName": "Wang*"}, []),
    ],
)
async def test_what_is_asked_for(orders: Any, door: Open, keys: dict[str, str], found: list[str]) -> None:
    second = step(
        "A2", "李^四", Modality="MR", ScheduledStationAETitle="MR1", ScheduledProcedureStepStartTime="100100"
    )
    await orders.send(order(step("A1"), second, step("A3", "Wang^Wu", "20260107")))
    assert numbers(await asked(await door(), **keys)) == found


def test_keys_that_are_lists_or_that_nobody_matches() -> None:
    assert fits({"StudyInstanceUID": ["1.2", "1.3"]}, {"StudyInstanceUID": "1.3"})
    assert fits({"RequestedProcedureDescription": "x", "ReferencedStudySequence": []}, {})
    assert not fits({"PatientID": "1"}, {})


async def test_orders_change_and_are_cancelled(orders: Any, door: Open) -> None:
    source = await door()
    await orders.send(order(step("A1"), step("A2")))
    await orders.send(order(step("A1", day="20260108"), control="XO"))
    assert numbers(await asked(source, ScheduledProcedureStepStartDate="20260108")) == ["A1"]
    assert (await orders.send(order(step("A2"), control="CA"))).code == "cancelled"
    assert numbers(await asked(source)) == ["A1"]
    uids = [(await asked(source))[1][0].StudyInstanceUID for _ in range(2)]
    assert uids[0] == uids[1]
    assert uids[0].startswith("2.25.")


async def test_old_steps_leave_the_list(orders: Any, door: Open) -> None:
    await orders.send(order(step("A1", day="20260102")))
    assert numbers(await asked(await door())) == []
    await orders.send(order(step("A2", day="20260104")))
    assert numbers(await asked(await door())) == ["A2"]


async def test_answers_have_a_limit(orders: Any, door: Open) -> None:
    await orders.send(order(*(step(f"A{n}") for n in range(5))))
    status, found = await asked(await door(answers=3))
    assert (status, len(found)) == (0xA700, 3)
    assert (await asked(await door(answers=5)))[0] == 0


async def test_a_performed_step_leaves_the_list(orders: Any, door: Open) -> None:
    await orders.send(order(step("A1"), step("A2")))
    engine = FakeEngine()
    source = await door(engine)

    def perform(*said: tuple[str, str, str]) -> list[int]:
        link = associated(source.port, MPPS)
        statuses = []
        for service, uid, state in said:
            data, planned = Dataset(), Dataset()
            data.PerformedProcedureStepStatus = state
            planned.AccessionNumber, planned.ScheduledProcedureStepID = "A1", "A1"
            data.ScheduledStepAttributesSequence = [planned]
            send = link.send_n_create if service == "create" else link.send_n_set
            statuses.append(send(data, MPPS, uid)[0].Status)
        link.release()
        return statuses

    begun = await asyncio.to_thread(perform, ("create", "1.2.3", "IN PROGRESS"))
    assert begun == [0]
    assert numbers(await asked(source)) == ["A1", "A2"]
    ended = await asyncio.to_thread(
        perform,
        ("create", "1.2.3", "IN PROGRESS"),
        ("create", "1.2.4", "COMPLETED"),
        ("set", "1.2.9", "COMPLETED"),
        ("set", "1.2.3", "COMPLETED"),
        ("set", "1.2.3", "COMPLETED"),
    )
    assert ended == [0x0111, 0x0106, 0x0112, 0, 0x0110]
    assert numbers(await asked(source)) == ["A2"]
    assert [message.headers["service"] for message in engine.got] == ["mpps-create", "mpps-set"]
    await orders.send(order(step("A1"), control="XO"))
    assert numbers(await asked(source)) == ["A2"]


async def test_a_step_that_the_engine_did_not_take_has_not_begun(orders: Any, door: Open) -> None:
    replies = iter([Reply("failed", code="JL-B001"), Reply("accepted")])
    source = await door(FakeEngine(lambda message: next(replies)))

    def begin() -> int:
        link = associated(source.port, MPPS)
        data = Dataset()
        data.PerformedProcedureStepStatus = "IN PROGRESS"
        status = link.send_n_create(data, MPPS, "1.2.3")[0].Status
        link.release()
        return int(status)

    assert [await asyncio.to_thread(begin) for _ in range(2)] == [0x0213, 0]


@pytest.mark.parametrize(
    "body",
    [
        b"MSH|",
        b"[]",
        b'{"control": "NW"}',
        b'{"control": "NW", "steps": []}',
        b'{"control": "NW", "steps": [{"PatientName": "x"}]}',
        b'{"control": "NW", "steps": [{"AccessionNumber": "1", "Patient": "x"}]}',
        b'{"control": "NW", "steps": [{"AccessionNumber": "1", "ScheduledProcedureStepSequence": [{}, {}]}]}',
    ],
)
async def test_what_is_no_order_is_refused(orders: Any, body: bytes) -> None:
    with pytest.raises(Refused, match="JL-E839"):
        await orders.send(Message(body))
    with pytest.raises(Refused, match="JL-E839"):
        orders.heard(Message(body), "kept", b"", {})
