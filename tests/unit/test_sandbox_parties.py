"""The example hospital's parties keep books, and misbehave exactly as they are told."""

import asyncio
import json

import pytest

from deploy.sandbox.behaviour import WELL, Behaviour, orders
from deploy.sandbox.books import SentBook, compare
from deploy.sandbox.emr import Emr
from deploy.sandbox.folder import Folders
from deploy.sandbox.his import His
from deploy.sandbox.lis import Lis
from deploy.sandbox.messages import GB18030, Letter
from deploy.sandbox.mllp import MllpSender, frame, read_frame
from deploy.sandbox.traffic import plan


@pytest.fixture
async def lis():
    party = Lis()
    await party.open()
    yield party
    await party.close()


@pytest.fixture
async def emr():
    party = Emr()
    await party.open()
    yield party
    await party.close()


def a_letter() -> Letter:
    return plan(20, seed=2).adt[0][1]


async def answer_of(party, letter: Letter) -> bytes:
    """What the party says to one letter; b"" when it hangs up without a whole frame."""
    reader, writer = await asyncio.open_connection("127.0.0.1", party.port)
    try:
        writer.write(frame(letter.body))
        return await asyncio.wait_for(read_frame(reader), 10)
    except asyncio.IncompleteReadError:
        return b""
    finally:
        writer.close()


async def ask(party, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    reader, writer = await asyncio.open_connection("127.0.0.1", party.port)
    sent = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(sent)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + sent)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        return int(head.split(" ")[1]), json.loads(await reader.readexactly(length))
    finally:
        writer.close()


def patient_bundle(**overrides: object) -> dict:
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:example:hosp", "value": "P1"}],
        "name": [{"text": "王伟"}],
        "gender": "male",
        **overrides,
    }
    encounter = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "identifier": [{"system": "urn:example:visit", "value": "V1"}],
        "subject": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"},
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"system": "urn:example:msh10", "value": "C1"},
        "entry": [
            {
                "fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111",
                "resource": patient,
                "request": {"method": "PUT", "url": "Patient?identifier=urn:example:hosp|P1"},
            },
            {
                "fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222",
                "resource": encounter,
                "request": {
                    "method": "POST",
                    "url": "Encounter",
                    "ifNoneExist": "identifier=urn:example:visit|V1",
                },
            },
        ],
    }


# --- behaviour ---------------------------------------------------------------------------------------------


def test_a_word_says_kind_value_share_and_count():
    behaviour = Behaviour()
    behaviour.be("refuse:AR*2")
    assert [behaviour.next().code for _ in range(3)] == ["AR", "AR", ""]
    behaviour.be("slow:0.25")
    assert behaviour.next().seconds == 0.25
    behaviour.well()
    assert behaviour.next() is WELL


def test_a_share_is_drawn_from_the_seed():
    def acts(seed: int) -> list[str]:
        behaviour = Behaviour(seed)
        behaviour.be("refuse@20%")
        return [behaviour.next().kind for _ in range(1000)]

    assert acts(1) == acts(1)
    assert acts(1) != acts(2)
    assert 140 < acts(1).count("refuse") < 260


@pytest.mark.parametrize("word", ["lis", "nobody=slow:1", "lis=dance", "lis=slow:x", "lis=slow:1@", "lis="])
def test_an_order_that_nobody_understands_is_refused(word):
    with pytest.raises(ValueError, match="write"):
        orders((word,), ("lis", "emr"))


# --- MLLP parties ------------------------------------------------------------------------------------------


async def test_a_party_that_behaves_keeps_the_message_and_says_aa(lis):
    letter = a_letter()
    assert f"MSA|AA|{letter.control}".encode() in await answer_of(lis, letter)
    assert lis.received == [letter.control]
    assert lis.texts[letter.control] == letter.text


async def test_a_gb18030_message_is_read_by_what_it_says_of_itself(lis):
    letters = [letter for _, letter in plan(60, seed=2).adt if letter.charset is GB18030]
    await answer_of(lis, letters[0])
    assert lis.texts[letters[0].control] == letters[0].text


@pytest.mark.parametrize(
    ("word", "in_the_answer", "kept"),
    [
        ("slow:0.05", b"MSA|AA|A000000", True),
        ("refuse", b"MSA|AE|A000000", False),
        ("refuse:AR", b"MSA|AR|A000000", False),
        ("lie", b"MSA|AA|ANOTHER", True),
        ("garbage", b"no answer at all", True),
    ],
)
async def test_a_party_answers_as_it_was_told(lis, word, in_the_answer, kept):
    lis.behaviour.be(word)
    assert in_the_answer in await answer_of(lis, a_letter())
    assert bool(lis.received) is kept


