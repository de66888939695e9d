"""`jingluo insurance clearing`, `cross-region`: a month's application (3203), and other places' rows (3260 to 3262)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.asking import print_json
from router.commands.insurance_statement import Json, System, plain

if TYPE_CHECKING:
    from endpoints.insurance.party import Party

Month = Annotated[str, typer.Option(help="2026-01; without it, the month before this one. 月份")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_FIGURES = ("psntime", "medfee_sumamt", "med_sumfee", "fund_appy_sum", "acct_pay", "cash_payamt")


def clearing(
    month: Month = "",
    clr_type: Annotated[str, typer.Option("--clr-type", help="Only this clearing type. 清算类别")] = "",
    withdraw: Annotated[str, typer.Option(help="Take back the one with this clr_appy_evt_id (3204).")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be applied for. 预览")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="The centre was asked about the one without an answer. 仍然申请")
    ] = False,
    yes: Yes = False,
    system: System = "",
    as_json: Json = False,
) -> None:
    """Applies for a month's clearing, from the engine's records (3203). Exit code 1: not all were taken. 清算申请"""
    from endpoints.insurance.operations.clearing import clear
    from router.commands.insurance_party import with_party

    async def ask(party: Party, **asked: Any) -> dict[str, Any]:
        said = {"month": month, "clr_type": clr_type, "withdraw": withdraw, **asked}
        return await clear(party, {name: value for name, value in said.items() if value}, uuid.uuid4().hex)

    if not withdraw and not plan and not yes:
        _applied(with_party(system, lambda party: ask(party, plan=True)))
        typer.confirm("Apply for these? 确认申请？", abort=True)
    made = with_party(system, lambda party: ask(party, plan=plan, anyway=anyway))
    if as_json:
        print_json(plain(made))
    elif withdraw:
        typer.echo(f"{made['outcome']} {made['err_msg']}")
    else:
        _applied(made)
    raise typer.Exit(0 if made["outcome"] == "OK" else 1)


def cross_region(
    month: Month = "",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm them where all agree (3261). 确认")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Also where some do not: those as not confirmed.")
    ] = False,
    withdraw: Annotated[str, typer.Option(help="Take a confirmation back, by its msgid (3262).")] = "",
    system: System = "",
    as_json: Json = False,
) -> None:
    """A month's settlements of people insured elsewhere: the centre's against ours. Exit code 1: not equal. 异地清分"""
    from endpoints.insurance.operations.cross_region import compare
    from router.commands.insurance_party import with_party

    said = {"month": month, "confirm": confirm, "accept": accept, "withdraw": withdraw}
    asked = {name: value for name, value in said.items() if value}
    made = with_party(system, lambda party: compare(party, asked, uuid.uuid4().hex))
    if as_json:
        print_json(plain(made))
    elif withdraw:
        typer.echo(f"{made['outcome']} {made['err_msg']}")
    else:
        for row in made["rows"]:
            ours = row["ours"] or {"setl_id": "-", "medfee_sumamt": ""}
            theirs = f"centre 中心 {row['setl_sn'] or '-'} {row['medfee_sumamt'] or ''}"
            typer.echo(f"{row['kind']:<14}  {theirs}  here 本院 {ours['setl_id']} {ours['medfee_sumamt']}")
        state = "equal 一致" if made["equal"] else "NOT EQUAL 不一致"
        typer.echo(f"{made['month']}: {state}, {len(made['rows'])} rows")
        if "confirmed" in made:
            typer.echo(f"3261 {made['outcome']} {made['confirmed']['msgid']} {made['confirmed']['err_msg']}")
    good = made["outcome"] == "OK" and made.get("equal", True)
    raise typer.Exit(0 if good else 1)


def _applied(made: dict[str, Any]) -> None:
    for one in made["applications"]:
        figures = "  ".join(f"{name} {one[name]}" for name in _FIGURES)
        typer.echo(f"{made['month']}  clr_type {one['clr_type']}  clr_way {one['clr_way']}  {figures}")
        if "outcome" in one:
            typer.echo(f"  {one['outcome']} {one['clr_appy_evt_id']} {one['err_msg']}".rstrip())
    if not made["applications"]:
        typer.echo(f"{made['month']}: no settlements 无结算")
    if made["days"]["unequal"]:
        typer.echo(f"days that are not equal 对账不平: {', '.join(made['days']['unequal'])}")
