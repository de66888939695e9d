"""The hourly job, and the rules it works by."""

from __future__ import annotations

import asyncio
from pathlib import Path

from channels.loader import load_site
from config.settings import load_settings
from router.keeping import Keeping, rules_of
from router.store import Keep, Rules, StoreDown

CHANNEL = """\
channel: {name}
from: {{mllp: {{port: {port}}}}}
format: hl7v2
to: {{lis: {{send: {{mllp: {{host: lis.example, port: 2575}}}}}}}}
"""


def test_a_channels_rule_goes_before_the_sites(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "jingluo.yaml").write_text("journal: {keep: {rows: 200d}}")
    keeps = {"a": "keep: {body: 30d, rows: 400d}", "b": "", "c": "keep: {body: 2d}"}
    for number, (name, keep) in enumerate(keeps.items()):
        text = CHANNEL.format(name=name, port=2601 + number) + keep
        (tmp_path / "channels" / f"{name}.yaml").write_text(text)
    settings = load_settings(tmp_path, {})
    site = load_site(settings, {})
    assert site.findings == ()
    rules = rules_of(settings, site.channels)
    day_s = 86_400.0
    assert rules.of("a") == Keep(30 * day_s, 400 * day_s)
    assert rules.of("b") == rules.of("long gone") == Keep(None, 200 * day_s)
    assert rules.of("c") == Keep(2 * day_s, None)


async def test_it_goes_on_hour_after_hour_whatever_happens_and_asks_for_the_rules_anew() -> None:
    asked: list[Rules] = []
    enough = asyncio.Event()
    rules = iter(
        [Rules(), Rules(others=Keep(rows_s=1.0)), Rules(others=Keep(rows_s=2.0)), *[Rules()] * 10_000]
    )

    async def keep(these: Rules) -> int:
        asked.append(these)
        if len(asked) == 1:
            raise StoreDown("JL-J010", "away")
        enough.set()
        raise ValueError("a bug")

    job = Keeping(keep, lambda: next(rules), first_s=0, every_s=0)
    job.start()
    async with asyncio.timeout(20):
        await enough.wait()
    await job.stop()
    assert [these.others.rows_s for these in asked] == [1.0, 2.0], "without a rule nobody is asked"
