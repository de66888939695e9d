"""The outer message of the institution interface (报文): 18 fields and the input out, 6 fields and the output back.

Source: 定点医药机构接口规范, the envelope's two tables; what differs in practice is in `schemas/nhsa/envelope.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from msgspec import Struct

from config.errors import BadMessage, Refused
from schemas.json import Json
from schemas.message import NOTHING

CHINA = timezone(timedelta(hours=8))  # one time zone, without summer time since 1991
SERIALS = 10_000  # msgids of a second

# What a caller may say of a message, and how long each may be. The rest is the engine's own.
CALLERS: Mapping[str, int] = {
    "mdtrtarea_admvs": 6,
    "insuplc_admdvs": 6,
    "recer_sys_code": 10,
    "dev_no": 100,
    "dev_safe_info": 2000,
    "cainfo": 1024,
    "signtype": 10,
    "infver": 6,
    "opter_type": 3,
    "opter": 30,
    "opter_name": 50,
}
# A caller that hands over a whole envelope says these too: they are the engine's to say, and are passed over.
PASSED_OVER = frozenset(("infno", "msgid", "inf_time", "fixmedins_code", "fixmedins_name", "sign_no"))

_JSON = Json()
_MAX_TEXT = 2_000  # characters of err_msg and warn_msg


def china_time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(CHINA)


def msgid_of(fixmedins_code: str, at_ms: int, serial: int) -> str:
    """fixmedins_code (12) + yyyyMMddHHmmss + 4 digits. From serial 10,000 on: of the seconds after it."""
    seconds, place = divmod(serial, SERIALS)
    return f"{fixmedins_code}{china_time(at_ms + seconds * 1000):%Y%m%d%H%M%S}{place:04d}"


class Asked(Struct, frozen=True):
    """What a caller hands over: the transaction's input, and what it says of the envelope."""

    input: Any
    fields: Mapping[str, str] = NOTHING


def asked(tree: Mapping[str, Any], more: Mapping[str, str] = NOTHING) -> Asked:
    """`{"data": {...}}`, or `{"input": {"data": {...}}, "opter": "..."}`. `more` are further fields that may be said.

    Raises Refused (JL-N003, JL-N004).
    """
    if "input" not in tree:
        return Asked(tree)
    if not isinstance(tree["input"], dict | list):
        raise Refused("JL-N003", "input: must be an object 应为对象")
    fields: dict[str, str] = {}
    for name, value in tree.items():
        if name == "input" or name in PASSED_OVER or value is None:
            continue
        if name not in CALLERS and name not in more:
            raise Refused("JL-N004", f"{name[:60]}: the envelope has no such field 报文头无此字段")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise Refused("JL-N004", f"{name}: must be text 应为字符")
        if len(value) > CALLERS.get(name, _MAX_TEXT):
            raise Refused("JL-N004", f"{name}: longer than {CALLERS.get(name, _MAX_TEXT)} 超长")
        fields[name] = value
    return Asked(tree["input"], fields)


def written(fields: Mapping[str, str], input: Any, charset: str) -> tuple[bytes, bytes]:
    """What stands before the msgid and what follows it: of one input, for any number of msgids.

    `fields` are all but msgid and input, infno first. Raises Refused (JL-N001) for a character that the charset has
    not.
    """
    codec = "gb18030" if charset == "GBK" else "utf-8"
    head = _JSON.encode({"infno": fields["infno"]}).decode()[:-1]
    rest = _JSON.encode({name: value for name, value in fields.items() if name != "infno"}).decode()
    try:
        tail = f'",{rest[1:-1]},"input":{_JSON.encode(input).decode()}}}'.encode(codec)
    except (UnicodeEncodeError, BadMessage) as error:
        text = error.text if isinstance(error, BadMessage) else f"a character that {charset} does not have"
        raise Refused("JL-N001", text) from None
    return f'{head},"msgid":"'.encode(codec), tail


class Said(Struct, frozen=True):
    """A centre's answer, read. `infcode` is '0' for success, whether it came as a number or as text."""

    infcode: str
    inf_refmsgid: str = ""
    err_msg: str = ""
    warn_msg: str = ""
    output: Any = None
    msgid: str = ""  # of the request, where a province repeats it
    infno: str = ""


def read(body: bytes, charset: str = "") -> Said | str:
    """The answer, or why it is none. Money is Decimal."""
    tree: Any = None
    for codec in dict.fromkeys((charset, "", "gb18030")):
        try:
            tree = _JSON.decode(body, codec)
            break
        except BadMessage as error:
            why = error.text
    else:
        return f"no JSON: {why}"[:200]
    if not isinstance(tree, dict):
        return "JSON, and no object"
    infcode = _infcode(tree.get("infcode"))
    if infcode is None:
        return "JSON without an infcode"
    return Said(
        infcode=infcode,
        inf_refmsgid=_text(tree.get("inf_refmsgid"), 100),
        err_msg=_text(tree.get("err_msg")),
        warn_msg=_text(tree.get("warn_msg")),
        output=tree.get("output") if isinstance(tree.get("output"), dict | list) else None,
        msgid=_text(tree.get("msgid"), 100),
        infno=_text(tree.get("infno"), 20),
    )


def _infcode(value: Any) -> str | None:
    """0, "0", 0.0, "000" are 0. None where there is none: an empty one too says nothing."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    text = str(value).strip()[:20]
    zero = (text and not text.strip("0")) or (isinstance(value, Decimal) and value == 0)
    return "0" if zero else text or None


def _text(value: Any, limit: int = _MAX_TEXT) -> str:
    if value is None:
        return ""
    return (value if isinstance(value, str) else str(value))[:limit]
