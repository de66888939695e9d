"""`jingluo docs`: the reference, printed from the sources.

It needs no site and no running engine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.registry import nearest

if TYPE_CHECKING:
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
    name: Annotated[str, typer.Argument(help="One function, or the beginning of several names.")] = "",
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The chapter of the README.")] = False,
) -> None:
    """The pipe functions by group, with arguments, examples and results. 管道函数"""
    from transforms import manual

    if as_markdown:
        typer.echo(manual.as_markdown(), nl=False)
        return
    known = manual.all_functions()
    found = [one for one in known if one.name == name] or [one for one in known if one.name.startswith(name)]
    if not found:
        _nobody("pipe function", name, [one.name for one in known])
    if as_json:
        _print_json([_facts(one) for one in found])
        return
    for group, members in groupby(found, key=lambda one: one.group):
        typer.secho(group, bold=True)
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


def _nobody(what: str, name: str, known: Sequence[str]) -> None:
    near = nearest(name, known)
    typer.echo(f"no {what} is called {name!r}" + (f"; did you mean {near}?" if near else ""), err=True)
    raise typer.Exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
