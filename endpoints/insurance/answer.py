"""What a caller hears of one exchange, as JSON: outcome, the centre's words, its output, and what is odd about it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from endpoints.insurance.outcomes import Judged
from endpoints.insurance.records import Exchange, Outcome
from schemas.validation.base import Fault


class Answer(Struct, frozen=True):
    """`exchange` is its row; `file` is what came in place of an envelope."""

    outcome: Outcome
    exchange: Exchange
    infcode: str = ""
    inf_refmsgid: str = ""
    err_msg: str = ""
    warn_msg: str = ""
    output: Any = None
    warnings: tuple[Fault, ...] = ()
    code: str = ""  # of ours, where the centre's words are not all: JL-N013 ...
    file: bytes = b""
    again: bool = False  # it was given before

    @property
    def text(self) -> str:
        """Why it is not OK, for people."""
        return self.err_msg or next((fault.text for fault in self.warnings), "")

    def tree(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "infno": self.exchange.infno,
            "msgid": self.exchange.msgid,
            "infcode": self.infcode,
            "inf_refmsgid": self.inf_refmsgid,
            "err_msg": self.err_msg,
            "warn_msg": self.warn_msg,
            "output": self.output,
            "warnings": [
                {"code": fault.code, "text": fault.text, "path": fault.path} for fault in self.warnings
            ],
        }


def answer_of(exchange: Exchange, judged: Judged, output: Any, warnings: list[Fault]) -> Answer:
    """Of an outcome that there is."""
    assert judged.outcome is not None
    said = judged.said
    own = [Fault("", judged.text, judged.code)] if judged.code else []
    return Answer(
        outcome=judged.outcome,
        exchange=exchange,
        infcode=said.infcode if said else "",
        inf_refmsgid=said.inf_refmsgid if said else "",
        err_msg=said.err_msg if said else "",
        warn_msg=said.warn_msg if said else "",
        output=output,
        warnings=(*own, *warnings),
        code=judged.code,
        file=judged.file,
    )
