"""Who may read what the engine writes: its user alone, also where root's command made it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from journal_parts import KEYS, NOW, message

from router.brokers.base import QueueSpec
from router.brokers.embedded import EmbeddedBroker
from router.clock import now_ms
from router.duplicates import Seen
from router.store import open_store


def readable_by_others(folder: Path) -> list[str]:
    return [f.name for f in (folder, *folder.rglob("*")) if stat.S_IMODE(f.stat().st_mode) & 0o077]


async def test_messages_that_wait_and_answers_that_are_remembered_are_for_the_engines_user_alone(
    tmp_path: Path,
) -> None:
    broker = EmbeddedBroker(tmp_path / "var" / "broker.db")
    await broker.start()
    await broker.declare([QueueSpec("jl.a.b")])
    await broker.publish(("jl.a.b",), b"PID|1||P0001")
    seen = Seen(tmp_path / "var" / "seen.db", now_ms)
    await seen.start()
    assert len(list((tmp_path / "var").iterdir())) >= 4
    assert readable_by_others(tmp_path / "var") == []
    await seen.stop()
    await broker.stop()


def test_the_journals_files_are_for_the_engines_user_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/var/journal.db", KEYS)
    store.write([message()], [])
    assert len(list((tmp_path / "var").rglob("*"))) >= 7
    assert readable_by_others(tmp_path / "var") == []
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_day_that_roots_command_begins_is_the_engines(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    var = tmp_path / "var"
    var.mkdir(0o700)
    os.chown(var, 12345, 12345)
    store = open_store(f"sqlite:///{var}/journal.db", KEYS)
    store.write([message(NOW)], [])
    store.note("viewed", "0197a3c2")
    files = list(var.rglob("*"))
    assert {file.stat().st_uid for file in files} == {12345}
    assert any(file.name.endswith("-wal") for file in files)
    store.close()
