"""What a settlement asks of a HIS, and what came of it: proved by the HIS' own query where it has one.

A write goes: the query (is it there already?), the write, the query again. What the answer says by itself is believed
only where the HIS has no query, and its no only where the query shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from config.errors import Refused, Unreachable
from endpoints.hisparty.filling import amount_of, filled, found_at, kept, listed
from endpoints.hisparty.operations import KNOWN
from endpoints.hisparty.profile import Operation, Profile, Said
from endpoints.hisparty.wire import Heard, Post, Wire

Tree = dict[str, Any]
# LIVE it stands once. GONE it stood, and was taken back. NONE nothing; LOST nothing, though the HIS shows what was
# taken back. TWICE, OTHER: more, or not what was asked for. UNCLEAR nobody can say.
State = Literal["LIVE", "GONE", "NONE", "LOST", "TWICE", "OTHER", "UNCLEAR"]
_NOTHING = ("NONE", "LOST")
_SLOW = ("JL-E221",)  # no answer in time: a settlement asks later


class Seen(NamedTuple):
    state: State
    tree: Tree
    code: str = ""
    text: str = ""


class Saying(NamedTuple):
    """What an answer says of itself."""

    said: Said
    tree: Tree
    code: str = ""
    text: str = ""


class Asked(NamedTuple):
    """A call of a settlement. `names` are what templates know of it."""

    name: str
    body: Any
    names: Mapping[str, str]


class HisParty:
    def __init__(self, profile: Profile, wire: Wire, post: Post) -> None:
        self.profile = profile
        self._wire = wire
        self._post = post

    async def ask(self, name: str, body: Any, headers: Mapping[str, str], message: str = "") -> Tree:
        """A tree with `outcome`. Where the body says `of`, it is the key of an earlier write that is taken back, and a
        probe asks whether that is gone. Raises Refused (JL-H001 to JL-H005) for what cannot be asked.
        """
        if name not in self.profile.operations:
            raise Refused("JL-H001", self._unknown(name))
        direction = headers.get("direction", "do")
        of = str(body.get("of") or "") if isinstance(body, dict) else ""
        key = of or headers.get("key") or (str(body.get("key") or "") if isinstance(body, dict) else "")
        names = {
            "key": key,
            "settlement": headers.get("settlement", ""),
            "step": headers.get("step", ""),
            "direction": direction,
            "message": message,
        }
        asked = Asked(name, body, names)
        profile = self.profile
        written = name if profile.write(name) is not None else profile.undoes(name) or profile.shows(name)
        if not written:
            return await self._read(asked)
        if not key:
            raise Refused("JL-H004", f"{name} without a key 缺少幂等键")
        if direction == "probe" or profile.shows(name):
            seen = await self._seen(asked._replace(name=written))
            return _undone(seen) if of or headers.get("about") == "undo" else _shown(seen)
        if direction == "reverse" or profile.undoes(name):
            return await self._undo(asked._replace(name=written))
        return await self._do(asked)

    def _unknown(self, name: str) -> str:
        if name in KNOWN:
            return f"the profile {self.profile.his} has no {name} 该HIS未配置此业务"
        return f"{name!r}: a HIS is asked {', '.join(self.profile.operations)}"

    async def _read(self, asked: Asked) -> Tree:
        try:
            saying = await self._said(asked.name, asked)
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        outcomes = {
            "yes": "OK",
            "repeated": "OK",
            "no": "REJECTED",
            "absent": "ABSENT",
            "pending": "PROCESSING",
        }
        outcome = outcomes.get(saying.said, "UNKNOWN")
        return _told(outcome, saying.tree, saying.code, saying.text)

    async def _do(self, asked: Asked) -> Tree:
        op, write = self.profile.operations[asked.name], self.profile.write(asked.name)
        assert write is not None
        if write.ask and op.before:
            seen = await self._seen(asked)
            if seen.state == "LIVE":
                return _told("OK", {**seen.tree, "again": True})
            if seen.state == "UNCLEAR":
                return _told("UNSENT", {}, seen.code, f"not sent, its query says nothing: {seen.text}")
            if seen.state not in _NOTHING:
                return _doubtful(seen)
        try:
            saying = await self._said(asked.name, asked)
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        if not write.ask:
            return _trusted(saying)
        if saying.said == "pending" or saying.code in _SLOW:
            return _told("PROCESSING" if saying.said == "pending" else "UNKNOWN", saying.tree, *saying[2:])
        return _proved(saying, await self._seen(asked))

    async def _undo(self, asked: Asked) -> Tree:
        """`asked.name` is what is taken back."""
        write = self.profile.write(asked.name)
        if write is None or not write.undo:
            return _told("REJECTED", {}, "JL-H005", f"nothing takes {asked.name} back here 该HIS无此撤销")
        if write.ask:
            seen = await self._seen(asked, check=False)
            if seen.state == "GONE":
                return _told("OK", {**seen.tree, "again": True})
            if seen.state == "UNCLEAR":
                return _told("UNSENT", {}, seen.code, f"not sent, its query says nothing: {seen.text}")
        try:
            saying = await self._said(write.undo, asked)
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        if not write.ask:
            return _trusted(saying)
        if saying.said == "pending" or saying.code in _SLOW:
            return _told("PROCESSING" if saying.said == "pending" else "UNKNOWN", saying.tree, *saying[2:])
        return _taken_back(saying, await self._seen(asked, check=False))

    async def _said(self, name: str, asked: Asked) -> Saying:
        """What the HIS answers. Raises Unreachable where nothing left, Refused where nothing can be sent."""
        op = self.profile.operations[name]
        return self.judged(op, await self._wire.ask(self._post, name, op, asked.body, asked.names))

    def judged(self, op: Operation, heard: Heard, keep: bool = True) -> Saying:
        if heard.tree is None:
            return Saying("unknown", {}, heard.code, heard.text)
        at = self.profile.answer
        code = _text(found_at(at.code, heard.tree, {}))
        text = _text(found_at(at.text, heard.tree, {}))[:200] if at.text else ""
        said = _meant(op.codes, code) or _meant(self.profile.codes, code) or self.profile.otherwise
        if said not in ("yes", "repeated"):
            return Saying(said, {}, code, text)
        try:
            content = self._wire.content_of(heard.tree)
            tree = (
                (kept(op.keep, content, {}) if op.keep else {"content": content})
                if keep
                else {"content": content}
            )
        except (Refused, ValueError) as error:
            return Saying("unknown", {}, "JL-H006", f"an answer that nobody can read: {error} 无法识别的应答")
        return Saying(said, tree, code, text)

    async def _seen(self, asked: Asked, check: bool = True) -> Seen:
        """What the query shows of a write."""
        write = self.profile.write(asked.name)
        if write is None or not write.ask:
            return Seen("UNCLEAR", {}, "JL-H005", f"{asked.name} has no query here 该HIS无此查询")
        op = self.profile.operations[write.ask]
        try:
            heard = await self._wire.ask(self._post, write.ask, op, asked.body, asked.names)
        except Unreachable as error:
            return Seen("UNCLEAR", {}, error.code, error.text)
        saying = self.judged(op, heard, keep=False)
        if saying.said == "absent":
            return Seen("LOST" if op.live else "NONE", {})
        if saying.said not in ("yes", "repeated"):
            return Seen("UNCLEAR", {}, saying.code, saying.text or "the query says no")
        try:
            seen = shown(op, saying.tree["content"])
            return self._checked(asked, seen) if check else seen
        except Refused as error:
            return Seen("UNCLEAR", {}, error.code, error.text)

    def _checked(self, asked: Asked, seen: Seen) -> Seen:
        if seen.state != "LIVE":
            return seen
        for name, path in self.profile.operations[asked.name].proof.items():
            wanted, has = filled(path, asked.body, asked.names), seen.tree.get(name)
            if wanted is None or has is None or _same(name, wanted, has):
                continue
            text = f"{name} is {has}, and {wanted} was asked for 与HIS记录不符"
            return Seen("OTHER", seen.tree, "JL-H012", text)
        return seen


def shown(op: Operation, content: Any) -> Seen:
    """What a query's rows say. Raises Refused (JL-H002) for an amount that is none."""
    rows = listed(found_at(op.rows, content, {})) if op.rows else listed(content)
    live = [
        row for row in rows if all(_text(found_at(at, row, {})) in values for at, values in op.live.items())
    ]
    if not live and rows:
        return Seen("GONE", kept(op.keep, rows[0], {}))
    if not live:
        return Seen("LOST" if op.live else "NONE", {})
    items = [kept(op.keep, row, {}) for row in live]
    tree: Tree = {**items[0], "count": len(live)}
    if op.by and len(items) > 1:
        if all("amount" in one for one in items):
            tree["amount"] = f"{sum((amount_of(one['amount']) for one in items), amount_of(0)):.2f}"
        tree["items"] = items
    parts = [_text(found_at(op.by, row, {})) for row in live] if op.by else [""] * len(live)
    if len(set(parts)) < len(parts):
        return Seen("TWICE", tree, "JL-H011", f"{len(live)} of it stand at the HIS HIS重复入账")
    return Seen("LIVE", tree)


