"""`jingluo docs`: the reference, printed from the sources.

It needs no running engine, and no site: of code tables it shows those of one too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.registry import nearest

if TYPE_CHECKING:
    from channels.kinds import Kind
    from transforms.manual import Described

app = typer.Typer(help="The reference, from the sources. 参考手册")

Json = Annotated[bool, typer.Option("--json", help="One JSON value, for tools.")]


@app.callback(invoke_without_command=True)
def topics(context: typer.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    for command in app.registered_commands:
        name = command.callback.__name__ if command.callback else ""
        says = (command.callback.__doc__ or "").strip()
        typer.echo(f"jingluo docs {name:10} {says}")


@app.command()
def functions(
    name: Annotated[
        str, typer.Argument(help="One function, the beginning of several names, or a word.")
    ] = "",
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The chapter of the README.")] = False,
) -> None:
    """The pipe functions by group, with arguments, examples and results. 管道函数"""
    from transforms import manual

    if as_markdown:
        typer.echo(manual.as_markdown(), nl=False)
        return
    known = manual.all_functions()
    found = (
        [one for one in known if one.name == name]
        or [one for one in known if one.name.startswith(name)]
        or [one for one in known if name.lower() in f"{one.name} {one.says}".lower()]
    )
    if not found:
        _nobody("pipe function", name, [one.name for one in known])
    if as_json:
        _print_json([_facts(one) for one in found])
        return
    for group, members in groupby(found, key=lambda one: one.group):
        typer.secho(f"\n{group}", bold=True)
        for one in members:
            _print_function(one)
    if len(found) > 1:
        typer.echo(f"{len(found)} functions")


def _print_function(one: Described) -> None:
    from transforms.manual import shown

    typer.echo(f"\n  {one.usage}")
    typer.echo(f"    {one.says}")
    for parameter in one.parameters:
        needed = (
            "must be given" if parameter.default is None else f"without it {parameter.default or 'nothing'}"
        )
        typer.echo(f"      {parameter.name}: {parameter.kind}; {needed}")
    for example in one.examples:
        typer.echo(f"    {shown(example)}")


def _facts(one: Described) -> dict[str, Any]:
    from transforms.manual import plain

    examples = [{"value": plain(e.value), "pipe": e.pipe, "result": plain(e.result)} for e in one.examples]
    return {
        "name": one.name,
        "group": one.group,
        "usage": one.usage,
        "takes": one.takes,
        "says": one.says,
        "arguments": [{"name": p.name, "kind": p.kind, "default": p.default} for p in one.parameters],
        "examples": examples,
    }


@app.command()
def endpoints(
    kind: Annotated[str, typer.Argument(help="One kind, as a channel names it: mllp.")] = "",
    as_json: Json = False,
) -> None:
    """Where messages come from and go to: each kind with its options. 接入与发送"""
    from channels.kinds import all_kinds

    _print_kinds(all_kinds(), "kind of endpoint", kind, as_json)


@app.command()
def formats(
    name: Annotated[str, typer.Argument(help="One format, as a channel or a map names it: delimited.")] = "",
    as_json: Json = False,
) -> None:
    """What messages are written in: each format with its options. 报文格式"""
    from channels.kinds import all_formats

    _print_kinds(all_formats(), "format", name, as_json)


@app.command()
def callers(as_json: Json = False) -> None:
    """Who may call the web doors: the keys of callers.yaml. 调用方"""
    from channels.kinds import callers_file

    _print_kinds([callers_file()], "file", "", as_json)


def _print_kinds(known: Sequence[Kind], what: str, name: str, as_json: bool) -> None:
    found = [one for one in known if name in ("", one.kind)]
    if not found:
        _nobody(what, name, sorted({one.kind for one in known}))
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    for one in found:
        typer.secho(f"\n{one.kind}, {one.side}", bold=True)
        typer.echo(f"  {one.says}")
        for option in one.options:
            typer.echo(f"    {option.name}: {option.type}{_without(option.default)}")
            if option.says:
                typer.echo(f"      {option.says}")


@app.command()
def errors(
    code: Annotated[str, typer.Argument(help="One code, JL-C010 or C010, or the beginning of several.")] = "",
    as_json: Json = False,
) -> None:
    """What a code means, and what to do about it. 错误代码"""
    from config.codes import codes

    wanted = code.upper()
    found = [one for name, one in codes().items() if name.startswith(wanted) or name[3:].startswith(wanted)]
    if not found:
        _nobody("code", wanted, list(codes()))
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    for family, members in groupby(found, key=lambda one: one.family):
        typer.secho(family, bold=True)
        for one in members:
            typer.echo(f"  {one.code}  {one.means}\n            do: {one.do}")


@app.command()
def tables(
    name: Annotated[
        str, typer.Argument(help="One table, the beginning of several names, or a word: 剖宫产.")
    ] = "",
    as_json: Json = False,
) -> None:
    """The code tables, the site's own too: sources, columns, size; of one its rows and tests. 代码表"""
    from router.cli import settings
    from router.commands import code_tables

    site = settings()
    found, names = code_tables.find(site, name)
    if not found:
        _nobody("code table", name, names)
    one = len(found) == 1
    if as_json:
        _print_json([code_tables.facts(table, site, rows=one) for table in found])
        return
    lines = code_tables.whole(found[0], site) if one else code_tables.listed(found)
    typer.echo("\n".join(lines))
    if not one:
        typer.echo(f"{len(found)} tables")


def _without(default: str | None) -> str:
    if default is None:
        return "; must be given"
    return f"; without it {default}" if default else ""


def _nobody(what: str, name: str, known: Sequence[str]) -> None:
    near = nearest(name, known)
    typer.echo(f"no {what} is called {name!r}" + (f"; did you mean {near}?" if near else ""), err=True)
    raise typer.Exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
