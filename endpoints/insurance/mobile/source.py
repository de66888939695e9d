"""The source `nhsa_mobile`: the notice of a settlement's result (MP-6302), which the payment centre sends to us.

What is not signed by the platform is answered 400 and stored nowhere.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from endpoints.base import Ground, WebOptions
from endpoints.insurance.door import CentreDoor, CentreDoorOptions, Understood, Unproved, words
from endpoints.insurance.sm_envelope import BadEnvelope, Envelope, EnvelopeOptions
from schemas.json import Json
from schemas.message import Reply
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.profile import profile

_JSON = Json()
_NOTICE = "MP-6302"


class NoticeOptions(CentreDoorOptions):
    """`from: {nhsa_mobile: {path: /mobile/notice, envelope: {...}}}`."""

    envelope: EnvelopeOptions
    centre: Literal["payment"] = Field("payment", description="no other centre calls")


class NoticeSource(CentreDoor):
    """A message is `{"data": {...}}`, as the table has it. Its answer is sealed and signed by our key."""

    Options: ClassVar[type[WebOptions]] = NoticeOptions

    def __init__(self, options: NoticeOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self._envelope = Envelope(options.envelope)

    def understood(self, body: bytes) -> Understood:
        try:
            opened = self._envelope.opened(body)
        except BadEnvelope as error:
            raise Unproved(error.code, error.text) from None
        if not opened.signed:
            raise Unproved("JL-N302", "the notice is not signed 通知未签名")
        tree = {"data": opened.data}
        faults = checker(transaction(_NOTICE), profile("national")).notice(tree)
        fault = "; ".join(map(str, faults[:5]))
        return Understood(_JSON.encode(tree), {"infno": _NOTICE}, fault, "JL-N311" if faults else "")

    def say(self, reply: Reply) -> bytes:
        text = words(reply)
        # Nothing to say, but sealed all the same: some platforms decrypt before they look at the code.
        return self._envelope.answer({}, self.ground.now(), code=-1 if text else 0, message=text).wire

    def plain(self, reply: Reply) -> bytes:
        text = words(reply)
        return _JSON.encode({"code": -1 if text else 0, "message": text, "success": not text})
