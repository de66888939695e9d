"""What a plan says: channels, queues, and what keeps it from being done."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.loader import Site, load_site
from config.settings import load_settings
from router.plan import Plan, make_plan

FLAT = "from: {mllp: {port: 2601}}\nformat: hl7v2\n"


def site(folder: Path, systems: str = "", env: dict[str, str] | None = None, **channels: str) -> Site:
    """The channels as files: name to what follows `channel: name`."""
    (folder / "channels").mkdir(parents=True, exist_ok=True)
    for old in (folder / "channels").iterdir():
        old.unlink()
    (folder / "jingluo.yaml").write_text("http: {port: 0}\n")
    (folder / "systems.yaml").write_text(f"systems: {{{systems}}}\n")
    for name, text in channels.items():
        (folder / "channels" / f"{name}.yaml").write_text(f"channel: {name}\n{text}")
    return load_site(load_settings(folder, env or {}), env or {})


def to(*names: str, more: str = FLAT, port: int = 1) -> str:
    branches = "".join(f"  {name}: {{send: {{mllp: {{host: 127.0.0.1, port: {port}}}}}}}\n" for name in names)
    return f"{more}to:\n{branches}"


def plan(before: Site, after: Site, drain: bool = False, **waiting: int) -> Plan:
    """`waiting` by destination of the channel `a`; everything else is empty."""
    queues = {f"jl.{c.name}.{b.name}": waiting.get(b.name, 0) for c in before.channels for b in c.branches}
    return make_plan(before.channels, before.digest, after, queues, drain=drain)


def test_a_channel_is_added_changed_removed_or_the_same(tmp_path: Path) -> None:
    other = FLAT.replace("2601", "2602")
    third = FLAT.replace("2601", "2603")
    before = site(tmp_path, a=to("x"), b=to("x", more=other), c=to("x", more=third))
    after = site(tmp_path, a=to("x", port=2), b=to("x", more=other), d=to("x", more=third))
    made = plan(before, after)
    assert [(c.channel, c.change) for c in made.channels] == [
        ("a", "changed"),
        ("b", "same"),
        ("c", "removed"),
        ("d", "added"),
    ]
    assert [(c.live != "", c.new != "") for c in made.channels] == [(1, 1), (1, 1), (1, 0), (0, 1)]
    assert (made.live, made.new) == (before.digest, after.digest)
    assert [(q.queue, q.change) for q in made.queues] == [("jl.c.x", "dropped"), ("jl.d.x", "made")]
    assert not made.refused
    assert not made.nothing
    assert plan(before, before).nothing


def test_comments_and_tests_of_a_channel_change_nothing(tmp_path: Path) -> None:
    before = site(tmp_path, a=to("x"))
    assert plan(before, site(tmp_path, a=to("x") + "# a comment\ntests: []\n")).nothing


def test_a_system_that_changes_changes_the_channels_that_use_it(tmp_path: Path) -> None:
    used = f"{FLAT}to:\n  x: {{send: {{system: lis}}}}\n"
    other = to("x", more=FLAT.replace("2601", "2602"))
    before = site(tmp_path, "lis: {kind: mllp, host: one, port: 1}", a=used, b=other)
    after = site(tmp_path, "lis: {kind: mllp, host: two, port: 1}", a=used, b=other)
    assert [c.change for c in plan(before, after).channels] == ["changed", "same"]


def test_another_value_of_a_secret_is_a_change_that_no_file_shows(tmp_path: Path) -> None:
    sends = "  x: {send: {http: {url: 'http://127.0.0.1:1/', auth: {bearer: secret://emr}}}}\n"
    before = site(tmp_path, env={"JINGLUO_SECRET_EMR": "old"}, a=f"{FLAT}to:\n{sends}")
    after = site(tmp_path, env={"JINGLUO_SECRET_EMR": "new"}, a=f"{FLAT}to:\n{sends}")
    (change,) = plan(before, after).channels
    assert (change.change, change.live == change.new) == ("changed", True)
    assert change.notes == ("the value of a secret",)
    assert "old" not in str(change)


def test_what_is_new_is_said_in_words(tmp_path: Path) -> None:
    before = site(tmp_path, a=to("x", "y", more=f"{FLAT}order: {{by: $PID-3.1, lanes: 4}}\n"))
    after = site(tmp_path, a=to("y", "z", more=FLAT.replace("2601", "2700")))
    (change,) = make_plan(before.channels, before.digest, after, {}, drain=False).channels
    assert change.notes == (
        "its door (mllp) closes, another (mllp) opens",
        "+ destination z",
        "- destination x",
        "4 lanes -> no order: what waits now is delivered before what comes",
    )


@pytest.mark.parametrize("count", [1, 2])
def test_messages_that_wait_for_a_destination_keep_it(tmp_path: Path, count: int) -> None:
    before, after = site(tmp_path, a=to("x", "y")), site(tmp_path, a=to("y"))
    made = plan(before, after, x=count, y=5)
    (finding,) = made.findings
    what = "1 message waits" if count == 1 else "2 messages wait"
    assert str(finding).startswith(f"channels/a.yaml:1:1: JL-R001: {what} for a.x; `jingluo apply --drain`")
    assert made.refused
    assert [(q.queue, q.change, q.waiting) for q in made.queues] == [("jl.a.x", "drained", count)]
    assert not plan(before, after, drain=True, x=count).refused


def test_of_a_file_with_mistakes_nothing_else_is_said(tmp_path: Path) -> None:
    before = site(tmp_path, a=to("x"))
    made = plan(before, site(tmp_path, a=to("x").replace("hl7v2", "hl7v3")), x=3)
    assert [(c.channel, c.change) for c in made.channels] == [("a", "refused")]
    assert [finding.code for finding in made.findings] == ["JL-C017"]
    assert not made.queues
    assert made.refused