async def test_a_party_told_to_cut_hangs_up_in_the_middle_of_its_answer(lis):
    lis.behaviour.be("cut*1")
    reader, writer = await asyncio.open_connection("127.0.0.1", lis.port)
    writer.write(frame(a_letter().body))
    said = await reader.read()
    writer.close()
    assert said.startswith(b"\x0bMSH|")
    assert b"\x1c" not in said
    assert len(lis.received) == 1


async def test_a_mute_party_does_it_and_says_nothing(lis):
    lis.behaviour.be("mute*1")
    letter = a_letter()
    reader, writer = await asyncio.open_connection("127.0.0.1", lis.port)
    writer.write(frame(letter.body) + frame(letter.body))
    said = await asyncio.wait_for(read_frame(reader), 10)  # to the second
    writer.close()
    assert b"MSA|AA" in said
    assert lis.received == [letter.control] * 2


async def test_an_absent_party_refuses_connections_until_it_comes_back():
    party = Lis()
    party.behaviour.be("absent")
    await party.open()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", party.port)
    await party.leave()
    party.behaviour.well()
    await party.open()
    assert b"MSA|AA" in await answer_of(party, a_letter())
    await party.leave()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", party.port)
    await party.close()


async def test_a_party_can_be_late_in_the_morning():
    party = Lis()
    party.behaviour.be("absent:0.05")
    await party.open()
    sender = MllpSender("127.0.0.1", party.port, SentBook())
    assert await sender.send(a_letter()) == "AA"
    sender.hang_up()
    await party.close()


async def test_a_sender_repeats_until_it_is_accepted_and_writes_it_down(lis):
    lis.behaviour.be("refuse:AE*1")
    lis.behaviour.be("cut*1")
    lis.behaviour.be("lie*1")
    book = SentBook()
    sender = MllpSender("127.0.0.1", lis.port, book)
    letter = a_letter()
    assert await sender.send(letter) == "AA"
    sender.hang_up()
    assert book.answers == {letter.control: "AA"}
    assert book.repeated == 3
    assert compare(book.accepted, lis.received).doubled == (letter.control,) * 2  # cut and lie had done it


async def test_a_sender_gives_up_on_ar_and_does_not_count_it_as_accepted(lis):
    lis.behaviour.be("refuse:AR")
    book = SentBook()
    sender = MllpSender("127.0.0.1", lis.port, book)
    assert await sender.send(a_letter()) == "AR"
    sender.hang_up()
    assert book.accepted == []


async def test_the_his_keeps_one_patients_messages_in_order(lis):
    day, his = plan(100, seed=3), His()
    await his.send(day.adt, lis.port)
    assert not any(compare(his.sent.accepted, lis.received).lost)
    for patient in {patient for patient, _ in day.adt}:
        sent = [letter.control for whose, letter in day.adt if whose == patient]
        assert [control for control in lis.received if control in sent] == sent


async def test_the_laboratory_answers_every_order_with_one_result_even_if_it_comes_twice():
    his = His()
    await his.open()
    lis = Lis(results_port=his.port, turnaround_s=0)
    await lis.open()
    day = plan(50, seed=3)
    arrived = asyncio.Event()
    lis.tell = lambda: arrived.set() if len(lis.sent.accepted) == len(day.orders) else None
    await his.send([*day.orders, *day.orders], lis.port)
    await asyncio.wait_for(arrived.wait(), 10)
    assert sorted(his.received) == sorted(f"R{letter.control}" for _, letter in day.orders)
    assert all("OBX|10|" in text for text in his.texts.values())
    await lis.close()
    await his.close()


# --- EMR ---------------------------------------------------------------------------------------------------


async def test_the_record_keeps_a_bundle_and_points_its_references_at_what_it_kept(emr):
    status, said = await ask(emr, "POST", "/fhir", patient_bundle())
    assert (status, said["type"]) == (200, "transaction-response")
    assert emr.received == ["C1"]
    assert emr.counts() == {"Patient": 1, "Encounter": 1}
    (encounter,) = emr.kept["Encounter"].values()
    assert encounter["subject"]["reference"] == said["entry"][0]["response"]["location"]


