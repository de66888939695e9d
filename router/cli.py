"""The command `jingluo`. Imports what a command needs only when it runs: `jingluo --help` is quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from config.errors import ConfigError, JingluoError

if TYPE_CHECKING:
    from channels.loader import Site
    from config.settings import Settings

app = typer.Typer(
    name="jingluo",
    help="Jingluo 经络: a hospital's network of channels. 医院信息集成引擎",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_site: Path | None = None


@app.callback()
def options(
    site: Annotated[
        Path | None,
        typer.Option(
            "--site", envvar="JINGLUO_SITE", help="The site's folder; the example hospital without it."
        ),
    ] = None,
) -> None:
    global _site
    _site = site


def settings(**chosen: str) -> Settings:
    """The settings of the site that the command line names. Ends the command where they cannot be read.

    `chosen` goes before what the environment says: roles="intake" as JINGLUO_ROLES.
    """
    try:
        return _load(**chosen)
    except ConfigError as error:
        for finding in error.findings:
            typer.echo(str(finding), err=True)
        raise typer.Exit(2) from None
    except JingluoError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _load(**chosen: str) -> Settings:
    from config.settings import load_settings

    env = {**os.environ, **{f"JINGLUO_{name}".upper(): value for name, value in chosen.items() if value}}
    return load_settings(_site, env)


@app.command()
def run(
    roles: Annotated[
        str, typer.Option(help="What this process does, with commas: intake, delivery, journal; else all.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Put files to work whenever they change.")] = False,
    watch_polling: Annotated[
        bool, typer.Option("--watch-polling", help="The same on a network share, by looking again and again.")
    ] = False,
) -> None:
    """Runs the site until it is told to stop (SIGTERM, Ctrl-C); SIGHUP puts changed files to work."""
    from channels.loader import load_site
    from config.logs import setup

    chosen = settings(roles=roles)
    setup(chosen.log.level, chosen.log.format)
    site = load_site(chosen)
    for finding in site.findings:
        typer.echo(str(finding), err=True)
    if not site.channels:
        typer.echo("no channel can run: nothing to do", err=True)
        raise typer.Exit(1)
    from router.commands.run import serve

    def reread() -> tuple[Settings, Site]:
        again = _load(roles=roles)
        return again, load_site(again)

    watching = "polling" if watch_polling else "on" if watch else ""
    raise typer.Exit(_run_loop(serve(chosen, site, reread, watching)))


Drain = Annotated[
    bool, typer.Option("--drain", help="Deliver what waits for destinations that go. 先发完待发消息")
]


@app.command()
def plan(
    drain: Drain = False, as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False
) -> None:
    """What the files would change in the running engine; changes nothing. Exit code 1: it would be refused. 预览变更"""
    from router.commands.reload import ask

    raise typer.Exit(ask(settings(), "plan", drain=drain, as_json=as_json))


@app.command()
def apply(
    drain: Drain = False, as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False
) -> None:
    """Puts the files to work in the running engine: all, or nothing and exit code 1. 使变更生效"""
    from router.commands.reload import ask

    raise typer.Exit(ask(settings(), "apply", drain=drain, as_json=as_json))


@app.command()
def alerts(
    state: Annotated[
        Literal["open", "closed", "all"], typer.Option(help="Those that are over too. 状态")
    ] = "open",
    channel: Annotated[str, typer.Option("--channel", "-c")] = "",
    since: Annotated[str, typer.Option(help="Open since then at any time: 30m, 24h ago, 2026-01-31.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """What is not well in the running engine, and what was not lately. Exit code 1: some are open. 告警"""
    from router.commands.alerts import show
    from router.commands.asking import time_ms

    chosen = "" if state == "all" else state
    raise typer.Exit(show(settings(), chosen, channel, time_ms(since), as_json=as_json))


@app.command()
def check(
    form: Annotated[
        str, typer.Option("--format", help="text, json, or sarif for code hosts and editors.")
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="All shipped maps and tables too, not only those that are used.")
    ] = False,
) -> None:
    """Checks every file of the site. Exit code 0: clean, 1: findings, 2: cannot be read. 检查配置"""
    from channels.report import FORMS, check_site, exit_code

    if form not in FORMS:
        raise typer.BadParameter(f"one of {', '.join(FORMS)}", param_hint="--format")
    findings = check_site(_site, shipped=shipped)
    typer.echo(FORMS["json" if as_json else form](findings))
    raise typer.Exit(exit_code(findings, strict))


@app.command(name="test")
def prove(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Channels, maps, tables, or `name: test`; * and ? stand for anything. Without: all."
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the files of expected messages as they are now.")
    ] = False,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show what no test reached: routes, map lines, columns of tables."),
    ] = False,
    at_least: Annotated[
        float, typer.Option(help="Fail where tests reach less of all map lines (percent).", min=0, max=100)
    ] = 0,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file too.")] = None,
) -> None:
    """Plays the tests beside channels, maps and tables. Exit code 0: all hold, 1: some fail, 2: cannot be played."""
    from router.commands.prove import Wanted, run_command

    wanted = Wanted(tuple(names or ()), update, coverage or at_least > 0, at_least, junit)
    raise typer.Exit(run_command(settings(), wanted))


@app.command()
def explain(
    channel: Annotated[str, typer.Argument(help="The channel's name. 通道")],
    lang: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="One language instead of both. 语言")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Write the picture to this file too.", dir_okay=False)
    ] = None,
) -> None:
    """The way of a channel in words and as a picture. 用文字和图说明通道"""
    from router.commands.explain import explain as show

    raise typer.Exit(show(settings(), channel, lang, svg))


@app.command()
def schema(
    name: Annotated[
        str, typer.Argument(help="channel, systems, settings, map, fragment or table.")
    ] = "channel",
    write: Annotated[
        Path | None, typer.Option(help="Put all of them into this folder, and say what VS Code wants.")
    ] = None,
) -> None:
    """The JSON Schema of a kind of file, for editors. 编辑器用的 JSON Schema"""
    from router.commands.schema import show, write_all

    raise typer.Exit(show(name) if write is None else write_all(write))


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Messages.", exists=True, dir_okay=False)],
    kind: Annotated[
        str,
        typer.Option(
            "--as", help="hl7v2/2.5, hl7v2, fhir/r4, fhir/r5, models, nhsa/2207, a file of schemas/."
        ),
    ],
    charset: Annotated[str, typer.Option(help="Where the message does not say it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Faults as JSON.")] = False,
) -> None:
    """Validates messages. Exit code 0: nothing found, 1: faults, 2: cannot be read. 校验报文"""
    from router.commands.validate import validate_files

    raise typer.Exit(validate_files(files, kind, settings().schemas, charset, as_json))


@app.command()
def fmt(
    files: Annotated[
        list[Path] | None, typer.Argument(help="YAML files; without any, those of the site.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say which would change: exit code 1.")] = False,
) -> None:
    """Writes YAML files in their canonical form, comments kept. 统一 YAML 格式"""
    from router.commands.fmt import run_fmt

    raise typer.Exit(run_fmt(_site, files or [], check))


@app.command()
def demo(
    count: Annotated[int, typer.Option(help="How many messages.", min=1, max=100_000)] = 500,
    seed: Annotated[int, typer.Option(help="The same seed plays the same day.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards.")] = False,
    misbehave: Annotated[list[str] | None, typer.Option(help="Such as lis=slow:2, emr=refuse@10%.")] = None,
) -> None:
    """A day in the example hospital: real traffic through the engine, and whether anything was lost."""
    # By name: deploy stands above router.
    play = importlib.import_module("deploy.sandbox.demo")
    raise typer.Exit(_run_loop(play.run_demo(count=count, seed=seed, keep=keep, misbehave=misbehave or [])))


@app.command()
def send(
    url: Annotated[str, typer.Argument(help="mllp://host:port or http://host:port/path")],
    files: Annotated[list[Path], typer.Argument(help="One message a file.", exists=True, dir_okay=False)],
) -> None:
    """Sends messages and prints the answers. Exit code 1 when one was not accepted."""
    from router.commands.send import send_files

    raise typer.Exit(_run_loop(send_files(url, files)))


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    import uvloop

    return int(uvloop.run(main))


def main() -> None:
    """Entry point of the command."""
    from router.commands.destinations import app as destinations
    from router.commands.docs import app as docs
    from router.commands.insurance import app as insurance
    from router.commands.log import app as log
    from router.commands.maps import app as maps
    from router.commands.messages import app as messages
    from router.commands.reconcile import app as reconcile_
    from router.commands.rules import app as rules
    from router.commands.settlements import app as settlements_
    from router.commands.wsdl import app as wsdl

    app.add_typer(destinations, name="destination")
    app.add_typer(maps, name="map")
    app.add_typer(messages, name="messages")
    app.add_typer(log, name="log")
    app.add_typer(insurance, name="insurance")
    app.add_typer(docs, name="docs")
    app.add_typer(reconcile_, name="reconcile")
    app.add_typer(rules, name="rules")
    app.add_typer(settlements_, name="settlements")
    app.add_typer(wsdl, name="wsdl")
    try:
        app()
    except ConfigError as error:
        typer.echo("\n".join(map(str, error.findings)), err=True)
        sys.exit(2)
    except JingluoError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
