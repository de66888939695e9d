"""The same of the payment, voucher and prescription centres (SM2/SM4 envelope), and of what a centre calls.

What nobody has a table of (EC-..., the baseline's 6201 and 6202) has no field to name: its input must be an object.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config import registry
from config.errors import Refused, Unreachable
from deploy.sandbox.centre.misbehaviour import Act
from endpoints.base import Ground
from router.clock import now_ms
from schemas.json import Json
from schemas.message import Message
from schemas.nhsa.catalogue import transaction, transactions
from schemas.nhsa.sample import sample
from tests.gateway_parts import records_at
from tests.insurance.spoiling import spoiled
from tests.mobile_parts import APP, OURS, SECRET, THEIRS, PaymentCentre, private_of

NAMES = [one.name for one in transactions() if one.centre != "institution" and not one.inbound]
CALLED = [one.name for one in transactions() if one.inbound and one.centre == "institution"]
WRITES = [name for name in NAMES if transaction(name).writes]
# Paths that no source gives are a site's to say.
ADDRESSES = {one.name: f"/of/{one.name}" for one in transactions() if one.name in NAMES and not one.path}
ENVELOPE = {
    "app_id": APP,
    "app_secret": SECRET,
    "private_key": private_of(OURS),
    "platform_key": THEIRS.shown,
}


def request(name: str) -> Any:
    tree = msgspec.to_builtins(sample(transaction(name)))
    return tree or {"orgId": "H99999900001"}


class Mobile:
    """The gateway and a centre of that kind."""

    def __init__(self, centre: PaymentCentre, records: Any, destination: Any) -> None:
        self.centre, self.records, self.destination = centre, records, destination

    async def send(self, name: str, tree: Any, again: bool = False) -> Any:
        headers = {"param.code": name}
        message = Message(Json().encode({"input": tree}), id="a" * 32, headers=headers, redelivered=again)
        for left in (True, True, False):
            try:
                return json.loads((await self.destination.send(message)).answer)
            except Unreachable:
                assert left
        return None

    def lose(self, name: str, kind: str) -> None:
        path = transaction(name).path or ADDRESSES[name]
        self.centre.acts.setdefault(path.rpartition("/")[2], []).append(Act(kind))


@asynccontextmanager
async def mobile(folder: Path, name: str) -> AsyncIterator[Mobile]:
    centre = PaymentCentre()
    await centre.open()
    records = records_at(f"sqlite:///{folder}/journal.db")
    kind = registry.destinations.get("nhsa_mobile")
    of = transaction(name).centre
    said = {"url": centre.url, "centre": of, "envelope": ENVELOPE}
    addresses = {one: path for one, path in ADDRESSES.items() if transaction(one).centre == of}
    ground = Ground("pay.mobile", "json", insurance=records, now=lambda: now_ms() / 1000)
    destination = kind(kind.Options(**said, addresses=addresses), ground)
    await destination.start()
    try:
        yield Mobile(centre, records, destination)
    finally:
        await destination.stop()
        records.close()
        await centre.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_valid_request_is_answered(tmp_path: Path, name: str) -> None:
    async with mobile(tmp_path, name) as made:
        told = await made.send(name, request(name))
        assert told["outcome"] in ("OK", "PROCESSING"), told
        kept = await made.records.find(told["msgid"])
        assert (kept.infno, kept.state) == (name, told["outcome"])
        assert len(made.centre.calls) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_an_invalid_request_is_refused_before_it_leaves_and_its_field_is_named(
    tmp_path: Path, name: str
) -> None:
    tree, named = spoiled(transaction(name), request(name))
    async with mobile(tmp_path, name) as made:
        with pytest.raises(Refused) as refused:
            await made.send(name, tree)
        assert refused.value.code in ("JL-N310", "JL-N311")
        assert named in refused.value.text
        assert made.centre.calls == []
        assert await made.records.search() == []


@pytest.mark.parametrize("way", ["cut", "lose"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_writing_request_without_an_answer_is_unknown_and_never_sent_again(
    tmp_path: Path, name: str, way: str
) -> None:
    async with mobile(tmp_path, name) as made:
        made.lose(name, way)
        told = await made.send(name, request(name))
        again = await made.send(name, request(name), again=True)
        assert [told["outcome"], again["outcome"]] == ["UNKNOWN", "UNKNOWN"]
        assert again["msgid"] == told["msgid"]
        assert len(made.centre.calls) == (1 if way == "cut" else 0)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WRITES])
async def test_a_query_without_an_answer_is_asked_again(tmp_path: Path, name: str) -> None:
    async with mobile(tmp_path, name) as made:
        for way in ("lose", "cut"):
            made.lose(name, way)
        assert (await made.send(name, request(name)))["outcome"] in ("OK", "PROCESSING")


@pytest.mark.parametrize("name", CALLED)
async def test_what_a_centre_calls_is_taken_the_same_when_it_comes_again_and_refused_with_its_field(
    name: str,
) -> None:
    kind = registry.sources.get("nhsa")
    options = kind.Options(path="/insurance", fixmedins_code="H99999900001", accepts=[name])
    source = kind(options, Ground("called", "json"))

    def asked(tree: Any, msgid: str = "M1") -> Any:
        body = {"infno": name, "msgid": msgid, "fixmedins_code": "H99999900001", "input": tree}
        return source.received(Message(json.dumps(body).encode()))

    tree = msgspec.to_builtins(sample(transaction(name)))
    taken = asked(tree)
    assert (taken.fault, taken.headers["infno"]) == ("", name)
    bad, named = spoiled(transaction(name), tree)
    refused = asked(bad)
    assert refused.fault_code in ("JL-N320", "JL-N321")
    assert named in refused.fault or refused.fault_code == "JL-N320"
