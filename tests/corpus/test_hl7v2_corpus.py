"""Every HL7 v2 input of the shared corpus: written back as the same bytes, or refused with a reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from config.errors import BadMessage
from schemas.hl7v2 import Hl7v2, ack, read_ack, split_batch

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
HL7 = Hl7v2()
PATHS = [
    HL7.path(text)
    for text in ["MSH-9.1", "MSH-10", "PID-3", "PID-3[2].4.2", "PID-5.1", "OBX", "OBX[]-5", "OBX[3]-5.2"]
]
# What is refused, and why: nothing else may be.
REFUSED = {
    # a header of delimiters only, or not even those
    "hl7v2/ballerina/parser_tests_02-3.hl7#1": "JL-M003",
    "hl7v2/ballerina/parser_tests_02-4.hl7#1": "JL-M003",
    "hl7v2/ballerina/parser_tests_02-6.hl7#1": "JL-M003",
    "hl7v2/ballerina/parser_tests_02-7.hl7#1": "JL-M003",
    "hl7v2/ballerina/parser_tests_02-9.hl7#1": "JL-M003",
    "hl7v2/cosyte/malformed__msh-too-short.hl7#0": "JL-M003",
    "hl7v2/cosyte/stream__malformed-mid-stream.hl7#1": "JL-M003",
    "mpl/hapi/NewPipeParserTest_12-2.hl7#0": "JL-M003",
    "mpl/hapi/NewPipeParserTest_13.hl7#0": "JL-M003",
    "mpl/hapi/NewPipeParserTest_14.hl7#0": "JL-M003",
    "mpl/hapi/NewPipeParserTest_17.hl7#0": "JL-M003",
    "mpl/hapi/VariesTest_06.hl7#0": "JL-M003",
    "mpl/hapi/VariesTest_10.hl7#0": "JL-M003",
    # delimiters that are the same mark twice, or prose
    "hl7v2/cdc-data-exchange/Lyme_WithBadDelimiters.hl7#0": "JL-M003",
    "hl7v2/hl7apy/test_parser_10.hl7#0": "JL-M003",
    "hl7v2/hl7types/test_abstract_segment_02.hl7#0": "JL-M003",
    "mpl/hapi/ProcessorImplTest_17.hl7#0": "JL-M003",
    # segments called ZWCC, PIDX and I
    "hl7v2/hl7types/test_registry_01.hl7#0": "JL-M006",
    "hl7v2/rethink/invalid-segment-header-length.hl7#0": "JL-M006",
    "mpl/hapi/NewPipeParserTest_23.hl7#0": "JL-M006",
}

pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the repository"),
    pytest.mark.timeout(60),
]


def inputs(*ends: str, under: str = "") -> list[Path]:
    """Files of the corpus by how their names end."""
    with (CORPUS / "MANIFEST.jsonl").open(encoding="utf-8") as lines:
        names = [json.loads(line)["file"] for line in lines]
    return [CORPUS / name for name in names if name.endswith(ends) and name.startswith(under)]


def refusal(body: bytes) -> str:
    """Reads, asks and writes back one message; the code of the refusal, or '' when there is none."""
    try:
        tree = HL7.decode(body)
    except BadMessage as error:
        return error.code
    for path in PATHS:
        path.one(tree)
        path.many(tree)
    HL7.sniff(tree)
    assert HL7.encode(tree) == body
    return ""


def test_every_message_is_read_and_written_back_as_the_same_bytes_or_refused_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = inputs(".hl7")
    refused: dict[str, str] = {}
    messages = 0
    for file in files:
        for number, body in enumerate(split_batch(file.read_bytes())):
            messages += 1
            if code := refusal(body):
                refused[f"{file.relative_to(CORPUS)}#{number}"] = code
    with capsys.disabled():
        print(f"\n{messages} messages in {len(files)} files, refused {dict(Counter(refused.values()))}")
    assert len(files) >= 995
    assert messages >= 1000
    assert refused == REFUSED


def test_laying_a_field_over_a_message_changes_no_other_byte() -> None:
    """MSH-10 is set to what it is, so that the message is taken apart and put together again."""
    laid = 0
    control_id = HL7.path("MSH-10")
    for file in inputs(".hl7"):
        for body in split_batch(file.read_bytes()):
            if refusal(body) or not (control_id.one(HL7.decode(body)) or "").isalnum():
                continue
            tree = HL7.decode(body)
            made = HL7.build({"MSH": {10: control_id.one(tree)}}, tree)
            assert made is not tree
            assert HL7.encode(made) == body
            laid += 1
    assert laid > 600


def test_what_fuzzers_found_and_broken_frames_end_in_a_tree_or_a_refusal() -> None:
    files = inputs(".bin") + inputs(".txt", under="mpl/") + inputs(".xml", under="mpl/hapi-v2xml")
    codes: Counter[str] = Counter()
    for file in files:
        body = file.read_bytes()
        for part in [body, *split_batch(body), *body.split(b"\x0b")]:
            codes[refusal(part)] += 1
    assert len(files) >= 50
    assert codes[""] >= 60
    assert codes["JL-M001"] + codes["JL-M002"] + codes["JL-M003"] >= 40


def test_every_input_can_be_answered_and_every_answer_names_the_message() -> None:
    for file in inputs(".hl7", ".bin"):
        for body in split_batch(file.read_bytes()):
            answer = read_ack(ack(body, "AE", time="20260105", control_id="7", text="no", error_code="207"))
            read_ack(body)
            assert answer.code == "AE"
            if not refusal(body):
                assert answer.control_id == (HL7.path("MSH-10").one(HL7.decode(body)) or "")
