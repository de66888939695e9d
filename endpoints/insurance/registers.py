"""Small tables that are asked whole: dictionaries (1901), institutions (1201), departments (5101), staff (5102).

They lie beside the catalogues and are published as they are: readers see all of one, or all of the next. Of 1901 each
list is one question, so that an update that is called again goes on at the list where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from config.errors import BadMessage, JingluoError, Refused
from config.registry import nearest
from endpoints.insurance.catalogue_import import Way, again
from endpoints.insurance.catalogue_pages import values
from endpoints.insurance.catalogues import Layout, Load, Report
from endpoints.insurance.files import Answer, Centre, settled
from endpoints.insurance.lines import Value
from schemas.nhsa.catalogue import UnknownList, code_list, code_lists, transaction

DICTIONARIES = "1901"
# By transaction: the column that people name a row by, its label, and what makes a row one.
_NAMED = {
    "1901": ("type", "label", ("type", "parent_value", "value")),
    "1201": ("fixmedins_code", "fixmedins_name", ("fixmedins_code",)),
    "5101": ("hosp_dept_codg", "hosp_dept_name", ("hosp_dept_codg", "begntime")),
    "5102": ("prac_psn_code", "prac_psn_name", ("prac_psn_code", "begntime")),
}
REGISTERS = tuple(_NAMED)
MOST_ROWS = 100_000  # of one answer
TOP = "0"  # parentValue of a list that has none: the table wants a value, and no source says which (inferred)
_NOT_KEPT = ("certno", "psn_cert_type")  # of staff: nothing here needs them, and these tables are not sealed


class Asked(Struct, frozen=True):
    """One question, and what it is called where it fails."""

    about: str
    input: Mapping[str, Any]


@cache
def layout(kind: str) -> Layout:
    """Raises BadMessage JL-N111."""
    if kind not in _NAMED:
        near = nearest(kind, REGISTERS)
        raise BadMessage(
            "JL-N111", f"no register is called {kind[:20]!r}; did you mean {near or REGISTERS[0]}?"
        )
    code, label, _ = _NAMED[kind]
    node = next(one for one in transaction(kind).output if one.many)
    names = tuple(field.name for field in node.fields if field.name not in _NOT_KEPT)
    aliases = tuple((alias.lower(), field.name) for field in node.fields for alias in field.aliases)
    own = tuple(name for name in ("rid", "vali_flag") if name not in names)
    return Layout(kind, transaction(kind).name_zh, (*names, *own), code, (label,), True, aliases)


def dictionaries(types: Sequence[str], area: str, now_s: float, parent: str = TOP) -> list[Asked]:
    """A question for each list; without `types` all that the interface names. `area` is the institution's admdvs.

    `parent`: of those values alone that lie below it."""
    day = datetime.fromtimestamp(now_s).strftime("%Y-%m-%d")
    wanted = types or [one.name for one in code_lists()]
    asked = {"parentValue": parent, "admdvs": area, "date": day, "valiFlag": "1"}
    return [Asked(name, {"data": {"type": name, **asked}}) for name in wanted]


async def update_register(
    way: Way,
    centre: Centre,
    kind: str,
    questions: Sequence[Asked],
    *,
    full: bool = True,
    told: Callable[[str, str], None] = lambda about, text: None,
) -> Report:
    """Asks all and publishes; with `full` what no answer has goes. `told` hears of a list that the centre refuses, or
    has no values of: what is there of it stays.

    Raises Unreachable (JL-N112 `stop` said so) with what is done kept; Refused where every question was refused.
    """
    one = layout(kind)
    load = await asyncio.to_thread(_begun, way, one, questions, full)
    try:
        for number in range(load.part, len(questions)):
            load = await _asked(way, centre, one, load, questions[number], told)
            way.tell(load, (number + 1) / len(questions))
            if way.stop() and number + 1 < len(questions):
                raise again(kind)
    except BaseException:
        await _left(way, load)
        raise
    if not load.rows:
        await asyncio.to_thread(way.store.abandon, one, load)
        state = await asyncio.to_thread(way.store.state, kind)
        if load.lines < len(questions):
            return Report(kind, state.ver, 0, faults=load.faults, now=state.rows)
        raise Refused(
            "JL-N105",
            f"{kind}: the centre refused all {len(questions)} questions 中心全部拒绝",
        )
    # What was refused is not known to be gone: the lists that are there stay.
    load = replace(load, full=load.full and not load.faults)
    load = await asyncio.to_thread(way.store.turn, one, load)
    return await asyncio.to_thread(way.store.publish, one, load, way.now_ms())


def _begun(way: Way, one: Layout, questions: Sequence[Asked], full: bool) -> Load:
    """`ver` says of which questions a load is: another set of them begins anew."""
    which = f"{len(questions)}:{questions[0].about}:{questions[-1].about}" if questions else ""
    fresh = Load(one.kind, way.owner, way.now_ms(), ver=which, full=full, paged=True)
    load = way.store.begin(one, fresh)
    if (load.ver, load.full) != (which, full):
        way.store.abandon(one, load)
        load = way.store.begin(one, fresh)
    return load


async def _left(way: Way, load: Load) -> None:
    with suppress(JingluoError):  # else whoever comes waits until it was silent for long enough
        await asyncio.shield(asyncio.to_thread(way.store.leave, load))


async def _asked(
    way: Way, centre: Centre, one: Layout, load: Load, asked: Asked, told: Callable[[str, str], None]
) -> Load:
    answer = await centre.call(one.kind, asked.input)
    rejected = answer.outcome == "REJECTED"
    rows = [] if rejected else rows_of(one, settled(answer, one.kind))
    if not rows:  # a list that is suddenly empty is rather one that the centre has under another name
        told(asked.about, f"{answer.infcode} {answer.text}".strip() if rejected else "no values 无数据")
        refused = load.lines + rejected  # of a load of questions there are no lines of a file to count
        more = replace(load, part=load.part + 1, faults=load.faults + 1, lines=refused)
        return await asyncio.to_thread(way.store.turn, one, more)
    more = replace(load, part=load.part + 1, rows=load.rows + len(rows))
    await asyncio.to_thread(way.store.append, one, more, rows)
    return more


def rows_of(one: Layout, answer: Answer) -> list[list[Value]]:
    """The rows of an answer, under their node or as the output itself. Raises Refused JL-N113."""
    said = answer.output
    if isinstance(said, Mapping):
        said = next((value for value in said.values() if isinstance(value, list)), [])
    said = [] if said is None else said
    if (
        not isinstance(said, list)
        or len(said) > MOST_ROWS
        or not all(isinstance(row, Mapping) for row in said)
    ):
        raise Refused("JL-N113", f"{one.kind}: not a list of up to {MOST_ROWS:,} rows 应答不是列表")
    key = [one.at(name) for name in _NAMED[one.kind][2]]
    rid = one.at("rid")
    made = []
    for row in said:
        found = values(one, {name: value for name, value in row.items() if name.lower() not in _NOT_KEPT})
        found[rid] = "|".join(found[at] or "" for at in key)
        made.append(found)
    return made


def export(rows: Sequence[Mapping[str, Value]], name: str, area: str) -> str:
    """A dictionary as a table of a site: `tables/<name>.csv`. Values that are no longer valid are left out."""
    lines = [f"# title: {name}", f"# source: 1901 {area}".rstrip(), "code,value"]
    for row in rows:
        if row.get("vali_flag") != "0":
            lines.append(f"{_quoted(row.get('value'))},{_quoted(row.get('label'))}")
    return "\n".join(lines) + "\n"


def local_codes(rows: Mapping[str, Sequence[Mapping[str, Value]]]) -> str:
    """By list: what the centre has and the national list has not, as the `codes` of a province's profile (YAML)."""
    lines = ["codes:"]
    for name, listed in rows.items():
        try:
            national = code_list(name).values
        except UnknownList:
            continue
        own = {str(row.get("value")): row for row in listed if row.get("vali_flag") != "0"}
        more = [row for value, row in own.items() if value not in national]
        lines += [f"  {name}:"] if more else []
        lines += [f"    {_yaml(row.get('value'))}: {_yaml(row.get('label'))}" for row in more]
    return "\n".join(lines) + "\n" if len(lines) > 1 else "codes: {}\n"


def _yaml(value: Value) -> str:
    """A text of JSON is one of YAML."""
    return msgspec.json.encode(value or "").decode()


def _quoted(value: Value) -> str:
    text = " ".join((value or "").split())
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"#') else text
