"""The journal's answers as tables on a terminal. Times in this machine's zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.destinations import Shown
from router.search import RELATIVES, Count, DeadLetters, Delivery, Found, Page, Story

if TYPE_CHECKING:
    from router.api_alerts import Shown as Alert
    from router.replay_jobs import Job

_STATES = {
    "running": "running 运行",
    "paused": "paused 暂停",
    "draining": "draining 排空中",
    "drained": "drained 已排空",
    "gone": "gone 通道已撤销",
}
_STYLE = {"sent": "green", "dead": "red", "refused": "red", "retrying": "yellow", "waiting": "yellow"}


def print_page(page: Page) -> None:
    table = headed("id", "received", "channel", "kind", "state", "found by")
    for m in page.found:
        found_by = " ".join(f"{name}={value}" for name, value in m.index.items())
        table.add_row(m.id, _time(m.received_ms), m.channel, escape(m.kind), _state(m), escape(found_by))
    console = terminal()
    console.print(table if page.found else "nothing found 未找到")
    if page.next:
        console.print(f"more: --after {page.next}")


def print_dead(dead: DeadLetters) -> None:
    table = headed(
        "cause", "channel", "destination", "code", "count", "oldest", "newest", "example", "reason"
    )
    for g in dead.groups:
        times = (_time(g.oldest_ms), _time(g.newest_ms))
        place = (g.key, g.channel, g.destination, escape(g.code), str(g.count))
        table.add_row(*place, *times, g.example, escape(g.cause))
    terminal().print(table if dead.groups else "no dead letters 无死信")
    if not dead.whole:
        said = f"looked at the newest {dead.looked:,} dead letters, there are more: --look N 仅统计最近的死信"
        terminal().print(said)


def print_counts(lines: Sequence[Count]) -> None:
    table = headed(
        "channel", "destination", "accepted", "delivered", "dead", "waiting", "filtered", "refused"
    )
    for c in lines:
        figures = (c.accepted, c.delivered, c.dead, c.waiting) if c.destination else (c.accepted, "", "", "")
        refused = "" if c.destination else c.refused
        table.add_row(c.channel, c.destination, *map(str, figures), str(c.filtered), str(refused))
    terminal().print(table if lines else "no messages 无消息")


def print_destinations(shown: Sequence[Shown]) -> None:
    table = headed("channel", "destination", "state", "waiting", "since", "reason")
    for d in shown:
        since = _time(d.since_ms) if d.since_ms else ""
        state = _STATES[d.state] if d.state == "running" else f"[yellow]{_STATES[d.state]}[/]"
        table.add_row(d.channel, d.destination, state, str(d.waiting), since, escape(d.reason))
        for h in d.held:
            lane = h.queue.rpartition(".")[2].replace("of", "/")
            what = f"[red]lane {lane} held 挂起[/]"
            table.add_row("", "", what, "", _time(h.since_ms), escape(f"{h.id}: {h.code}: {h.reason}"))
    terminal().print(table if shown else "no destinations 无目的地")


def print_alerts(shown: Sequence[Alert]) -> None:
    table = headed("alert", "channel", "destination", "opened", "closed", "")
    for a in shown:
        what = a.what if a.closed_ms else f"[red]{a.what}[/]"
        times = (_time(a.opened_ms), _time(a.closed_ms) if a.closed_ms else "open 未恢复")
        table.add_row(what, a.channel, a.destination, *times, escape(f"{a.english} {a.chinese}"))
    terminal().print(table if shown else "no alerts 无告警")


def print_jobs(jobs: Sequence[Job]) -> None:
    table = headed("job", "state", "replayed", "failed", "of", "a second", "began", "by", "waits")
    for j in jobs:
        began = _time(j.begun_ms) if j.begun_ms else ""
        figures = (str(j.made), str(j.failed), str(j.total), f"{j.rate:g}" if j.rate else "")
        table.add_row(j.id, j.state, *figures, began, escape(j.who), escape(j.waits))
    terminal().print(table if jobs else "no replay jobs 无重发任务")


def print_story(story: Story, *, body: bool) -> None:
    console = terminal()
    m = story.message
    facts = {
        "id": m.id,
        "received 接收": f"{_time(m.received_ms)}  {story.source}",
        "channel 通道": m.channel,
        "kind 类型": f"{m.kind}  {story.format} {story.charset}  {m.size} bytes",
        "state 状态": " ".join(filter(None, (m.state, m.code, m.reason))),
        **{f"found by {name}": value for name, value in m.index.items()},
        "filtered 过滤": " ".join(m.filtered),
        "made from 来源": " <- ".join(story.parents),
        "gathered of 汇集": _some(story.headers.get("collect.messages", "").split()),
        "made into 派生、重发": _some(story.children),
    }
    for name, value in facts.items():
        if value:
            console.print(f"{name}: ", style="bold", end="")
            console.print(value, markup=False, soft_wrap=True)
    console.print(_ways(story))
    if body:
        print_body(console, story)


def _some(ids: Sequence[str]) -> str:
    return " ".join(ids[:RELATIVES]) + (" ..." if len(ids) >= RELATIVES else "")


def print_body(console: Console, story: Story) -> None:
    console.print("-- message 报文", style="bold")
    if story.blob:
        console.print(f"{story.blob.size} bytes: --save FILE writes them 内容较大，请用 --save 存为文件")
    kept = (
        "its time is over (keep: body) 正文已到期清除"
        if story.body_over
        else readable(story.body, story.charset)
    )
    console.print(kept, markup=False, soft_wrap=True)
    for t in story.tries:
        if t.answer:
            console.print(f"-- answer of {t.destination}, try {t.attempt} 应答", style="bold")
            console.print(readable(t.answer, story.charset), markup=False, soft_wrap=True)


def story_facts(story: Story, *, body: bool) -> dict[str, Any]:
    """For `--json`: bodies as text, and only where asked for."""
    facts = asdict(story)
    facts["body"] = readable(story.body, story.charset) if body and not story.blob else None
    facts["blob"] = {"name": story.blob.name, "size": story.blob.size} if story.blob else None
    for shown, t in zip(facts["tries"], story.tries, strict=True):
        shown["answer"] = readable(t.answer, story.charset) if body else None
    return facts


def readable(body: bytes, charset: str) -> str:
    """As text, one HL7 segment a line. What is no text shows as U+FFFD or as a picture."""
    for name in filter(None, ("utf-8", charset, "gb18030")):
        try:
            text = body.decode(name)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    else:
        text = body.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(chr(0x2400 + ord(c)) if c < " " and c not in "\n\t" else c for c in text).rstrip("\n")


def _ways(story: Story) -> Table:
    table = headed("destination", "state", "try", "at", "took", "outcome", "code", "reason")
    for d in story.message.deliveries:
        tries = [t for t in story.tries if t.destination == d.destination]
        table.add_row(d.destination, _coloured(d.state))
        for t in tries:
            table.add_row(
                "",
                "",
                str(t.attempt),
                _time(t.at_ms),
                f"{t.took_ms} ms",
                t.outcome,
                escape(t.code),
                escape(t.reason),
            )
    return table


def _state(m: Found) -> str:
    if m.state != "accepted":
        return " ".join(filter(None, (_coloured(m.state), escape(m.code))))
    return " ".join(f"{d.destination}:{_coloured(d.state)}{_tried(d)}" for d in m.deliveries)


def _tried(d: Delivery) -> str:
    return f"({d.attempts})" if d.attempts > 1 else ""


def _coloured(state: str) -> str:
    style = _STYLE.get(state)
    return f"[{style}]{state}[/]" if style else state


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def headed(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    return table


def terminal() -> Console:
    """Into a pipe: one line a row, however long, so that grep and cut find it whole."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=400)
