"""What settlements ask of an e-invoice platform, and what came of it: found again by the number of the business.

| asked | as | means |
|---|---|---|
| issue, issue_outpatient, issue_inpatient, issue_registration, issue_checkup, issue_deposit | do | one bill |
| find | ask of these | whether it is there, and holds |
| write_off | undo of these; or do, of the bill that the body names | the red one |
| written_off | ask of a write_off that was done by itself | |
| state, day_totals, day_write_offs, bills_of_day, paper_next, paper_codes | do | reads |
| paper_turn, paper_again, paper_void | do | the paper copy |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from config.errors import Refused, Unreachable
from endpoints.hisparty.wire import Post
from endpoints.insurance.envelope import CHINA
from endpoints.invoice import envelope
from endpoints.invoice.fields import KINDS, as_text, bill_of, bus_no, time17

Tree = dict[str, Any]
State = Literal["LIVE", "GONE", "NONE", "UNCLEAR"]
_SLOW = "JL-E221"
_ISSUES = {"issue": "", **{f"issue_{kind}": kind for kind in KINDS}}
# What is asked straight on: the method, and the body's names for its fields.
_PLAIN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "state": ("getEBillStatesByBillInfo", {"billBatchCode": "bill_batch_code", "billNo": "bill_no"}),
    "day_totals": ("checkTotalData", {"busDate": "day", "pageNo": "page", "pageSize": "size"}),
    "day_write_offs": (
        "checkWriteOffData",
        {"busDate": "day", "busType": "bus_type", "pageNo": "page", "pageSize": "size"},
    ),
    "bills_of_day": (
        "getBillByBusDate",
        {"busBgnDate": "from", "busEndDate": "to", "dataType": "type", "pageNo": "page", "pageSize": "size"},
    ),
    "paper_next": ("getPaperBillNo", {"pBillBatchCode": "paper_batch_code"}),
    "paper_codes": ("getValidBillBatchCode", {}),
    "paper_turn": (
        "turnPaper",
        {
            "billBatchCode": "bill_batch_code",
            "billNo": "bill_no",
            "pBillBatchCode": "paper_batch_code",
            "pBillNo": "paper_no",
        },
    ),
    "paper_again": (
        "reTurnPaper",
        {
            "billBatchCode": "bill_batch_code",
            "billNo": "bill_no",
            "pBillBatchCode": "paper_batch_code",
            "pBillNo": "paper_no",
        },
    ),
    "paper_void": (
        "invalidPaper",
        {
            "pBillBatchCode": "paper_batch_code",
            "pBillNo": "paper_no",
            "reason": "reason",
            "author": "operator",
        },
    ),
}
OPERATIONS = (*_ISSUES, "find", "write_off", "written_off", *_PLAIN)
_KEPT = {
    "billBatchCode": "bill_batch_code",
    "billNo": "bill_no",
    "random": "random",
    "createTime": "create_time",
    "pictureUrl": "picture_url",
    "pictureNetUrl": "picture_net_url",
    "voucherBatchCode": "voucher_batch_code",
    "voucherNo": "voucher_no",
    "eScarletBillBatchCode": "scarlet_batch_code",
    "eScarletBillNo": "scarlet_no",
    "eScarletRandom": "scarlet_random",
}


class Site(Struct, frozen=True):
    """What the options say of a platform."""

    url: str
    appid: str
    key: str
    place_code: str
    payee: str
    operator: str
    absent: tuple[str, ...]
    more: tuple[str, ...] = ()
    amounts: str = "number"
    verify: bool = True
    deposit_cancel: str = "writeOffPayMentVoucher"


class Said(NamedTuple):
    """`outcome` yes, no, absent or unknown."""

    outcome: Literal["yes", "no", "absent", "unknown"]
    message: Any = None
    code: str = ""
    text: str = ""


class Seen(NamedTuple):
    state: State
    tree: Tree
    code: str = ""
    text: str = ""


class InvoiceParty:
    """`noise` makes a request's random text, `now` is Unix seconds."""

    def __init__(self, site: Site, post: Post, now: Callable[[], float], noise: Callable[[], str]) -> None:
        self.site = site
        self._post = post
        self._now = now
        self._noise = noise

    async def ask(self, name: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Tree:
        """A tree with `outcome`. Raises Refused (JL-I001 to JL-I004) for what cannot be asked."""
        direction = headers.get("direction", "do")
        key = headers.get("key") or str(body.get("key") or "")
        if name in _PLAIN:
            return await self._plain(name, body)
        if name == "written_off" or (name == "write_off" and direction == "do"):
            bill = self._named(body)
            if name == "written_off" or direction == "probe":
                return _probed(await self._state(bill), "undo")
            return await self._write_off(await self._state(bill), body)
        if name not in ("find", "write_off", *_ISSUES):
            raise Refused("JL-I001", f"{name!r}: an e-invoice platform is asked {', '.join(OPERATIONS)}")
        if not key:
            raise Refused("JL-I004", f"{name} without a key 缺少幂等键")
        if direction == "probe" or name == "find":
            return _probed(await self._seen(key), headers.get("about") or "do")
        if name == "write_off":
            return await self._write_off(await self._seen(key), body)
        return await self._issue(_ISSUES[name] or str(body.get("kind") or "outpatient"), key, body)

    async def _plain(self, name: str, body: Mapping[str, Any]) -> Tree:
        method, names = _PLAIN[name]
        asked = {field: body[own] for field, own in names.items() if body.get(own) is not None}
        if name not in ("state",):
            asked.setdefault("placeCode", body.get("place_code") or self.site.place_code)
        try:
            said = await self._said(method, asked)
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        outcome = {"yes": "OK", "no": "REJECTED", "absent": "ABSENT"}.get(said.outcome, "UNKNOWN")
        held = said.message if isinstance(said.message, dict) else {}
        return _told(outcome, {**_kept(held), "answer": said.message}, said.code, said.text)

    async def _issue(self, kind: str, key: str, body: Mapping[str, Any]) -> Tree:
        if kind not in KINDS:
            raise Refused("JL-I001", f"{kind!r} is no kind of bill: {', '.join(KINDS)}")
        method, bus_type = KINDS[kind]
        site, now = self.site, time17(self._time())
        own = {"busType": bus_type, "busNo": bus_no(key), "busDateTime": now, "placeCode": site.place_code}
        own |= {"payee": site.payee, "author": site.operator}
        bill = bill_of(body, kind, site.more)
        bill = {**own, **bill, "busNo": own["busNo"]}  # the number is never another's
        seen = await self._seen(key)
        if seen.state == "LIVE":
            return _told("OK", {**seen.tree, "again": True})
        if seen.state == "UNCLEAR":
            return _told("UNSENT", {}, seen.code, f"not sent, its query says nothing: {seen.text}")
        if seen.state == "GONE":
            return _red(seen)
        try:
            said = await self._said(method, bill)
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        held = _kept(said.message) if isinstance(said.message, dict) else {}
        if said.outcome == "yes" and (held.get("bill_no") or held.get("voucher_no")):
            return _told("OK", {"bus_no": bus_no(key), **held})
        if said.code == _SLOW:
            return _told("UNKNOWN", {}, said.code, said.text)
        seen = await self._seen(key)
        if seen.state == "LIVE":
            return _told("OK", seen.tree)
        refused = seen.state == "NONE" and said.outcome in ("no", "absent")
        return _told("REJECTED" if refused else "UNKNOWN", {}, said.code, said.text)

    async def _write_off(self, seen: Seen, body: Mapping[str, Any]) -> Tree:
        if seen.state == "GONE":
            return _told("OK", {**seen.tree, "again": True})
        if seen.state == "UNCLEAR":
            return _told("UNSENT", {}, seen.code, f"not sent, its query says nothing: {seen.text}")
        if seen.state == "NONE":
            return _told("REJECTED", {}, "JL-I011", "there is no such bill 无此票据")
        site, deposit = self.site, "voucher_no" in seen.tree or str(body.get("kind")) == "deposit"
        asked = {
            "billBatchCode": seen.tree.get("bill_batch_code"),
            "billNo": seen.tree.get("bill_no"),
            "reason": str(body.get("reason") or "退费")[:100],
            "operator": str(body.get("operator") or site.operator),
            "busDateTime": time17(self._time()),
            "placeCode": str(body.get("place_code") or site.place_code),
        }
        if deposit:
            asked |= {"busType": KINDS["deposit"].bus_type}
            asked |= {"voucherBatchCode": seen.tree.get("voucher_batch_code")}
            asked |= {"voucherNo": seen.tree.get("voucher_no"), "amt": body.get("amount")}
        method = site.deposit_cancel if deposit else "writeOffEBill"
        try:
            said = await self._said(method, {k: v for k, v in asked.items() if v is not None})
        except Unreachable as error:
            return _told("UNSENT", {}, error.code, error.text)
        held = _kept(said.message) if isinstance(said.message, dict) else {}
        if said.outcome == "yes":
            return _told("OK", {**seen.tree, **held})
        if said.code == _SLOW:
            return _told("UNKNOWN", {}, said.code, said.text)
        seen = await self._state(seen.tree)
        if seen.state == "GONE":
            return _told("OK", seen.tree)
        refused = seen.state == "LIVE" and said.outcome in ("no", "absent")
        return _told("REJECTED" if refused else "UNKNOWN", {}, said.code, said.text)

    def _named(self, body: Mapping[str, Any]) -> Tree:
        """Which bill a body means. Raises Refused (JL-I004)."""
        held = body.get("invoice")
        where = held if isinstance(held, Mapping) else body
        if where.get("bill_no"):
            return dict(where)
        if where.get("of"):  # the key that it was issued under
            return {"bus_no": bus_no(str(where["of"]))}
        raise Refused(
            "JL-I004", "which bill? `invoice: {bill_batch_code, bill_no}`, or `{of: its key}` 未指明票据"
        )

    async def _seen(self, key: str) -> Seen:
        return await self._state({"bus_no": bus_no(key)})

    async def _state(self, bill: Tree) -> Seen:
        """By the business' number where nothing else is known, then by the bill's own."""
        try:
            if not bill.get("bill_no"):
                asked = {"busNo": bill["bus_no"], "busDateTime": time17(self._time())}
                said = await self._said("getEBillByBusNo", asked)
                if said.outcome != "yes" or not isinstance(said.message, dict):
                    return _not_seen(said)
                bill = {**bill, **_kept(said.message)}
            asked = {"billBatchCode": bill.get("bill_batch_code"), "billNo": bill.get("bill_no")}
            said = await self._said("getEBillStatesByBillInfo", asked)
        except Unreachable as error:
            return Seen("UNCLEAR", {}, error.code, error.text)
        if said.outcome != "yes" or not isinstance(said.message, dict):
            return _not_seen(said)
        state, scarlet = str(said.message.get("state") or ""), str(said.message.get("isScarlet") or "")
        if state not in ("1", "2"):  # 1 正常, 2 作废
            return Seen("UNCLEAR", {}, "JL-I005", f"a state that is none: {state!r}")
        gone = state == "2" or scarlet == "1"
        return Seen("GONE" if gone else "LIVE", {**bill, **_kept(said.message)})

    async def _said(self, method: str, tree: Mapping[str, Any]) -> Said:
        """Raises Unreachable where nothing left."""
        site = self.site
        made = as_text(tree) if site.amounts == "text" else tree
        body = envelope.sealed(made, site.appid, self._noise(), site.key)
        headers = {"content-type": "application/json; charset=utf-8"}
        try:
            answer = await self._post("POST", f"{site.url.rstrip('/')}/{method}", headers, body)
            if not 200 <= answer.status < 300:
                return Said("unknown", None, "JL-I005", f"status {answer.status} {answer.reason}")
            told = envelope.opened(answer.body, site.appid, site.key, site.verify)
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return Said("unknown", None, error.code, error.text)
        except Refused as error:  # too large an answer
            return Said("unknown", None, error.code, error.text)
        except envelope.Garbled as error:
            return Said("unknown", None, error.code, error.text)
        if told.result == envelope.YES:
            return Said("yes", told.message)
        text = str(told.message)[:200]
        absent = told.result in site.absent or any(one in text for one in site.absent)
        return Said("absent" if absent else "no", None, told.result, text)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC).astimezone(CHINA)


