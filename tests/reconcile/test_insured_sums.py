"""What 3201 and 3202 found becomes items that somebody explains."""

from __future__ import annotations

from recon_parts import DAY

from endpoints.insurance.statement_kept import Statement
from router.reconcile.insured import as_sums
from schemas.nhsa.statement import Amounts, Key
from schemas.nhsa.statement_judge import Advice, Difference
from schemas.statements.row import Wanted
from schemas.statements.sums import said


def _differs(kind: str, setl_id: str, centre: Amounts | None, ours: Amounts | None) -> Difference:
    key, advice = Key("999900", "310", "11"), Advice("look", "核对")
    return Difference(kind, key, setl_id, "", "", "", False, advice, centre, ours)  # type: ignore[arg-type]


def test_each_difference_of_the_centres_list_has_its_class_and_what_is_in_question() -> None:
    one, other = Amounts(10_000, 6_000, 500), Amounts(10_000, 5_999, 500)
    made = Statement(
        "H1",
        DAY,
        DAY,
        1,
        differences=(
            _differs("centre more", "A", one, None),
            _differs("hospital more", "B", None, one),
            _differs("amounts", "C", one, other),
        ),
    )
    rows = said(as_sums(made, DAY), Wanted("insurance", DAY))
    assert [(row.cls, row.key, row.theirs_fen, row.ours_fen) for row in rows] == [
        ("insurance-only", "A", 10_000, 0),
        ("his-only", "B", 0, 10_000),
        ("amount", "C", 6_000, 5_999),
    ]
