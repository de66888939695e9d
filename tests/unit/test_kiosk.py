"""The kiosks of the example hospital sign with code of their own, and the engine's reads it."""

from __future__ import annotations

from pathlib import Path

from caller_parts import House

from config import sm2
from deploy.sandbox.kiosk import PATH, Kiosks
from deploy.sandbox.signing import KeyPair


def test_what_a_kiosk_signs_is_good_and_nothing_beside_it() -> None:
    key, other = KeyPair.new(), KeyPair.new()
    point = sm2.point_of(key.shown)
    signature = bytes.fromhex(key.sign("报到".encode()))
    assert sm2.verify(point, "报到".encode(), signature)
    assert not sm2.verify(point, b"another", signature)
    assert not sm2.verify(sm2.point_of(other.shown), "报到".encode(), signature)


async def test_every_check_in_comes_in_under_its_own_key_and_is_in_the_book(tmp_path: Path) -> None:
    house, kiosks = House(tmp_path), Kiosks()
    await house.start()
    house.know(f"callers: {{kiosk: {{keys: [{{sm2: '{kiosks.key.shown}'}}]}}}}")
    await house.door(PATH, callers="kiosk", idempotency_key="required")
    await kiosks.report([("K1", "P0001"), ("K2", "P0002")], house.web.port, lambda: None)
    await house.stop()
    assert kiosks.sent.accepted == ["K1", "K2"]
    assert len({message.once.key for message in house.engine.got if message.once}) == 2
    assert house.refused == []
