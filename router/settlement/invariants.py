"""What must hold of a settlement, whatever happened: M4 to M10 of the design, over its rows and the ledger. Pure.

M1 to M3 are checks of the pipeline (`check`), since regions name the fields; M11 is what reconciliation finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from channels.settling.accounts import Account
from channels.settling.checking import alike
from channels.settling.model import Definition, Step
from router.settlement.book import Settlement
from router.settlement.commands import End
from router.settlement.facts import Known, kept
from router.settlement.ledger import balance, kind_of
from router.settlement.posting import CLOSED, Journal, NoAmount, booked
from router.settlement.progress import progress_of
from router.settlement.rows import ENDED, Place
from router.settlement.suspense import AFTER_END, Item, own_accounts
from router.settlement.suspense import held as held_in

LATE_MS = 300_000  # so long after its lease or its time nobody has taken it up
_AMOUNTS = ("fund_pay_sumamt", "psn_cash_pay", "acct_pay", "medfee_sumamt")  # of 2206 and 2207
_PREVIEW, _SETTLED = "preset", ("settle", "settled")  # the names of facts that M4 compares


class Broken(Struct, frozen=True):
    """`rule`: M4 to M10."""

    rule: str
    text: str


class Held(Struct, frozen=True):
    """One settlement with all that the database has of it. `journals` and `items` (those that are open) are its own."""

    settlement: Settlement
    journals: tuple[Journal, ...] = ()
    items: tuple[Item, ...] = ()
    locks: tuple[str, ...] = ()
    owner: str = ""
    until_ms: int = 0


def broken(definition: Definition, held: Held, now_ms: int) -> list[Broken]:
    """All that does not hold, in the order of the rules."""
    found = [*_amounts(definition, held), *_owed(definition, held)]
    found += [*_ledger(definition, held), *_transit(definition, held)]
    state = held.settlement.state
    if state in ("COMPENSATED", "REJECTED"):
        found += _left(definition, held)
    if state == "COMPLETED":
        found += _undone(definition, held)
    return [*found, *_twice(held), *_locks(definition, held), *_alive(held, now_ms)]


def overdrawn(sums: Mapping[str, int], own: Mapping[str, Account] | None = None) -> list[Broken]:
    """M5: accounts with a floor, each with the sum of its entries, that are below zero."""
    return [
        Broken("M5", f"{name}: {balance(name, fen, own)} fen 余额为负")
        for name, fen in sums.items()
        if (kind := kind_of(name, own)) is not None and kind.floor and balance(name, fen, own) < 0
    ]


def _amounts(definition: Definition, held: Held) -> Iterator[Broken]:
    """M4: what was settled is what was previewed, where nobody said to go on all the same."""
    settlement = held.settlement
    waived = any(one.what == "forward" for one in settlement.rows.decisions)
    if settlement.state != "COMPLETED" or waived:
        return
    facts = kept(definition, settlement.rows)
    preview = facts.get(_PREVIEW)
    for name in _SETTLED:
        settled = facts.get(name)
        if not isinstance(preview, Mapping) or not isinstance(settled, Mapping):
            continue
        for field in _AMOUNTS:
            both = field in preview and field in settled
            if both and not alike(preview[field], settled[field]):
                yield Broken("M4", f"{name}.{field} is not {_PREVIEW}.{field} 结算与预结算不一致")


def _ledger(definition: Definition, held: Held) -> Iterator[Broken]:
    """M6: each journal balances, and those that an end asks for are there, and no others."""
    settlement = held.settlement
    for one in held.journals:
        if sum(entry.fen for entry in one.entries):
            yield Broken("M6", f"{one.id}: debit and credit differ 借贷不平")
    if settlement.state not in ENDED:
        return
    try:
        wanted = {one.id: one for one in booked(definition, settlement.rows, End(settlement.state))}
    except NoAmount as error:
        yield Broken("M6", str(error))
        return
    there = {one.id: one for one in held.journals}
    for id in sorted(wanted.keys() - there.keys()):
        yield Broken("M6", f"{id}: not in the ledger 账簿缺凭证")
    for id, one in there.items():
        if wanted.get(id) != one and not id.endswith(f"/{CLOSED}"):
            yield Broken("M6", f"{id}: the ledger says otherwise than the attempts 账簿与交易不符")


def _transit(definition: Definition, held: Held) -> Iterator[Broken]:
    """M6: the transit account is empty at an end; what stands in it is an item's amount."""
    settlement, sums = held.settlement, _sums(held)
    account, fen = held_in(settlement.number, sums, settlement.state, definition.accounts)
    mine = [one.fen for one in held.items if one.account == account and one.cls != AFTER_END]
    if settlement.state in ENDED and fen and mine != [fen]:
        yield Broken("M6", f"{account}: {fen} fen at the end, and no item of it 在途余额无挂账")
    if settlement.state == "SUSPENDED" and mine != [fen]:
        yield Broken("M10", f"suspended, and no item of its {fen} fen 已挂起但无挂账")


