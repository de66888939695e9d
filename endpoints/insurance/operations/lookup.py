"""`insurance.lookup`: what the catalogues and dictionaries here say, for a HIS that asks. The centre is not asked.

A message is `{"kind": "1301", "code": "X..."}`: all records of an item, the newest first; `{"kind": "1901", "code":
"med_type"}`: the values of a list; or `{"kind": "1301", "text": "阿司匹林", "limit": 20}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from config.errors import BadMessage, Refused
from endpoints.insurance import kinds, registers
from endpoints.insurance.catalogues import Catalogues
from endpoints.insurance.lines import Value
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only, tables_of
from schemas.message import Message, Receipt

MOST = 1_000  # rows of one answer


@operation("lookup")
async def lookup(party: Party, message: Message) -> Receipt:
    tree = body_of(message, party.options.max_input)
    only(tree, "kind", "code", "text", "limit")
    kind, code, text = (str(tree.get(name) or "") for name in ("kind", "code", "text"))
    limit = tree.get("limit", 20)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MOST:
        raise Refused("JL-N115", f"limit is a number from 1 to {MOST}")
    try:
        found = await asyncio.to_thread(rows, tables_of(party), kind, code=code, text=text, limit=limit)
    except BadMessage as error:
        raise Refused(error.code, error.text) from None
    return receipt("OK", {"outcome": "OK", "kind": kind, "rows": found})


def rows(
    tables: Catalogues, kind: str, *, code: str = "", text: str = "", limit: int = 20
) -> Sequence[Mapping[str, Value]]:
    """By code, or by what code, name or pinyin say. Blocks. Raises BadMessage: JL-N111 no such catalogue, JL-N115."""
    one = registers.layout(kind) if kind in registers.REGISTERS else kinds.layout(kind)
    if code:
        return tables.of_code(one, code, MOST)
    if not text:
        raise BadMessage("JL-N115", "which item? code, or text 未指定编码或名称")
    return tables.search(one, text, limit)
