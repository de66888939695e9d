"""What a terminal says: read and checked. Pure; amounts are integer fen, times Unix milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from config.errors import Refused
from endpoints.payment.numbers import fen_of

Kind = Literal["sale", "void", "refund"]
CHARGED = "00"  # the response code (应答码) of a transaction that was done
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_CARD = re.compile(r"[0-9*]{0,6}\*+[0-9]{4}")  # masked: a whole card number is refused


class Transaction(Struct, frozen=True):
    """Of a POS. It does not know a charge that comes twice: only `order`, our number in its memo, tells."""

    terminal: str
    kind: Kind
    response: str
    fen: int
    at_ms: int
    trace: str = ""  # POS流水号
    reference: str = ""  # 检索参考号: what the bank's statement has
    batch: str = ""
    order: str = ""
    refund: str = ""
    card: str = ""

    @property
    def done(self) -> bool:
        return self.response == CHARGED

    @property
    def facts(self) -> dict[str, str]:
        found = {"trace_no": self.trace, "batch_no": self.batch, "card": self.card, "terminal": self.terminal}
        return {name: value for name, value in found.items() if value}


class Note(Struct, frozen=True):
    """One note (or coin) that a box has swallowed. `sequence` counts from 1 in each box of a device."""

    terminal: str
    box: str
    sequence: int
    fen: int
    at_ms: int
    order: str = ""

    @property
    def key(self) -> str:
        return note_key(self.terminal, self.box, self.sequence)


def note_key(terminal: str, box: str, sequence: int) -> str:
    return f"{terminal}/{box}/{sequence}"


def terminal_of(asked: Mapping[str, Any]) -> str:
    """Raises Refused (JL-P320)."""
    return name_of(asked, "terminal")


def name_of(asked: Mapping[str, Any], field: str) -> str:
    text = str(asked.get(field) or "")
    if not _NAME.fullmatch(text):
        raise Refused("JL-P320", f"`{field}` is missing, or no name 缺少{field}")
    return text


def transaction_of(terminal: str, said: Any, kind: Kind = "sale") -> Transaction:
    """Raises Refused (JL-P320)."""
    if not isinstance(said, Mapping):
        raise Refused("JL-P320", "a transaction of a POS is an object 交易记录应为对象")
    card = str(said.get("card") or "")
    if card and not _CARD.fullmatch(card):
        raise Refused("JL-P320", "`card` is masked, or left out 卡号须脱敏")
    kinds: dict[str, Kind] = {"sale": "sale", "void": "void", "refund": "refund"}
    response = str(said.get("response") or "")
    done = response == CHARGED
    return Transaction(
        terminal,
        kinds.get(str(said.get("kind") or kind), kind),
        response,
        fen_of(said.get("amount")) if done or said.get("amount") else 0,
        _ms(said.get("at")) if done else 0,
        _short(said, "trace"),
        _short(said, "reference", needed=done),
        _short(said, "batch"),
        _short(said, "order"),
        _short(said, "refund"),
        card,
    )


def note_of(asked: Mapping[str, Any]) -> Note:
    """Raises Refused (JL-P320)."""
    sequence = asked.get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 < sequence < 10_000_000:
        raise Refused("JL-P320", "`sequence` counts the notes of a box, from 1 序号无效")
    return Note(
        terminal_of(asked),
        name_of(asked, "box"),
        sequence,
        fen_of(asked.get("amount")),
        _ms(asked.get("at")),
        _short(asked, "order"),
    )


def time_of(asked: Mapping[str, Any]) -> int:
    """`at`, in ms. Raises Refused (JL-P320)."""
    return _ms(asked.get("at"))


def _short(said: Mapping[str, Any], name: str, needed: bool = False) -> str:
    value = said.get(name)
    text = "" if value is None else str(value)
    if len(text) > 40 or not text.isprintable() or (needed and not text):
        raise Refused("JL-P320", f"`{name}` is missing, or too long 缺少{name}或过长")
    return text


def _ms(said: Any) -> int:
    try:
        time = datetime.fromisoformat(str(said))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Refused("JL-P320", "`at` is a time like 2026-01-05T09:30:00+08:00 时间格式错误")
    return int(time.timestamp() * 1000)