def _shown(seen: Seen) -> Tree:
    """To who asks whether it was done."""
    if seen.state in ("TWICE", "OTHER", "GONE"):
        return _doubtful(seen)
    outcome = "OK" if seen.state == "LIVE" else "ABSENT" if seen.state in _NOTHING else "UNKNOWN"
    return _told(outcome, {**seen.tree, "final": False}, seen.code, seen.text)


def _undone(seen: Seen) -> Tree:
    """To who asks whether it was taken back."""
    if seen.state == "LOST":  # a query that lags: it showed it before
        return _told("UNKNOWN", {}, "JL-H015", "its query shows nothing of it at all 查无此交易")
    known = {"GONE": "OK", "NONE": "OK", "LIVE": "ABSENT", "OTHER": "ABSENT"}
    return _told(known.get(seen.state, "UNKNOWN"), {**seen.tree, "final": False}, seen.code, seen.text)


def _proved(saying: Saying, seen: Seen) -> Tree:
    """Of a write: by what the query shows after it."""
    if seen.state == "LIVE":
        return _told("OK", {**saying.tree, **seen.tree})
    if seen.state == "UNCLEAR":
        return _told("UNKNOWN", saying.tree, seen.code, f"not read back: {seen.text}")
    if seen.state not in _NOTHING:
        return _doubtful(seen)
    if saying.said in ("no", "absent"):
        return _told("REJECTED", saying.tree, saying.code, saying.text)
    if saying.said == "unknown":
        return _told("UNKNOWN", saying.tree, saying.code, saying.text)
    return _told(
        "UNKNOWN", saying.tree, "JL-H010", "it says yes, and its query shows nothing 应答成功但未查到入账"
    )