def _owed(definition: Definition, held: Held) -> Iterator[Broken]:
    """M5: of what a settlement owes no more goes out than it owes."""
    name = f"liability:{held.settlement.number}"
    if (fen := balance(name, _sums(held)[name], definition.accounts)) < 0:
        yield Broken("M5", f"{name}: {-fen} fen more went out than was owed 退款超额")


def _sums(held: Held) -> dict[str, int]:
    """Of the entries of its own accounts."""
    sums = dict.fromkeys(own_accounts(held.settlement.number), 0)
    for one in held.journals:
        for entry in one.entries:
            if entry.account in sums:
                sums[entry.account] += entry.fen
    return sums


def _left(definition: Definition, held: Held) -> Iterator[Broken]:
    """M7: nothing is left of what can be undone."""
    for place, progress in progress_of(held.settlement.rows).items():
        step = _step(definition, place)
        standing = progress.standing(step) if step is not None else "OPEN"
        if standing == "OPEN":
            yield Broken("M7", f"{place.step}: nobody knows whether it was done 结果不明")
        elif standing == "OK" and step is not None and step.undo is not None:
            yield Broken("M7", f"{place.step}: is done still 未撤销")


def _undone(definition: Definition, held: Held) -> Iterator[Broken]:
    """M8: each step that its facts ask for is done."""
    rows = held.settlement.rows
    known = Known(definition, rows, progress_of(rows))
    for step in definition.steps:
        if step.when is not None and not step.when(known.facts):
            continue
        for place, _ in known.places(step):
            standing = known.of(place).standing(step)
            if step.do is not None and standing != "OK":
                yield Broken("M8", f"{place.step}: {standing}, and all is said to be done 未完成")
            known.learn(step, place)


def _twice(held: Held) -> Iterator[Broken]:
    """M8, M9: of one time of a step no two calls under different keys are live (two settlements, two orders)."""
    live: dict[Place, set[str]] = {}
    for one in held.settlement.rows.attempts:
        mine = live.setdefault(one.place, set())
        if one.direction == "reverse" and one.outcome in ("OK", "ABSENT"):
            mine.discard(one.key)
        elif one.outcome == "OK" and (one.direction == "do" or one.about == "do"):
            mine.add(one.key)
    for place, keys in live.items():
        if len(keys) > 1:
            yield Broken("M9", f"{place.step}: live under {', '.join(sorted(keys))} 重复生效")


def _locks(definition: Definition, held: Held) -> Iterator[Broken]:
    """M9: what is active has its bills for itself, and what has ended has none."""
    settlement = held.settlement
    if settlement.state in ENDED:
        for name in held.locks:
            yield Broken("M9", f"{name}: locked after the end 结算已结束单据仍锁定")
        return
    if any(one.what == "release" for one in settlement.rows.decisions):
        return
    wanted = {f"{kind}:{value}" for kind, read in definition.lock.items() for value in _values(read, held)}
    for name in sorted(wanted - {*held.locks}):
        yield Broken("M9", f"{name}: not locked by it 单据未锁定")


def _alive(held: Held, now_ms: int) -> Iterator[Broken]:
    """M10: each answer has an outcome, and what is active has somebody or a time that comes."""
    settlement = held.settlement
    for one in settlement.rows.attempts:
        if one.reply is not None and one.outcome is None:
            yield Broken("M10", f"attempt {one.number}: answered, without an outcome 有应答无结果")
    if settlement.state in (*ENDED, "SUSPENDED"):
        return
    if held.owner and held.until_ms < now_ms - LATE_MS:
        yield Broken("M10", "its lease is over, and nobody took it up 无人处理")
    if not held.owner and settlement.due_ms < now_ms - LATE_MS:
        yield Broken("M10", "its time has come, and nobody took it up 到期未处理")


def _values(read: Any, held: Held) -> Sequence[Any]:
    return read(held.settlement.rows.request) or ()


def _step(definition: Definition, place: Place) -> Step | None:
    return next((one for one in definition.steps if one.name == place.step), None)
