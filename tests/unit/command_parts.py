"""What the journal's commands are tried on: twelve messages, one of them dead."""

from __future__ import annotations

from collections.abc import Callable

from router.envelope import Attempt, Envelope

NOW = 1_790_000_000_000
BODY = "MSH|^~\\&|HIS|WARD\rPID|1||P0007||测试^甲\r".encode("gb18030")

Run = Callable[..., tuple[int, str]]


def stored(number: int, outcome: str = "") -> tuple[Envelope, list[Attempt]]:
    id = f"{NOW + number:012x}{number:020x}"
    facts = {"patient": f"P{number:04}", "name": "测试[甲]"}
    e = Envelope(
        id,
        "his-adt",
        NOW + number,
        "mllp ::1",
        "hl7v2",
        "GB18030",
        "ADT^A01",
        BODY,
        {},
        facts,
        ("lis", "emr"),
    )
    code = "AR" if outcome == "dead" else "AA"
    tries = (
        [Attempt(id, "his-adt", "lis", 1, NOW, 3, outcome, code, "no [bed]", b"MSA|AR|1\r")]
        if outcome
        else []
    )
    return e, tries
