"""The demo proves from the parties' own books that nothing was lost, and would notice if something were."""

import re
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from config.crypto import SiteKeys
from deploy.sandbox.balance import balance
from deploy.sandbox.demo import run_demo
from deploy.sandbox.hospital import Hospital
from deploy.sandbox.insured import STEPS, Amounts, read, written
from deploy.sandbox.traffic import TO_LIS, plan
from router.envelope import Attempt, Envelope
from router.store import open_store
from schemas.dicom import Dicom

VERDICT = r"demo: accepted (\d+), delivered (\d+), filtered (\d+), dead (\d+), lost (\d+)"


def verdict(said: str) -> tuple[int, ...]:
    (line,) = (line for line in said.splitlines() if line.startswith("demo: "))
    match = re.fullmatch(VERDICT, line)
    assert match, line
    return tuple(map(int, match.groups()))


@pytest.mark.timeout(90)
async def test_a_slow_laboratory_and_a_record_that_refuses_some_lose_nothing(capsys):
    assert (
        await run_demo(count=60, seed=7, misbehave=["lis=slow:0.05", "emr=refuse@15%", "emr=refuse:422*2"])
        == 0
    )
    said = capsys.readouterr().out
    accepted, delivered, filtered, dead, lost = verdict(said)
    assert (accepted, lost) == (60, 0)
    assert dead == 2
    assert delivered + filtered + dead == expected_deliveries(60, seed=7)
    assert "the centre's books say the same" in " ".join(said.split())
    for channel in (
        "his-adt",
        "his-orders",
        "lab-results",
        "patient-query",
        "kiosk-checkin",
        "branch-visits",
        "imaging-orders",
        "images",
        "insurance",
    ):
        assert channel in said


def expected_deliveries(count: int, seed: int) -> int:
    """What the traffic itself asks for: ADT and results go two ways, the others one; an examination brings an image."""
    day = plan(count, seed)
    single = (day.queries, day.checkins, day.visits, day.files)
    ways = 2 * len(day.adt) + 3 * len(day.orders) + 2 * len(day.exams) + sum(map(len, single))
    return ways + len(STEPS) * day.insured


async def test_without_the_extra_dicom_the_demo_says_so_and_plays_the_rest(capsys, monkeypatch):
    def installed(module):
        return None if module in ("pydicom", "pynetdicom") else find_spec(module)

    for user in ("deploy.sandbox.hospital", "channels.systems"):
        monkeypatch.setattr(f"{user}.find_spec", installed)
    assert await run_demo(count=20) == 0
    said = capsys.readouterr()
    assert "pip install 'jingluo[dicom]'" in said.out
    assert "worklist" not in said.out
    assert verdict(said.out)[0] == 20


async def test_a_word_that_nobody_understands_ends_the_demo_before_it_begins(capsys):
    assert await run_demo(misbehave=["lis=dance"]) == 2
    assert "slow" in capsys.readouterr().err


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/journal.db", SiteKeys(bytes(16)))
    opened.write([], [])
    yield opened
    opened.close()


@pytest.fixture
def one_admission(tmp_path):
    """A hospital whose HIS was told AA for one admission, and which nobody has received."""
    hospital, day = Hospital(tmp_path), plan(20, seed=1)
    letter = next(letter for _, letter in day.adt if letter.kind in TO_LIS)
    hospital.his.sent.answers[letter.control] = "AA"
    return hospital, day, letter


def in_the_journal(letter) -> Envelope:
    """The row of an admission that goes to both, and has not arrived anywhere yet."""
    return Envelope(
        id="0" * 32,
        channel="his-adt",
        received_ms=1,
        source="",
        format="hl7v2",
        charset="",
        kind=letter.kind,
        body=letter.body,
        headers={},
        index={},
        destinations=("lis", "emr"),
    )


def losses(result) -> dict[tuple[str, str], int]:
    return {(line.channel, line.destination): line.lost for line in result.lines if line.lost}


def test_what_a_party_was_told_yes_for_and_nobody_got_is_lost(store, one_admission):
    hospital, day, letter = one_admission
    assert losses(balance(store, hospital, day)) == {("his-adt", "lis"): 1, ("his-adt", "emr"): 1}
    hospital.lis.received.append(letter.control)
    assert losses(balance(store, hospital, day)) == {("his-adt", "emr"): 1}


def test_what_the_journal_knows_as_dead_or_waiting_is_not_lost(store, one_admission):
    hospital, day, letter = one_admission
    message = in_the_journal(letter)
    store.write([message], [Attempt(message.id, "his-adt", "emr", 1, 2, 1, "dead", "JL-E101", "no")])
    result = balance(store, hospital, day)
    assert losses(result) == {}
    assert result.verdict == "demo: accepted 1, delivered 0, filtered 0, dead 1, lost 0"


def test_an_image_that_the_archive_does_not_have_is_known_by_its_uid(store, one_admission):
    hospital, day, letter = one_admission
    hospital.his.sent.answers.clear()
    hospital.imaging.modality.sent.answers["2.25.17"] = "0000"
    assert losses(balance(store, hospital, day)) == {("images", "pacs"): 1}
    body = Dicom().encode({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "2.25.17"})
    image = replace(in_the_journal(letter), channel="images", body=body, destinations=("pacs",))
    store.write([image], [Attempt(image.id, "images", "pacs", 1, 2, 1, "dead", "JL-E836", "no")])
    assert losses(balance(store, hospital, day)) == {}


def test_what_came_twice_is_counted_and_not_lost(store, one_admission):
    hospital, day, letter = one_admission
    hospital.lis.received += [letter.control] * 2
    hospital.emr.received.append(letter.control)
    store.write([in_the_journal(letter)], [])
    result = balance(store, hospital, day)
    assert result.lost == 0
    assert [line.doubled for line in result.lines if line.channel == "his-adt"] == [1, 0]


def test_a_message_that_the_journal_has_forgotten_is_lost_even_if_it_arrived(store, one_admission):
    hospital, day, letter = one_admission
    hospital.lis.received.append(letter.control)
    hospital.emr.received.append(letter.control)
    assert balance(store, hospital, day).lost == 1


def test_a_settlement_that_callers_and_the_centre_do_not_know_alike_is_lost_money(store, one_admission):
    hospital, day, _ = one_admission
    hospital.his.sent.answers.clear()
    assert balance(store, hospital, day).lost == 0
    hospital.insured.branch.settled["S1"] = Amounts(8650, 5040, 2000, 1610)
    assert hospital.insured.differences() == {"S1": (Amounts(8650, 5040, 2000, 1610), None)}
    assert balance(store, hospital, day).lost == 1


def test_the_branch_reads_what_it_writes():
    tree = {"outcome": "OK", "output": {"setlinfo": {"a": "1 < 2"}, "detail": [{"b": "1"}, {"b": "2"}]}}
    assert read(ElementTree.fromstring(f"<Response>{written(tree)}</Response>")) == tree
