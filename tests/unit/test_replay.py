"""Replay makes new messages from old ones, and sends them where it was told and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.crypto import SiteKeys
from router.brokers.base import BrokerDown
from router.envelope import Attempt, Envelope
from router.replay import CannotReplay, Replayer, ReplayRequest, replay_envelope
from router.search import Query
from router.store import Store, open_store

NOW = 1_790_000_000_000
LATER = NOW + 86_400_000


def stored(number: int, destinations: tuple[str, ...] = ("lis", "emr"), state: str = "accepted") -> Envelope:
    return Envelope(
        id=f"{NOW + number:012x}{number:020x}",
        channel="his-adt",
        received_ms=NOW + number,
        source="mllp 127.0.0.1:40000",
        format="hl7v2",
        charset="GB18030",
        kind="ADT^A01",
        body=b"MSH|^~\\&|HIS\rPID|1||P0001\r",
        headers={"path": "/v1"},
        index={"patient": f"P{number}"},
        destinations=destinations,
        filtered=("his",),
        state=state,
    )


def tried(e: Envelope, destination: str, outcome: str) -> Attempt:
    return Attempt(e.id, e.channel, destination, 1, NOW, 3, outcome, "AR" if outcome == "dead" else "AA")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/journal.db", SiteKeys(bytes(16)))
    yield opened
    opened.close()


class Out:
    """Takes what is published. Refuses what is for a destination called `gone`."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []

    async def __call__(self, envelope: Envelope) -> None:
        if "gone" in envelope.destinations:
            raise BrokerDown("JL-B002", "queue jl.his-adt.gone was not declared")
        self.got.append(envelope)


@pytest.fixture
def out() -> Out:
    return Out()


@pytest.fixture
def replayer(store: Store, out: Out) -> Replayer:
    return Replayer(store, out, lambda: LATER)


def test_a_replayed_message_is_new_and_points_at_the_old(store: Store) -> None:
    old = stored(1)
    store.write([old], [])
    made = replay_envelope(store.show(old.id), ("lis", "emr"), "f" * 32, LATER)
    assert (made.id, made.parent, made.received_ms, made.attempt) == ("f" * 32, old.id, LATER, 1)
    assert (made.body, made.headers, made.index, made.charset) == (
        old.body,
        old.headers,
        old.index,
        old.charset,
    )
    assert (made.destinations, made.filtered, made.state) == (("lis", "emr"), (), "accepted")


async def test_a_replay_goes_to_the_chosen_destination_and_to_no_other(
    store: Store, replayer: Replayer, out: Out
) -> None:
    store.write([stored(1)], [])
    result = await replayer.replay(ReplayRequest(ids=(stored(1).id,), destinations=("emr",)))
    assert [e.destinations for e in out.got] == [("emr",)]
    assert result.to == {"his-adt/emr": 1}
    assert [(m.old, m.new) for m in result.made] == [(stored(1).id, out.got[0].id)]


async def test_a_plan_says_how_many_and_where_to_and_does_nothing(
    store: Store, replayer: Replayer, out: Out
) -> None:
    store.write([stored(n) for n in range(5)], [])
    result = await replayer.replay(ReplayRequest(query=Query(channel="his-adt"), plan=True))
    assert (result.to, len(result.ids), result.made) == ({"his-adt/emr": 5, "his-adt/lis": 5}, 5, [])
    assert out.got == []


async def test_a_set_is_replayed_oldest_first(store: Store, replayer: Replayer, out: Out) -> None:
    store.write([stored(n) for n in range(20)], [])
    await replayer.replay(ReplayRequest(query=Query(channel="his-adt")))
    assert [e.parent for e in out.got] == [stored(n).id for n in range(20)]
    assert [e.id for e in out.got] == sorted({e.id for e in out.got})


async def test_dead_letters_are_not_sent_again_to_whom_they_have_reached(
    store: Store, replayer: Replayer, out: Out
) -> None:
    one, other = stored(1), stored(2)
    tries = [tried(one, "lis", "dead"), tried(one, "emr", "sent"), tried(other, "lis", "dead")]
    store.write([one, other], [*tries, tried(other, "emr", "dead")])
    await replayer.replay(ReplayRequest(query=Query(state="dead")))
    assert [e.destinations for e in out.got] == [("lis",), ("lis", "emr")]
    out.got.clear()
    await replayer.replay(ReplayRequest(query=Query(state="dead", destination="emr")))
    assert [(e.parent, e.destinations) for e in out.got] == [(other.id, ("emr",))]
    result = await replayer.replay(ReplayRequest(ids=(one.id,), destinations=("emr",), dead_only=True))
    assert (result.failed, result.failures[0].code) == (1, "JL-J006")


async def test_an_edited_body_replaces_the_old_one(store: Store, replayer: Replayer, out: Out) -> None:
    store.write([stored(1), stored(2)], [])
    body = base64.b64encode(b"MSH|edited\r")
    await replayer.replay(ReplayRequest(ids=(stored(1).id,), body=body))
    assert out.got[0].body == b"MSH|edited\r"
    with pytest.raises(CannotReplay, match="one message"):
        await replayer.replay(ReplayRequest(ids=(stored(1).id, stored(2).id), body=body))


async def test_what_cannot_be_replayed_is_named_and_the_rest_goes_on(
    store: Store, replayer: Replayer, out: Out
) -> None:
    refused = stored(2, (), "refused")
    store.write([stored(1, ("gone",)), refused, stored(3)], [])
    ids = (stored(1).id, refused.id, "e" * 32, stored(3).id)
    result = await replayer.replay(ReplayRequest(ids=ids))
    assert [e.parent for e in out.got] == [stored(3).id]
    assert result.failed == 3
    assert {f.id: f.code for f in result.failures} == {
        stored(1).id: "JL-B002",
        refused.id: "JL-J006",
        "e" * 32: "JL-J005",
    }
    await replayer.replay(ReplayRequest(ids=(refused.id,), destinations=("lis",)))
    assert out.got[-1].destinations == ("lis",), "a refused message may be sent where an operator says"


async def test_a_query_that_finds_more_than_the_limit_is_refused_whole(
    store: Store, replayer: Replayer, out: Out
) -> None:
    store.write([stored(n) for n in range(11)], [])
    with pytest.raises(CannotReplay, match="more than 10"):
        await replayer.replay(ReplayRequest(query=Query(channel="his-adt"), limit=10))
    assert out.got == []


async def test_a_request_names_ids_or_a_query(replayer: Replayer) -> None:
    with pytest.raises(CannotReplay, match="either"):
        await replayer.replay(ReplayRequest())
    with pytest.raises(CannotReplay, match="either"):
        await replayer.replay(ReplayRequest(ids=("a" * 32,), query=Query(channel="c")))
    with pytest.raises(ValueError, match="JL-J004"):
        ReplayRequest.model_validate({"query": {"index": {"patient": "*"}}})
