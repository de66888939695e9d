"""交易账单 (trade bill) of a day: asked for, downloaded, unpacked, and held against its SHA-1."""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config.errors import Refused

if TYPE_CHECKING:
    from endpoints.payment.wechat.wire import WechatWire

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
# There is none, or none yet; 20002 is v2's number for it.
_NONE = frozenset(("NO_STATEMENT_EXIST", "STATEMENT_CREATING", "NO_BILL_EXIST", "20002"))


async def bill(wire: WechatWire, day: str, sub_merchant: str, limit: int) -> bytes | None:
    """The CSV in UTF-8. Raises Refused: JL-P105 no day, JL-P108 it cannot be had, JL-P109 it is not whole."""
    if not _DAY.fullmatch(day):
        raise Refused("JL-P105", "a bill is of a `day`: yyyy-MM-dd 账单日期无效")
    sub = f"&sub_mchid={sub_merchant}" if sub_merchant else ""
    heard = await wire.ask("GET", f"/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP{sub}")
    if heard.code in _NONE:
        return None
    where = urlsplit(str(heard.tree.get("download_url") or ""))
    if not heard.done or not where.path:
        raise Refused("JL-P108", f"no bill of {day}: {heard.code} {heard.text}", retry=True)
    packed = await wire.download(f"{where.path}?{where.query}" if where.query else where.path)
    if packed is None:
        raise Refused("JL-P108", f"the bill of {day} cannot be downloaded 账单下载失败", retry=True)
    text = _unpacked(packed, limit)
    if text is None or hashlib.sha1(text).hexdigest() != str(heard.tree.get("hash_value", "")).lower():
        raise Refused("JL-P109", f"the bill of {day} is not what its hash says 账单校验失败", retry=True)
    return text


def _unpacked(packed: bytes, limit: int) -> bytes | None:
    """None where it is cut, or larger than `limit`."""
    if not packed.startswith(b"\x1f\x8b"):
        return packed
    unpacking = zlib.decompressobj(31)
    try:
        text = unpacking.decompress(packed, limit)
    except zlib.error:
        return None
    return text if unpacking.eof else None
