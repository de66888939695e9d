"""What a caller sends for an insurance centre, and what one answers: held against the tables, renamed, written."""

from __future__ import annotations

import json
from contextlib import suppress

from config.sm2_curve import SAMPLE_POINT, SAMPLE_PRIVATE
from config.sm4 import Sm4Ecb
from endpoints.base import Ground
from endpoints.insurance.door import Unproved
from endpoints.insurance.inbound import InboundOptions, InboundSource
from endpoints.insurance.mobile.options import MobileOptions
from endpoints.insurance.mobile.rules import verdict
from endpoints.insurance.mobile.source import NoticeOptions, NoticeSource
from endpoints.insurance.sm_envelope import BadEnvelope, Envelope, EnvelopeOptions, derived_key
from schemas.json import Json
from schemas.message import Reply
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.envelope import envelope_faults
from schemas.nhsa.overlay import Side
from schemas.nhsa.profile import profile
from schemas.nhsa.sample import sample

_JSON = Json()
_NAMES = {"2204": "national", "2207": "guangdong", "3101": "national", "9101": "hunan", "5204": "jiangsu"}
_SIDES: tuple[tuple[Side, bool], ...] = (("in", False), ("in", True), ("out", True))
CHECKERS = [checker(transaction(name), profile(of)) for name, of in _NAMES.items()]
REQUESTS = tuple(
    _JSON.encode(sample(transaction(name), side=side, whole=whole))
    for name in _NAMES
    for side, whole in _SIDES
)


def checked(data: bytes) -> None:
    tree = _JSON.decode(data)
    envelope_faults(tree)
    for check in CHECKERS:
        faults = [*check.request(tree), *check.response(tree), *check.notice(tree)]
        assert all(fault.text and fault.code for fault in faults)
        for side, _ in _SIDES[1:]:
            _JSON.encode(check.normalized(tree, side))
            _JSON.encode(check.canonical(tree, side))


APP, SECRET = "TESTAPP000000000000000000000001A", "TESTSECRET0000000000000000000001"
_KEYS = EnvelopeOptions.model_validate(
    {
        "app_id": APP,
        "app_secret": SECRET,
        "private_key": SAMPLE_PRIVATE.hex(),
        "platform_key": SAMPLE_POINT.hex(),
    }
)
_ENVELOPE, _CIPHER = Envelope(_KEYS), Sm4Ecb(derived_key(APP, SECRET))
_MOBILE = MobileOptions(url="http://x", centre="payment", envelope=_KEYS)
_NOTICES = NoticeSource(NoticeOptions(path="/x", envelope=_KEYS), Ground("x"))
_CALLED = InboundSource(InboundOptions(path="/x"), Ground("x", now=lambda: 1705285800.0))
_NOTICE = sample(transaction("MP-6302"), whole=True)["data"]
ENVELOPES = (
    _ENVELOPE.answer(_NOTICE, 1705285800.0).wire,
    _JSON.encode({"code": 0, "data": _NOTICE}),
    _JSON.encode(_NOTICE),
    b'{"code":"1","message":null,"success":false,"encData":"00","signData":"AA=="}',
)
CALLS = tuple(
    _JSON.encode({"infno": name, "msgid": "M1", "input": sample(transaction(name), whole=True)})
    for name in ("6201", "7102", "7103")
)


def mobile(data: bytes) -> None:
    """As it comes, and as what our key opens."""
    for body in (data, json.dumps({"code": 0, "encData": _CIPHER.encrypt(data).hex()}).encode()):
        with suppress(BadEnvelope):
            opened = _ENVELOPE.opened(body)
            _JSON.encode([opened.data, verdict("MP-6202", opened, _MOBILE), dict(opened.head)])
        with suppress(Unproved):
            _NOTICES.understood(body)


def called(data: bytes) -> None:
    with suppress(Unproved):
        read = _CALLED.understood(data)
        _CALLED.say(Reply("answered", id="0" * 32, body=read.body))