async def test_the_same_patient_twice_is_one_patient_with_the_newer_data(emr):
    await ask(emr, "POST", "/fhir", patient_bundle())
    await ask(emr, "POST", "/fhir", patient_bundle(gender="female"))
    assert emr.counts() == {"Patient": 1, "Encounter": 1}
    (patient,) = emr.kept["Patient"].values()
    assert patient["gender"] == "female"
    assert compare(["C1"], emr.received).doubled == ("C1",)


async def test_a_repeated_idempotency_key_gets_the_first_answer(emr):
    first = await ask(emr, "POST", "/fhir", patient_bundle(), Idempotency_Key="k1")
    again = await ask(emr, "POST", "/fhir", patient_bundle(gender="female"), Idempotency_Key="k1")
    assert first == again
    assert next(iter(emr.kept["Patient"].values()))["gender"] == "male"


async def test_the_record_refuses_what_breaks_the_schema_and_keeps_nothing_of_it(emr):
    status, said = await ask(emr, "POST", "/fhir", patient_bundle(gender="M"))
    assert (status, said["resourceType"]) == (422, "OperationOutcome")
    assert "gender" in said["issue"][0]["diagnostics"]
    assert not emr.received
    assert not emr.counts()


@pytest.mark.parametrize("body", ["text", {"resourceType": "Patient"}, [], {"type": "transaction"}])
async def test_the_record_refuses_what_is_no_transaction(emr, body):
    status, said = await ask(emr, "POST", "/fhir", body)
    assert status in (400, 422)
    assert said["resourceType"] == "OperationOutcome"


async def test_the_record_finds_a_patient_by_identifier_and_by_id(emr):
    await ask(emr, "POST", "/fhir", patient_bundle())
    status, found = await ask(emr, "GET", "/fhir/Patient?identifier=urn:example:hosp%7CP1")
    assert (status, found["total"]) == (200, 1)
    id = found["entry"][0]["resource"]["id"]
    assert (await ask(emr, "GET", f"/fhir/Patient/{id}"))[1]["name"] == [{"text": "王伟"}]
    assert (await ask(emr, "GET", "/fhir/Patient?identifier=nobody"))[1]["total"] == 0
    assert (await ask(emr, "GET", "/fhir/Patient/nobody"))[0] == 404
    assert emr.asked == ["urn:example:hosp|P1", "nobody"]


@pytest.mark.parametrize(("word", "status"), [("refuse", 503), ("refuse:422", 422), ("lie", 200)])
async def test_the_record_answers_as_it_was_told(emr, word, status):
    emr.behaviour.be(word)
    assert (await ask(emr, "POST", "/fhir", patient_bundle()))[0] == status
    assert bool(emr.received) is (word == "lie")


@pytest.mark.parametrize("word", ["cut", "garbage"])
async def test_the_record_keeps_it_and_hangs_up_when_told_to(emr, word):
    emr.behaviour.be(word)
    with pytest.raises((asyncio.IncompleteReadError, ValueError, IndexError)):
        await ask(emr, "POST", "/fhir", patient_bundle())
    assert emr.received == ["C1"]


# --- books and folders -------------------------------------------------------------------------------------


def test_books_side_by_side_name_what_was_lost_and_what_came_too_often():
    difference = compare(["a", "b", "b", "c"], ["b", "b", "c", "c", "x"])
    assert difference.lost == ("a",)
    assert difference.doubled == ("c", "x")


def test_a_dropped_list_counts_as_taken_once_its_file_is_gone(tmp_path):
    folders = Folders(tmp_path / "in", tmp_path / "out")
    for number, text in plan(200, seed=1).files.items():
        folders.drop(number, text)
    assert len(folders.look()) == 4
    (tmp_path / "in" / "PL00001.json").rename(tmp_path / "out" / "whatever.json")
    assert folders.look() == ["PL00000", "PL00002", "PL00003"]
    assert folders.sent.accepted == folders.received == ["PL00001"]


# --- the day -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [11, 12, 60, 500])
def test_a_day_has_as_many_messages_as_asked_for_and_something_for_every_channel(count):
    day = plan(count, seed=4)
    assert day.messages == count
    assert all([day.adt, day.orders, day.exams, day.queries, day.checkins, day.visits, day.files])


def test_a_day_without_imaging_has_as_many_messages():
    day = plan(60, seed=4, imaging=False)
    assert (day.messages, day.exams) == (60, [])


def test_the_same_seed_plays_the_same_day():
    assert plan(100, seed=5) == plan(100, seed=5)
    assert plan(100, seed=5) != plan(100, seed=6)
