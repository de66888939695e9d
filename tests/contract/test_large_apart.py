"""Large bodies where intake and delivery are processes of their own: one folder and one key for both."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from engine_parts import Sink, adt, channel, code_of, port, running, send, settled, write_site

from router.search import Query

pytestmark = pytest.mark.rabbitmq

KEY, OTHER = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
LARGE = adt("L1") + b"OBX|1|ED|||" + b"x" * 3_000_000 + b"\r"


async def test_what_one_process_took_another_delivers_once_it_has_the_key(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    retry = "    retry: {first: 200ms, max: 200ms}\n"
    site = write_site(tmp_path, channel(sink, branch=retry), settings="blobs: {folder: shared, free: 1MB}\n")

    def role(roles: str, **more: str) -> contextlib.AbstractAsyncContextManager[object]:
        return running(site, broker=amqp_vhost, roles=roles, var=str(tmp_path / roles), **more)

    async with running(
        site, broker=amqp_vhost, roles="intake,journal", var=str(tmp_path / "front"), blobs_key=KEY
    ) as front:
        assert [code_of(answer) for answer in await send(port(front), LARGE)] == ["AA"]
        assert len(list((site / "shared").glob("*/*"))) == 1
        async with role("delivery", blobs_key=OTHER):
            await settled(front, "retrying")
            assert front.store.search(Query(code="JL-L002")).found
        assert sink.got == []
        async with role("delivery", blobs_key=OTHER, blobs_old_keys=KEY):
            await sink.wait_for(1)
            assert sink.got == [LARGE]
            await settled(front)
