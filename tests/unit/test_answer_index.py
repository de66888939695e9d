"""`index:` of a destination: what the journal finds a message by in the answer."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from channels.loader import Site, load_site
from channels.report import check_site
from config.errors import BadMessage, Refused
from config.settings import load_settings
from endpoints.base import Destination
from router.attempt import Attempter, Outcome
from router.envelope import Envelope
from router.large import Large
from router.proving.runner import run_tests
from schemas.message import Message, Receipt

CHANNEL = """\
channel: bills
from: {channel: {}}
format: json
index: {visit: $.visit}
to:
  centre:
    send: {http: {url: "http://centre.example/"}}
    index: {setl_id: $.output.setl_id, first: "$.output.rows[0].sn | lower", visit: $.visit}
tests:
  - name: a bill
    given: {visit: V1}
    while: {centre: {body: {output: {setl_id: S1, rows: [{sn: A}, {sn: B}]}}}}
    expect: {journal: {index: {visit: V1, setl_id: S1, first: a}}}
  - name: an answer without it
    given: {visit: V1}
    while: {centre: {body: {output: null}}}
    expect: {journal: {index: {setl_id: null}}}
"""


def put(folder: Path, text: str) -> Site:
    (folder / "channels").mkdir(exist_ok=True)
    (folder / "channels" / "bills.yaml").write_text(text)
    return load_site(load_settings(folder, {}), {})


class Says:
    """A destination that says what it is told to."""

    def __init__(self, said: Receipt | Exception) -> None:
        self.said = said

    async def send(self, message: Message) -> Receipt:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


async def tried(folder: Path, said: Receipt | Exception) -> Outcome:
    (channel,) = put(folder, CHANNEL).channels
    envelope = Envelope("0" * 32, "bills", 1, "", "json", "", "", b"{}", {}, {}, ("centre",))
    centre, no_bodies = cast(Destination, Says(said)), cast(Large, None)
    return await Attempter(channel, channel.branches[0], centre, lambda: 1, no_bodies).attempt(envelope, 1)


async def test_an_attempt_carries_the_values_of_the_whole_answer(tmp_path: Path) -> None:
    body = (
        b'{"pad": "' + b"x" * 300_000 + b'", "output": {"setl_id": "S1", "rows": [{"sn": "A"}]}, "visit": ""}'
    )
    outcome = await tried(tmp_path, Receipt("200", body, "json"))
    assert outcome.record.index == {"setl_id": "S1", "first": "a"}
    assert len(outcome.record.answer) < len(body)


async def test_a_refusal_for_good_is_found_by_what_it_says_too(tmp_path: Path) -> None:
    refused = Refused("JL-E224", "no", retry=False, answer=b'{"output": {"setl_id": "S2"}}')
    outcome = await tried(tmp_path, refused)
    assert (outcome.record.outcome, outcome.record.index) == ("dead", {"setl_id": "S2"})
    again = await tried(tmp_path, Refused("JL-E224", "no", retry=True, answer=refused.answer))
    assert (again.record.outcome, again.record.index) == ("retry", {})


@pytest.mark.parametrize("said", [b"<html>", b"{", b"[1]", b"null", b""])
async def test_an_answer_of_another_kind_changes_nothing_else(tmp_path: Path, said: bytes) -> None:
    outcome = await tried(tmp_path, Receipt("200", said, "json"))
    assert (outcome.record.outcome, outcome.record.code, outcome.record.index) == ("sent", "200", {})
    assert ("cannot be read" in outcome.record.reason) is (said in (b"<html>", b"{"))


def test_tests_of_a_channel_may_say_what_the_journal_finds(tmp_path: Path) -> None:
    put(tmp_path, CHANNEL)
    report = run_tests(load_settings(tmp_path, {}), {})
    assert (len(report.results), report.failed) == (2, [])
    put(tmp_path, CHANNEL.replace("setl_id: S1, first", "setl_id: S2, first"))
    assert [result.name for result in run_tests(load_settings(tmp_path, {}), {}).failed] == ["a bill"]


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("setl_id: $.output.setl_id", "id: $.output.setl_id", "JL-C035", "a column 'id' of its own"),
        ("setl_id: $.output.setl_id", "Setl: $.output.setl_id", "JL-C035", "cannot name an index"),
        ("$.output.setl_id,", "$.output.setl_id | lowr,", "JL-C102", "lower"),
        (
            '{http: {url: "http://centre.example/"}}',
            "{file: {folder: out}}",
            "JL-C059",
            "kind file gives no answer",
        ),
        (
            '{http: {url: "http://centre.example/"}}',
            "{channel: bills2}",
            "JL-C059",
            "kind channel gives no answer",
        ),
        ("setl_id: S1, first", "setl: S1, first", "JL-C085", "did you mean 'setl_id'?"),
    ],
)
def test_a_slip_is_found_where_it_stands(tmp_path: Path, old: str, new: str, code: str, said: str) -> None:
    put(tmp_path, CHANNEL.replace(old, new))
    found = [f for f in check_site(tmp_path, {}) if f.code == code]
    assert len(found) == 1, check_site(tmp_path, {})
    assert said in found[0].message + found[0].hint


def test_answers_are_read_in_the_format_of_the_kind_or_of_the_replys_map(tmp_path: Path) -> None:
    text = CHANNEL.split("tests:")[0].replace(
        '{http: {url: "http://centre.example/"}}', "{mllp: {host: lis.example, port: 2575}}"
    )
    text = text[: text.index("    index: {setl_id")] + "    index: {control: $MSA-2}\n"
    (channel,) = put(tmp_path, text).channels
    findable = channel.branches[0].findable
    assert findable is not None
    assert findable(b"MSH|^~\\&|LIS\rMSA|AA|77\r", None) == {"control": "77"}
    with pytest.raises(BadMessage):
        findable(b"AA", None)
