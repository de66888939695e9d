"""A folder of files as a channel's door and way out, in a running engine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from engine_parts import adt, running, settled, write_site

from router.api import health
from router.search import Query

CHANNEL = """\
channel: drop
from: {file: {folder: in, pattern: "*.hl7", poll: 20ms, settle: 0s}}
format: hl7v2
to:
  out: {send: {file: {folder: out, name: "{$PID-3.1}-{id}.hl7"}}}
"""


async def test_a_file_that_was_accepted_and_not_moved_is_sent_once_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = write_site(tmp_path, {"drop": CHANNEL})
    (site / "in").mkdir()
    (site / "in/a.hl7").write_bytes(adt("A1"))
    rename = os.rename

    def no_right(path: Any, to: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", no_right)
    async with running(site) as engine:
        await settled(engine)
        async with asyncio.timeout(20):
            while (said := health(engine)["channels"]["drop"]) == "open":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert said.startswith("1 file(s) cannot")
        assert said.endswith("Permission denied")
    monkeypatch.setattr(os, "rename", rename)
    async with running(site) as engine:
        async with asyncio.timeout(20):
            while (site / "in/a.hl7").exists() or len(engine.store.search(Query(), 10).found) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        found = engine.store.search(Query(), 10).found
        assert sorted(one.state for one in found) == ["accepted", "duplicate"]
        assert health(engine)["channels"] == {"drop": "open"}
    (written,) = (site / "out").iterdir()
    assert written.name.startswith("P0001-")
    assert written.read_bytes() == adt("A1")
