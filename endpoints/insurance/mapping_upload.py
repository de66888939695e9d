"""3301 (目录对照上传) and 3302 (目录对照撤销) in batches, with what became of each item.

Neither answers row by row: a batch that is refused is halved until the refused items stand alone. Each answer is
durable before the next question: an upload that is called again goes on. 3301 is no overwriting upload: where an answer
was lost, 1317 is asked what the centre has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from config.errors import Refused, Unreachable
from endpoints.insurance.catalogue_import import Way
from endpoints.insurance.catalogue_pages import SINCE, page_of
from endpoints.insurance.files import Answer, Centre, nothing, settled
from endpoints.insurance.mapping import CODE, ID, SENT, TYPE, Became, Item, Judged, Kept, Mappings

BATCH = 100  # items of one message
_LOST = 3  # batches in a row without an answer: the rest waits


class Done(Struct, frozen=True):
    """What became of the items that were sent."""

    uploaded: int = 0
    withdrawn: int = 0
    refused: int = 0
    unknown: int = 0
    left: int = 0  # not sent: unmapped, not found, ended, refused before
    faults: Sequence[Kept] = ()  # those that were refused, with the centre's words


class Uploading:
    """One run over a list, or over ids to be withdrawn. `tell` hears of items done, of how many."""

    def __init__(
        self,
        way: Way,
        centre: Centre,
        mappings: Mappings,
        thread: Callable[..., Awaitable[Any]],
        batch: int = BATCH,
        tell: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self._way, self._centre, self._mappings = way, centre, mappings
        self._thread, self._batch, self._tell = thread, batch, tell
        self._became: dict[str, Kept] = {}
        self._withdrawn: set[str] = set()
        self._before: dict[str, Kept] = {}  # of what is withdrawn: it may stay as it was
        self._any_taken = False
        self._lost = 0  # batches in a row without an answer

    async def upload(self, judged: Sequence[Judged], *, again: bool = False) -> Done:
        """What is new, changed or remapped; with `again` also what was refused as it stands.

        Raises Unreachable (JL-N112 `stop` said so; or the centre is away) with all that is done kept, and Refused
        JL-N121 where the centre refuses a whole first batch in the same words: then it is not about items.
        """
        wanted = [one for one in judged if one.status in SENT or (again and one.status == "refused")]
        left = sum(one.status != "same" for one in judged) - len(wanted)
        lost = [one for one in wanted if one.status == "unknown"]
        there = {one.item.id for one in lost if await self._is_there(one.item)}
        await self._keep(
            [self._kept(one.item, "uploaded", "", self._way.now_ms()) for one in lost if one.item.id in there]
        )
        wanted = [one for one in wanted if one.item.id not in there]
        old = [one.before for one in wanted if one.status == "remapped" and one.before is not None]
        await self._take_back(old)
        stuck = {one.id for one in old} - self._withdrawn
        await self._all([one.item for one in wanted if one.item.id not in stuck], self._send)
        return self._done(left)

    async def withdraw(self, kept: Sequence[Kept]) -> Done:
        """3302 for items that were uploaded. Raises as `upload` does."""
        await self._take_back(kept)
        return self._done(0)

    async def _take_back(self, kept: Sequence[Kept]) -> None:
        self._before |= {one.id: one for one in kept}
        items = [Item({ID: one.id, TYPE: one.list_type, CODE: one.code}) for one in kept]
        await self._all(items, self._withdraw)

    def _done(self, left: int) -> Done:
        found = list(self._became.values())
        faults = [one for one in found if one.text]
        refused = sum(
            one.became == "refused" or (one.became == "uploaded" and one.text != "") for one in found
        )
        uploaded = sum(one.became == "uploaded" and not one.text for one in found)
        unknown = sum(one.became == "unknown" for one in found)
        return Done(uploaded, len(self._withdrawn), refused, unknown, left, faults)

    async def _all(self, items: Sequence[Item], send: Callable[[Sequence[Item]], Awaitable[None]]) -> None:
        for at in range(0, len(items), self._batch):
            await send(items[at : at + self._batch])
            self._tell(min(at + self._batch, len(items)), len(items))

    async def _send(self, items: Sequence[Item]) -> None:
        answer = await self._ask("3301", [one.facts for one in items])
        await self._sorted(items, answer, self._send, "uploaded")

    async def _withdraw(self, items: Sequence[Item]) -> None:
        code = self._centre.fixmedins_code
        rows = [
            {ID: one.id, "fixmedins_code": code, TYPE: one.facts.get(TYPE, ""), CODE: one.code}
            for one in items
        ]
        answer = await self._ask("3302", rows)
        await self._sorted(items, answer, self._withdraw, "withdrawn")

    async def _ask(self, infno: str, rows: Sequence[Any]) -> Answer:
        self._unless_over(infno)
        try:
            return await self._centre.call(infno, {"data": rows})
        except Refused as error:  # nothing left: an item is not as the interface says
            return Answer("REJECTED", None, error.code, error.text)

    def _unless_over(self, infno: str) -> None:
        if self._way.stop():
            text = f"{infno}: not done yet, it goes on where it is 尚未完成，将继续"
            raise Unreachable("JL-N112", text, after_s=1)
        if self._lost >= _LOST:
            text = f"{infno}: {self._lost} batches in a row had no answer 连续多批无应答"
            raise Unreachable("JL-N106", text, maybe_done=True)

    async def _sorted(
        self,
        items: Sequence[Item],
        answer: Answer,
        send: Callable[[Sequence[Item]], Awaitable[None]],
        done: Became,
    ) -> None:
        now = self._way.now_ms()
        if answer.outcome == "OK":
            self._any_taken, self._lost = True, 0
            if done == "withdrawn":
                self._withdrawn |= {one.id for one in items}
            await self._keep([self._kept(one, done, "", now) for one in items])
        elif answer.outcome != "REJECTED":
            self._lost += 1
            said: Became = "unknown" if done == "uploaded" else "uploaded"
            await self._keep([self._kept(one, said, answer.text or "no answer 无应答", now) for one in items])
        elif len(items) == 1:
            refused: Became = "refused" if done == "uploaded" else "uploaded"
            await self._keep([self._kept(items[0], refused, f"{answer.infcode} {answer.text}".strip(), now)])
        else:
            half = len(items) // 2
            await send(items[:half])
            await send(items[half:])
            self._unless_all_alike(items)

    def _unless_all_alike(self, items: Sequence[Item]) -> None:
        """A centre that refuses everything refuses us, and not an item: the rest is not sent."""
        if self._any_taken or len(items) < min(self._batch, 10):
            return
        words = {self._became[one.id].text for one in items}
        if len(words) == 1:
            raise Refused(
                "JL-N121",
                f"each of {len(items)} items is refused in the same words 全部拒绝: {words.pop()[:300]}",
            )

    async def _is_there(self, item: Item) -> bool:
        """Whether the centre has the mapping of an item whose upload got no answer."""
        self._unless_over("1317")
        asked = {"medins_list_codg": item.id, "updt_time": SINCE, "page_num": 1, "page_size": 100}
        answer = await self._centre.call("1317", {"data": asked})
        if nothing(answer):
            return False
        rows = page_of(settled(answer, "1317"), 1, 100).rows
        return any(
            str(row.get("medins_list_codg")) == item.id
            and str(row.get(CODE)) == item.code
            and str(row.get("vali_flag", "1")) != "0"
            for row in rows
        )

    def _kept(self, item: Item, became: Became, text: str, now_ms: int) -> Kept:
        before = self._before.get(item.id)
        known = before.digest if before is not None and before.code == item.code else item.digest
        return Kept(item.id, item.code, item.facts.get(TYPE, ""), known, became, text[:500], now_ms)

    async def _keep(self, kept: Sequence[Kept]) -> None:
        if kept:
            await self._thread(lambda: self._mappings.keep(kept))
            self._became |= {one.id: one for one in kept}
