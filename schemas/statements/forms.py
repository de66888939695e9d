"""The forms of statements by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from config.errors import BadMessage
from schemas.statements.alipay import alipay
from schemas.statements.profile import PROFILES, Profile, profiled
from schemas.statements.row import Row, Wanted
from schemas.statements.sums import sums
from schemas.statements.unionpay import unionpay
from schemas.statements.wechat import wechat

FORMS: Mapping[str, Callable[[bytes, Wanted], list[Row]]] = {
    "wechat": wechat,
    "alipay": alipay,
    "unionpay": unionpay,
    "sums": sums,
}
NAMES = (*FORMS, *PROFILES)
CUTS: Mapping[str, int] = {"unionpay": 1}  # whose day does not end at midnight: hours before


def read_statement(form: str | Profile, body: bytes, wanted: Wanted) -> list[Row]:
    """Raises BadMessage (JL-Q001 to JL-Q009)."""
    if isinstance(form, Profile):
        return profiled(body, wanted, form)
    if form in PROFILES:
        return profiled(body, wanted, PROFILES[form])
    if form not in FORMS:
        raise BadMessage("JL-Q009", f"no form of statements is called {form[:40]!r}: {', '.join(NAMES)}")
    return FORMS[form](body, wanted)
