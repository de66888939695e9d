"""The judge of the journal's counts: what it excuses, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from balance import KEYS, unbalanced
from verdict import Copy, Number, Sent

from router.envelope import Attempt, Envelope
from router.ids import new_id
from router.store import open_store

NOW_MS = 1_790_000_000_000
ONE, TWO = Number("adt", "K0", 1), Number("adt", "K0", 2)


def message(of: Number) -> Envelope:
    return Envelope(
        new_id(NOW_MS),
        of.channel,
        NOW_MS,
        *("mllp", "hl7v2", "", "ADT^A01", b"MSH|", {}),
        {"number": f"{of.key}-{of.number}"},
        ("emr",),
    )


def sent(e: Envelope) -> Attempt:
    return Attempt(e.id, e.channel, "emr", 1, NOW_MS, 1, "sent", "AA")


@pytest.mark.parametrize(
    ("codes", "found"),
    [(["", "AA"], []), (["AA"], ["journal: adt.emr delivered 1, the receiver took 2"])],
    ids=["its sender sent it again", "its sender was told yes"],
)
def test_what_a_receiver_took_and_the_journal_has_not_heard_of(
    tmp_path: Path, codes: list[str], found: list[str]
) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    known, unheard = message(ONE), message(TWO)
    store = open_store(url, KEYS)
    store.write([known], [sent(known), sent(unheard)])
    store.close()
    copies = [Copy(ONE, 1.0, yes=True, id=known.id), Copy(TWO, 2.0, yes=True, id=unheard.id)]
    book = [Sent(ONE, ("adt.emr",), ["AA"]), Sent(TWO, ("adt.emr",), codes)]
    odd = [line for line in unbalanced(url, book, {"adt.emr": copies}) if "took" in line]
    assert odd == found
