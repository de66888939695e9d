"""`jingluo messages`: find a message, see its whole way, count the dead letters, replay.

Finding reads the database and needs no running engine; replay asks the engine, which alone may publish.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.clock import now_ms
from router.commands.asking import ask, opened, print_json, print_story, time_ms
from router.search import LOOK, PAGE, BadQuery, Query

if TYPE_CHECKING:
    from router.search import Story

app = typer.Typer(help="What became of every message. 消息查询与重发", no_args_is_help=True)

Text = Annotated[str, typer.Argument(help="An id (or its first 8 digits), or any searchable value, whole.")]
Channel = Annotated[str, typer.Option("--channel", "-c")]
Destination = Annotated[str, typer.Option("--to", help="A destination.")]
State = Annotated[str, typer.Option("--state", help="accepted filtered refused waiting sent retrying dead")]
Index = Annotated[list[str] | None, typer.Option("--index", "-i", help="name=value; repeatable.")]
Kind = Annotated[str, typer.Option("--kind", help="ADT^A01, or ADT*.")]
Code = Annotated[str, typer.Option("--code", help="An error's code.")]
Since = Annotated[str, typer.Option("--since", help="30m, 24h, 7d ago, or 2026-01-31[T08:00].")]
Until = Annotated[str, typer.Option("--until", help="The same; not included.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value, times in Unix milliseconds.")]


@app.command()
def search(
    text: Text = "",
    channel: Channel = "",
    to: Destination = "",
    state: State = "",
    index: Index = None,
    kind: Kind = "",
    code: Code = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = PAGE,
    after: Annotated[str, typer.Option(help="Go on after this id.")] = "",
    as_json: Json = False,
) -> None:
    """Finds messages, newest first. All that is given must hold. 查询消息"""
    query = _query(text, channel, to, state, index, kind, code, since, until)
    page = ask(lambda store: store.search(query, limit, after))
    if as_json:
        print_json(asdict(page))
        return
    from router.commands.tables import print_page

    print_page(page)


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="An id, or enough of its first digits.")],
    body: Annotated[
        bool, typer.Option("--body", help="The message itself and the answers: patient data.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the message itself to this new file: patient data.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A message's whole way: received, to whom, every try and its answer, replays. 消息全程"""
    story = ask(opened(id) if body or save else lambda store: store.show(id))
    if save is not None:
        _save(story, save)
    print_story(story, body=body, as_json=as_json)


@app.command()
def dead(
    channel: Channel = "",
    to: Destination = "",
    look: Annotated[int, typer.Option(min=1, help="At so many, the newest.")] = LOOK,
    as_json: Json = False,
) -> None:
    """Dead letters by channel, destination and cause; `replay --cause` takes those of one. 死信"""
    found = ask(lambda store: store.dead(channel, to, look))
    if as_json:
        print_json(asdict(found))
        return
    from router.commands.tables import print_dead

    print_dead(found)


@app.command()
def counts(since: Since = "24h", as_json: Json = False) -> None:
    """Conservation: accepted = delivered + dead + waiting, per channel and destination. 收发核对"""
    since_ms = time_ms(since) or 0
    lines = ask(lambda store: store.counts(since_ms))
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    from router.commands.tables import print_counts

    print_counts(lines)


@app.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Messages by id; or choose them with the options.")
    ] = None,
    channel: Channel = "",
    state: State = "",
    failed_to: Annotated[
        str, typer.Option("--to", help="Messages with this destination, for this one.")
    ] = "",
    index: Index = None,
    kind: Kind = "",
    code: Code = "",
    since: Since = "",
    until: Until = "",
    cause: Annotated[str, typer.Option(help="Dead letters of one cause, as `dead` names it.")] = "",
    destination: Annotated[
        list[str] | None, typer.Option("--destination", "-d", help="Only to this one; repeatable.")
    ] = None,
    edit: Annotated[
        Path | None,
        typer.Option("--edit", help="One message, with this body.", exists=True, dir_okay=False),
    ] = None,
    dead_only: Annotated[bool, typer.Option("--dead-only", help="Only where it is a dead letter.")] = False,
    limit: Annotated[int | None, typer.Option(help="More than this is refused.", min=1)] = None,
    job: Annotated[str, typer.Option(help="Go on with a job that was cancelled or interrupted.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
) -> None:
    """Makes new messages from old ones, by the running engine. Says first how many, and where to. 重发

    Ctrl-C ends it, and says how far it came."""
    from router.cli import settings
    from router.commands import replay as asks

    query = _query("", channel, failed_to, state, index, kind, code, since, until)
    ways = [bool(ids), query != Query(), bool(cause), bool(job)]
    if sum(ways) == 0:
        raise BadQuery("JL-J004", "give ids, or say which messages: --channel, --state, --since, --cause ...")
    if sum(ways) > 1:
        raise BadQuery("JL-J004", "give ids, or say which messages, or a cause: not both")
    if job:
        raise typer.Exit(asks.again(settings(), job))
    ask: dict[str, Any] = {"destinations": destination or [], "dead_only": dead_only}
    if edit is not None:
        if len(ids or ()) != 1:
            raise BadQuery("JL-J004", "--edit is for one message: give its id")
        code_ = asks.edited(settings(), (ids or [""])[0], ask, edit.read_bytes(), yes=yes, plan_only=plan)
        raise typer.Exit(code_)
    ask |= {"ids": ids} if ids else {"cause": cause} if cause else {"query": asdict(query)}
    if limit is not None:
        ask["limit"] = limit
    raise typer.Exit(asks.run(settings(), ask, yes=yes, plan_only=plan))


@app.command()
def jobs(as_json: Json = False) -> None:
    """Replay jobs of the running engine, oldest first: how far each came. 重发任务"""
    from router.cli import settings
    from router.commands.replay import listed

    found = listed(settings())
    if as_json:
        print_json([job.model_dump() for job in found])
        return
    from router.commands.tables import print_jobs

    print_jobs(found)


def _query(
    text: str,
    channel: str,
    to: str,
    state: str,
    index: Sequence[str] | None,
    kind: str,
    code: str,
    since: str,
    until: str,
) -> Query:
    pairs = [item.partition("=") for item in index or ()]
    if any(not mark for _, mark, _ in pairs):
        raise BadQuery("JL-J004", "write --index name=value")
    return Query(
        text=text,
        channel=channel,
        destination=to,
        state=state,  # type: ignore[arg-type]  # Query refuses what is none
        index={name: value for name, _, value in pairs},
        kind=kind,
        code=code,
        since_ms=time_ms(since),
        until_ms=time_ms(until),
    )


def _save(story: Story, file: Path) -> None:
    """The body, for this user's eyes; of a large one, piece by piece."""
    from router.blobs import open_blobs
    from router.cli import settings

    pieces = (
        open_blobs(settings(), now_ms, make=False).find(story.blob).pieces() if story.blob else (story.body,)
    )
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadQuery("JL-J004", f"{file}: {error.strerror}") from None
    try:
        with open(handle, "wb") as saved:
            saved.writelines(pieces)
    except BaseException:  # half a body is none
        file.unlink()
        raise
