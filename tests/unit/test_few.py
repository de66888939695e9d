"""An outage writes some lines a minute to the log, however much fails in it."""

from __future__ import annotations

from structlog.testing import capture_logs

from router.few import MOST, Few


async def test_the_first_of_each_minute_are_written_and_the_others_counted() -> None:
    few = Few("adt", "lis")
    with capture_logs() as logs:
        for n in range(1000):
            few.say("delivery.retry", "JL-E110", message=f"m{n}", attempt=1)
        few.say("delivery.dead", "JL-E117", message="other", attempt=9)
        few.over()
        few.over()
    assert len(logs) == MOST + 2
    assert logs[0] == {
        "event": "delivery.retry", "log_level": "info", "channel": "adt", "destination": "lis",
        "code": "JL-E110", "message": "m0", "attempt": 1,
    }  # fmt: skip
    assert [line["message"] for line in logs if line["event"] == "delivery.dead"] == ["other"]
    assert (logs[-1]["event"], logs[-1]["code"], logs[-1]["count"]) == (
        "delivery.retry_more",
        "JL-E110",
        1000 - MOST,
    )
    with capture_logs() as logs:
        few.say("delivery.retry", "JL-E110", message="next", attempt=2)
    assert [line["message"] for line in logs] == ["next"], "another minute"
