"""`jingluo rules`: the tables that divide consultation fees, and what they make of a question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import typer

from channels.loader import shown
from config.errors import BadMessage
from config.settings import Settings
from schemas.rules.evaluate import price, question
from schemas.rules.model import NAMES, Priced, Rule, Rules
from schemas.rules.table import read_rules

app = typer.Typer(help="Rules of consultation fees. 诊查费统筹规则", no_args_is_help=True)

_CHINA = timezone(timedelta(hours=8))
Table = Annotated[str, typer.Argument(help="A table: its name, or its file in the site. 规则表")]


@app.command()
def show(
    table: Annotated[str, typer.Argument(help="A table; without it, all of the site. 规则表")] = "",
) -> None:
    """The tables of a site, or the rules of one. Exit code 1: it cannot be used. 查看规则"""
    from router.cli import settings

    chosen = settings()
    if not table:
        for path in _tables(chosen):
            read = read_rules(path, shown(path, chosen.site))
            size = (
                f"{len(read.rules.rules)} rules" if read.rules else "cannot be used; `jingluo check` says why"
            )
            typer.echo(f"{shown(path, chosen.site)}: {size}")
        return
    for line in _lines(_read(chosen, table)):
        typer.echo(line)


@app.command(name="try")
def try_(
    table: Table,
    asked: Annotated[
        list[str], typer.Argument(help="The question: nature=1 med_type=12 age=45 at=2026-06-01 fee=10.00")
    ],
) -> None:
    """How a fee is divided, and which rule does it, or why none. Exit code 1: none. 试算"""
    from router.cli import settings

    rules = _read(settings(), table)
    said = dict(one.partition("=")[::2] for one in asked)
    try:
        put = question(said, {}, datetime.now(UTC).astimezone(_CHINA).date())
        priced = price(rules, put)
    except BadMessage as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in _told(priced):
        typer.echo(line)


def _tables(chosen: Settings) -> list[Path]:
    """Those of the site's `rules/`, and of the example hospital's."""
    folders = (chosen.site / "rules", chosen.site / "schemas" / "rules")
    return [
        path for folder in folders for path in sorted(folder.glob("*")) if path.suffix in (".yaml", ".csv")
    ]


def _read(chosen: Settings, table: str) -> Rules:
    paths = [path for path in _tables(chosen) if path.stem == table] or [chosen.site / table]
    read = read_rules(paths[0], shown(paths[0], chosen.site))
    for finding in read.findings:
        typer.echo(str(finding), err=True)
    if read.rules is None:
        raise typer.Exit(1)
    return read.rules


def _lines(rules: Rules) -> Iterator[str]:
    yield f"{rules.name}: {rules.title}"
    yield from (
        f"  {key}: {text}" for key, text in (("source", rules.source), ("rounding", rules.rounding)) if text
    )
    for rule in rules.rules:
        yield f"  {rule.line:4} {rule.id}: {_pays(rule)}; {', '.join(_named(rule)) or 'anything 任何情况'}"
        if rule.why:
            yield f"       {rule.why}"


def _pays(rule: Rule) -> str:
    share = rule.share
    paid = (
        f"{(share.ratio * 100).normalize():f}%" if share.ratio is not None else _yuan(share.amount_fen or 0)
    )
    paid += f" of {_yuan(rule.fee_fen)}" if rule.fee_fen is not None else ""
    return paid + (f", at most {_yuan(share.cap_fen)}" if share.cap_fen is not None else "")


def _named(rule: Rule) -> Iterator[str]:
    for name, codes in rule.codes.items():
        yield f"{name} {NAMES[name]} {'|'.join(sorted(codes))}"
    if rule.names("age"):
        until = "" if rule.age_below is None else f"{rule.age_below}"
        yield f"age {NAMES['age']} {rule.age_from or 0}..{until}"
    if rule.first or rule.last:
        yield f"{rule.first or ''}..{rule.last or ''}"
    if rule.otherwise:
        yield "otherwise 其余"


def _told(priced: Priced) -> Iterator[str]:
    fee, fund, own = (_yuan(fen) for fen in (priced.fee_fen, priced.fund_fen, priced.own_fen))
    yield f"{priced.rule.id}: fee 诊查费 {fee} = fund 统筹 {fund} + own 个人 {own}"
    for step in priced.trace:
        yield f"  {'+' if step.holds else '-'} {step.rule.line:4} {step.rule.id}: {step.because}"


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"
