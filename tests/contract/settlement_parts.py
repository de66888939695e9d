"""A site whose settlements ask the systems of one town, and the town: books of its own, faults when a test says so."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from asked_parts import Asked
from engine_parts import write_site

from tests.settlement.simulated import INFO, TEXT

MAP = """\
map: call
from: json
to: json
make:
  operation: $@header.param.code
  direction: $@header.direction
  about: $@header.about
  key: $@header.key
  body: {raw: $}
"""
CALLS = """\
channel: calls-of-{system}
from: {{calls: {system}}}
format: json
index: {{settlement: $@header.settlement, step: $@header.step}}
to:
  town: {{map: call, send: {{http: {{url: "http://127.0.0.1:{port}/", timeout: 30s}}}}}}
reply: town
timeout: 40s
"""
DOOR = """\
channel: settle
from: {http: {path: /v1/settlements}}
format: json
to: {desk: {send: {settlement: outpatient}}}
reply: desk
timeout: 60s
"""
SHOW = """\
channel: settlements-show
from: {http: {method: GET, path: "/v1/settlements/{number}"}}
format: json
to: {desk: {send: {settlement: {asks: show, within: 5}}}}
reply: desk
"""
SETTLED = """\
channel: settled
from: {{events: settlement.completed}}
format: json
index: {{settlement: $.number}}
to: {{town: {{send: {{http: {{url: "http://127.0.0.1:{port}/", timeout: 30s}}}}}}}}
"""
SYSTEMS = ("his", "insurance", "payment", "einvoice")


class Town(Asked):
    """All parties at once. `mute` names operations that are done and not answered, each so many times."""

    def __init__(self) -> None:
        super().__init__()
        self.done: Counter[str] = Counter()  # by key
        self.undone: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []  # direction, operation
        self.event = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self.mute: Counter[str] = Counter()
        self.refuses: set[str] = set()
        self.forgets: set[str] = set()  # operations of which nobody ever hears, done or not

    def answer(self, body: bytes) -> bytes:
        call = json.loads(body, parse_float=Decimal)
        if "event" in call:
            self.events.append(call)
            self.event.set()
            return b"{}"
        self.asked.append((call["direction"], call["operation"]))
        told = self._told(call["direction"], call.get("about", ""), call["operation"], call["key"])
        if call["operation"] in self.forgets:
            return b"no answer that anybody could read"
        if self.mute[call["operation"]]:
            self.mute[call["operation"]] -= 1
            return b"no answer that anybody could read"
        return json.dumps(told).encode()

    def _told(self, direction: str, about: str, operation: str, key: str) -> dict[str, Any]:
        live = self.done[key] - self.undone[key]
        if direction == "do":
            if operation in self.refuses:
                return {"outcome": "REJECTED", "code": "no"}
            self.done[key] += operation != "2206"  # a preview leaves nothing
            return {"outcome": "OK", "setlinfo": INFO}
        if direction == "undo":
            self.undone[key] += 1
            return {"outcome": "OK"}
        if direction == "reverse":
            self.undone[key] += live
            return {"outcome": "OK" if live else "ABSENT", "final": True}
        found = live if about == "do" else not live
        return {"outcome": "OK" if found else "ABSENT", "final": True, "setlinfo": INFO}

    def live(self) -> dict[str, int]:
        counts = {key: times - self.undone[key] for key, times in self.done.items()}
        return {key: times for key, times in counts.items() if times}


def town_site(folder: Path, town: Town, text: str = TEXT) -> Path:
    channels = {f"calls-of-{name}": CALLS.format(system=name, port=town.port) for name in SYSTEMS}
    channels |= {"settle": DOOR, "settlements-show": SHOW, "settled": SETTLED.format(port=town.port)}
    site = write_site(folder, channels)
    (site / "maps").mkdir(exist_ok=True)
    (site / "maps" / "call.yaml").write_text(MAP)
    (site / "channels" / "settlements").mkdir(exist_ok=True)
    (site / "channels" / "settlements" / "outpatient.yaml").write_text(text)
    return site
