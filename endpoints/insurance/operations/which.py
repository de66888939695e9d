"""Which exchange an operation is about, and which operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.errors import Refused
from endpoints.insurance.records import Exchange, latest

if TYPE_CHECKING:
    from endpoints.insurance.party import Party


async def meant(party: Party, tree: Mapping[str, Any]) -> Exchange:
    """By `msgid`, or by `key`: the message's id under which it was asked, and where that is several, `infno`.

    Raises Refused (JL-N023).
    """
    msgid, key, infno = (str(tree.get(name) or "") for name in ("msgid", "key", "infno"))
    if not msgid and not key:
        raise Refused("JL-N001", "which exchange? msgid or key 未指定报文")
    if msgid:
        found = await party.records.find(msgid)
    else:
        mine = [one for one in await party.records.of_key(party.system, key) if infno in ("", one.infno)]
        found = latest(mine)
    if found is None or found.system != party.system:
        raise Refused("JL-N023", f"the records have no {(msgid or key)[:60]} of this institution 无此报文")
    return found
