"""A process that dies as a request leaves: the short form of `make insurance-kill`."""

from __future__ import annotations

from insurance_kill import MOMENTS, run, table


async def test_what_left_before_the_process_died_is_on_record_and_is_not_sent_again(journal_url: str) -> None:
    each = 2 if journal_url.startswith("sqlite") else 1
    counts = await run(journal_url, times=each * len(MOMENTS))
    print(table(counts))
    for moment, one in counts.items():
        assert (one.kills, one.stored, one.twice) == (each, one.got, 0), moment
    for moment in ("first bytes", "arrived", "answered"):
        assert counts[moment].got == each
        assert set(counts[moment].then) <= {"UNKNOWN", "OK"}
