"""Rows of a day's account, made for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from schemas.nhsa.statement import Amounts, Row


def row(number: int = 1, **changed: Any) -> Row:
    """A settlement of an outpatient: 86.50 in all, 50.40 by the fund, 20.00 by the account, 16.10 in cash."""
    plain: dict[str, Any] = {
        "setl_id": f"S{number}",
        "mdtrt_id": f"M{number}",
        "psn_no": f"P{number}",
        "amounts": Amounts(8650, 5040, 2000, 1610),
        "setl_optins": "999900",
        "insutype": "310",
        "clr_type": "11",
        "day": "2026-01-15",
        "msgid": f"H9999990000120260115103000{number:04}",
        "infno": "2207",
    }
    return Row(**{**plain, **changed})


_WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=12
).filter(lambda text: text.strip() == text and text.lower() != "null")
_FEN = st.integers(0, 10**14)

rows = st.builds(
    Row,
    setl_id=_WORDS,
    mdtrt_id=_WORDS,
    psn_no=_WORDS,
    amounts=st.builds(Amounts, _FEN, _FEN, _FEN, st.none() | _FEN),
    cancel=st.booleans(),
    setl_optins=st.sampled_from(["999900", "999901"]),
    insutype=st.sampled_from(["310", "390"]),
    clr_type=st.sampled_from(["11", "21"]),
    day=st.just("2026-01-15"),
)
