"""The table of many trials: a line a fault, and all together."""

from __future__ import annotations

from table import Tally
from trial import Result
from verdict import Verdict


def test_trials_are_added_up_by_fault_and_those_with_two_faults_together() -> None:
    tally = Tally()
    whole = Verdict(accepted=10, doubled=3, explained=3, in_flight_s=0.25)
    tally.add(Result(1, "kill", "embedded, 1 process", whole, outage_s=2.5))
    tally.add(Result(2, "kill", "embedded, 1 process", Verdict(accepted=5, lost=["a"]), ["a"], outage_s=1.5))
    tally.add(Result(3, "kill+stop", "embedded, 1 process", Verdict(accepted=1)))
    table = tally.table()
    assert table.rows == [
        ["kill", "2", "1", "15", "1", "3", "3", "0", "0.250", "2.50"],
        ["two together", "1", "0", "1", "0", "0", "0", "0", "0.000", "0.000"],
        ["all", "3", "1", "16", "1", "3", "3", "0", "0.250", "2.50"],
    ]
    assert "longest outage s" in str(table)


def test_no_trial_makes_an_empty_table() -> None:
    assert Tally().table().rows == []
    assert "fault" in str(Tally().table())