def _not_seen(said: Said) -> Seen:
    if said.outcome == "absent":
        return Seen("NONE", {})
    return Seen("UNCLEAR", {}, said.code or "JL-I005", said.text)


def _probed(seen: Seen, about: str) -> Tree:
    if about == "undo":
        outcome = {"GONE": "OK", "LIVE": "ABSENT", "NONE": "UNKNOWN"}.get(seen.state, "UNKNOWN")
    elif seen.state == "GONE":
        return _red(seen)
    else:
        outcome = {"LIVE": "OK", "NONE": "ABSENT"}.get(seen.state, "UNKNOWN")
    return _told(outcome, {**seen.tree, "final": False}, seen.code, seen.text)


def _red(seen: Seen) -> Tree:
    text = "it was written off already 票据已冲红，需人工核实"
    return _told("UNKNOWN", {**seen.tree, "doubt": text}, "JL-I010", text)


def _kept(message: Mapping[str, Any]) -> Tree:
    return {own: message[name] for name, own in _KEPT.items() if message.get(name) not in (None, "")}


def _told(outcome: str, tree: Tree, code: str = "", text: str = "") -> Tree:
    said = {"code": code, "err_msg": text} if outcome != "OK" and (code or text) else {}
    return {"outcome": outcome, **tree, **said}
