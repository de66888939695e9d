"""Catalogues through a whole engine: a channel brings them up to date, and another looks items up for a HIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
from engine_parts import running, write_site

from deploy.sandbox.centre import Centre

SYSTEMS = """\
systems:
  insurance: {{kind: nhsa, url: "{url}", fixmedins_code: H99999900001, fixmedins_name: 示例医院,
              mdtrtarea_admvs: "999900", recer_sys_code: MBS}}
"""
CHANNEL = """\
channel: {name}
title: {name}
from: {{http: {{path: /v1/{name}}}}}
format: json
to:
  insurance: {{send: insurance.{operation}, retry: {{first: 100ms, max: 100ms}}}}
reply: insurance
timeout: 30s
"""


async def test_a_channel_brings_a_catalogue_up_to_date_and_another_looks_items_up(
    tmp_path: Path, journal_url: str
) -> None:
    centre = Centre()
    await centre.start()
    channels = {name: CHANNEL.format(name=name, operation=name) for name in ("catalogue", "lookup")}
    write_site(tmp_path, channels, SYSTEMS.format(url=centre.url))
    try:
        async with (
            running(tmp_path, database=journal_url) as engine,
            httpx2.AsyncClient(timeout=60) as client,
        ):

            async def ask(name: str, body: Any) -> Any:
                told = await client.post(f"http://127.0.0.1:{engine.web.port}/v1/{name}", json=body)
                assert told.status_code == 200, told.text
                return told.json()

            centre.behave("9102", "cut", times=1)
            told = await ask("catalogue", {"codes": ["1301", "1312"]})
            assert {one["kind"] for one in told["catalogues"]} >= {"1312"}
            found = await ask("lookup", {"kind": "1301", "text": "X", "limit": 1})
            found = (
                found["rows"] or (await ask("lookup", {"kind": "1301", "text": "示例", "limit": 1}))["rows"]
            )
            code = found[0]["med_list_codg"]
            again = await ask("lookup", {"kind": "1301", "code": code})
            assert again["rows"][0] == found[0]
    finally:
        await centre.stop()