def _taken_back(saying: Saying, seen: Seen) -> Tree:
    if seen.state in ("GONE", "NONE"):
        return _told("OK", {**saying.tree, **seen.tree})
    if seen.state == "UNCLEAR":
        return _told("UNKNOWN", saying.tree, seen.code, f"not read back: {seen.text}")
    if saying.said in ("no", "absent"):
        return _told("REJECTED", saying.tree, saying.code, saying.text)
    if saying.said == "unknown":
        return _told("UNKNOWN", saying.tree, saying.code, saying.text)
    return _told(
        "UNKNOWN", saying.tree, "JL-H013", "it says yes, and its query shows it still 应答成功但仍可查到"
    )


def _trusted(saying: Saying) -> Tree:
    """Where nothing shows more than the answer."""
    outcomes = {
        "yes": "OK",
        "repeated": "OK",
        "no": "REJECTED",
        "absent": "REJECTED",
        "pending": "PROCESSING",
    }
    return _told(outcomes.get(saying.said, "UNKNOWN"), saying.tree, saying.code, saying.text)


def _doubtful(seen: Seen) -> Tree:
    """A person must look, before it is asked again: what stands there is not what was asked for."""
    code, text = seen.code, seen.text
    if seen.state == "GONE":
        code, text = "JL-H014", "somebody took it back at the HIS HIS已冲销，需人工核实"
    return _told("UNKNOWN", {**seen.tree, "doubt": text}, code, text)


def _told(outcome: str, tree: Tree, code: str = "", text: str = "") -> Tree:
    said = {"code": code, "err_msg": text} if outcome != "OK" and (code or text) else {}
    return {"outcome": outcome, **tree, **said}


def _meant(codes: Mapping[Said, tuple[str, ...]], code: str) -> Said | None:
    return next((said for said, values in codes.items() if code in values), None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def _same(name: str, wanted: Any, has: Any) -> bool:
    if name in ("amount", "total", "balance"):
        return amount_of(wanted) == amount_of(has)
    return _text(wanted) == _text(has)
