"""The operator's lists over HTTP: by filter, and part by part until there is no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
from engine_parts import Sink, adt, channel, port, running, send, settled, write_site

from router.api_lists import part


def test_a_list_goes_on_behind_the_name_that_was_last() -> None:
    items = ["a", "b", "c", "d", "e"]
    assert part(items, str, 2, "") == (["a", "b"], "b")
    assert part(items, str, 2, "b") == (["c", "d"], "d")
    assert part(items, str, 2, "d") == (["e"], "")
    assert part(items, str, 5, "") == (items, "")
    assert part(items, str, 5, "gone") == ([], "")


async def test_messages_are_found_by_filter_and_part_by_part(tmp_path: Path, sink: Sink) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site) as engine:
        await send(port(engine), *(adt(f"C{n}", patient=f"P{n % 2}") for n in range(7)))
        await settled(engine)
        token = (engine.settings.var / "operator-token").read_text()
        client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{engine.web.port}",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        async with client:

            async def ids(address: str) -> list[list[str]]:
                """The ids of each part."""
                parts: list[list[str]] = []
                following: Any = address
                while following:
                    answer = await client.get(following)
                    assert answer.status_code == 200, answer.text
                    parts.append([one["id"] for one in answer.json()])
                    following = answer.links.get("next", {}).get("url")
                return parts

            parts = await ids("/api/messages?limit=3")
            assert [len(some) for some in parts] == [3, 3, 1]
            assert parts == [sorted(some, reverse=True) for some in parts], "newest first"
            assert len({id for some in parts for id in some}) == 7
            assert [
                len(some) for some in await ids("/api/messages?index=patient%3DP1&state=sent&limit=2")
            ] == [2, 1]
            assert await ids("/api/messages?since=2126-01-01T00:00:00Z") == [[]]
            story = (await client.get(f"/api/messages/{parts[0][0]}")).json()
            assert (story["message"]["channel"], story["tries"][0]["outcome"]) == ("adt", "sent")
            assert not {"body", "headers", "blob"} & set(story)
            assert "answer" not in story["tries"][0]
            for address, status in (
                ("/api/messages?state=lost", 422),
                ("/api/messages?limit=0", 422),
                ("/api/messages?limit=1001", 422),
                ("/api/messages?index=patient", 422),
                ("/api/messages/00000000", 404),
                ("/api/destinations?state=paused", 200),
            ):
                assert (await client.get(address)).status_code == status, address
            assert [
                one["destination"] for one in (await client.get("/api/destinations?channel=adt")).json()
            ] == ["lis"]
            assert (await client.get("/api/destinations?channel=other")).json() == []
            assert (await client.get("/api/replay/jobs?limit=1")).json() == []
        async with httpx2.AsyncClient(trust_env=False) as stranger:
            refused = await stranger.get(f"http://127.0.0.1:{engine.web.port}/api/messages")
            assert refused.status_code == 401
