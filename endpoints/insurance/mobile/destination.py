"""The destination `nhsa_mobile`: each message is one call of a centre of the SM2/SM4 envelope.

A row is durable before a request leaves. A call that changes something leaves once for one message: when the message
comes again, what became of it is answered from its row.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, ClassVar, NamedTuple

import structlog

from config.errors import Refused, Unreachable
from endpoints.base import Ground, Options
from endpoints.insurance.mobile.asked import Asked, asked_of, links_of, operation_of
from endpoints.insurance.mobile.for_settlements import about, asks_about
from endpoints.insurance.mobile.options import MobileOptions
from endpoints.insurance.mobile.probing import Probe
from endpoints.insurance.mobile.reversing import Reverse
from endpoints.insurance.mobile.rules import Verdict, verdict
from endpoints.insurance.mobile.told import again, receipt
from endpoints.insurance.records import Ask, Exchange, Records, Taken
from endpoints.insurance.sm_envelope import CHINA_S, BadEnvelope, Envelope, Opened, Sealed
from endpoints.insurance.transports.base import Call
from endpoints.insurance.transports.base import opened as transport_of
from endpoints.rest.sending import Answer, Sending
from schemas.json import Json
from schemas.message import Message, Receipt
from schemas.nhsa.model import Transaction

log = structlog.get_logger()

_OUTCOMES = ("OK", "REJECTED", "PROCESSING", "UNKNOWN")
_END_TRIES, _END_WAIT_S = 4, 0.5  # of writing down an outcome, before the caller hears it without
_LOOKS = 3  # at what is there under a key, while others begin there too
_TAIL = 12  # characters of the appId in our own numbers
_JSON = Json()


class Heard(NamedTuple):
    """What became of one request. `data` and `plain` are None and b"" where no envelope came."""

    said: Verdict
    data: Any = None
    plain: bytes = b""


class NhsaMobile:
    Options: ClassVar[type[Options]] = MobileOptions
    codes = frozenset(_OUTCOMES)

    def __init__(self, options: MobileOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._envelope = Envelope(options.envelope)
        self._transport = transport_of(options.transport, options.url)
        self._way = Sending(options, ground, afresh=True)

    async def start(self) -> None:
        await self._way.prepare()

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        if asks_about(message.headers):
            return await about(self, self._records(), message)
        operation = operation_of(message, self.options)
        if operation == "probe":
            return await Probe(self, self._records()).answer(message)
        if operation == "reverse":
            return await Reverse(self, self._records()).answer(message)
        asked = asked_of(message, self.options)
        key = message.headers.get("key") or message.id or secrets.token_hex(16)  # `key`: a settlement's own
        if asked.transaction.writes:
            return await self._once(asked, key, message.parent)
        exchange, heard = await self.call(asked, key)
        if not heard.plain and heard.said.outcome == "UNKNOWN":
            raise Unreachable("JL-N316", heard.said.text, maybe_done=True)  # it changes nothing: ask again
        return receipt(asked.transaction, exchange.msgid, heard.said, heard.data, self.options)

    async def _once(self, asked: Asked, key: str, parent: str) -> Receipt:
        """What writes: of all who ask under one key at once, one sends it."""
        for _ in range(_LOOKS):
            before, known = await self._before(asked.transaction, key)
            if before is not None:
                return again(asked.transaction, before, self.options)
            await self._no_replay_of_open(asked.transaction, parent)
            try:
                exchange, heard = await self.call(asked, key, known)
            except Taken:  # somebody began the same at this moment: it is there now
                continue
            return receipt(asked.transaction, exchange.msgid, heard.said, heard.data, self.options)
        raise Unreachable("JL-N022", "the same is asked by another process at this moment 同一请求正在处理")

    async def _before(self, transaction: Transaction, key: str) -> tuple[Exchange | None, frozenset[str]]:
        """The last call under this key that left, or may have left, and all that there are."""
        found = await self._records().of_key(self.system, key)
        mine = [one for one in found if one.infno == transaction.name]
        left = [one for one in mine if not one.never_left]
        return (left[-1] if left else None), frozenset(one.msgid for one in mine)

    async def _no_replay_of_open(self, transaction: Transaction, parent: str) -> None:
        """A replayed message is a new one: it would pay again what perhaps was paid. Raises Refused (JL-N019)."""
        before = (await self._before(transaction, parent))[0] if parent else None
        if before is not None and before.state != "REJECTED" and not transaction.undoing.repeatable:
            state = "UNKNOWN" if before.state == "sent" else before.state
            text = f"what this repeats is {state} ({before.msgid}): probe it first 原交易未了结，先查询"
            raise Refused("JL-N019", text, retry=False)

    async def call(
        self, asked: Asked, key: str, known: frozenset[str] | None = None
    ) -> tuple[Exchange, Heard]:
        """One exchange, durable before it leaves. Raises Unreachable where it did not, and Taken where there is one
        under this key that is not among the `known`."""
        records, now_s = self._records(), self.ground.now()
        sealed = await asyncio.to_thread(self._sealed, asked, now_s)
        address = self._address(asked.transaction, sealed.wire, now_s)
        ask = Ask(
            self.system,
            asked.transaction.name,
            key,
            int(now_s * 1000),
            asked.opter,
            links_of(asked.data),
            known,
        )
        exchange = await records.begin(ask, self._number(now_s), lambda _: sealed.plain)
        try:
            heard = await self._exchanged(asked.transaction, sealed.wire, address)
        except Unreachable as error:
            if not error.maybe_done:
                await self._ended(exchange, Heard(Verdict("REJECTED", error.code, error.text)))
                raise
            heard = Heard(Verdict("UNKNOWN", "", error.text))
        return await self._ended(exchange, heard), heard

    @property
    def system(self) -> str:
        return self.options.envelope.app_id

    def heard(self, message: Message, code: str, answer: bytes, headers: Any) -> Receipt:
        """A test says what the centre answers, in plain form: `{code, message, data}`, signed; or the outcome alone."""
        if operation_of(message, self.options) or asks_about(message.headers):
            return Receipt(code or "OK", answer, "json")
        asked = asked_of(message, self.options)
        tree = _JSON.decode(answer) if answer else {}
        head = {"code": "0", **{name: str(tree[name]) for name in ("code", "message") if name in tree}}
        said = verdict(asked.transaction.name, Opened(tree.get("data"), head, True, b""), self.options)
        if code or not answer:
            said = said._replace(outcome=code or "OK")  # type: ignore[arg-type]  # one of `codes`
        return receipt(asked.transaction, "", said, tree.get("data"), self.options)

    def _sealed(self, asked: Asked, now_s: float) -> Sealed:
        more = {}
        if asked.transaction.centre == "voucher":
            more = {"transType": asked.transaction.code}
            if self.options.org_id:
                more["orgId"] = self.options.org_id
        try:
            return self._envelope.request(asked.data, now_s, more)
        except ValueError as error:
            raise Refused("JL-N310", f"the data cannot be written: {error}", retry=False) from None

    def _address(self, transaction: Transaction, wire: bytes, now_s: float) -> Call:
        """Raises Refused (JL-N390) where it has none."""
        path = self.options.addresses.get(transaction.name, transaction.path)
        if transaction.centre == "voucher" and not path:
            path = "/"
        return self._transport.request(transaction.code, path, wire, now_s, secrets.token_hex(16))

    async def _exchanged(self, transaction: Transaction, wire: bytes, call: Call) -> Heard:
        headers = {**call.headers, "content-type": "application/json; charset=utf-8"}
        try:
            answer = await self._way.ask("POST", call.url, headers, wire)
        except Refused as error:  # an answer that is too large has been given to something
            return Heard(Verdict("UNKNOWN", "", error.text))
        return await asyncio.to_thread(self._read, transaction, answer)

    def _read(self, transaction: Transaction, answer: Answer) -> Heard:
        try:
            opened = self._envelope.opened(answer.body)
        except BadEnvelope as error:
            text = f"status {answer.status}: {error.code}: {error.text}"
            if (
                400 <= answer.status < 500
                and error.code == "JL-N301"
                and answer.status not in (408, 409, 425)
            ):
                return Heard(Verdict("REJECTED", f"http-{answer.status}", text))
            return Heard(Verdict("UNKNOWN", "", text))
        return Heard(verdict(transaction.name, opened, self.options), opened.data, opened.plain)

    async def _ended(self, exchange: Exchange, heard: Heard) -> Exchange:
        """With the records away the answer is still the caller's: its row stays as sent, for a probe to end."""
        said, links = heard.said, links_of(heard.data)
        why = ""
        for tried in range(_END_TRIES):
            if tried:
                await asyncio.sleep(_END_WAIT_S)
            try:
                return await self._records().end(
                    exchange, said.outcome, said.code, said.text, heard.plain, links
                )
            except Unreachable as error:
                why = error.text
        log.warning("insurance.end_not_kept", party=self.ground.name, msgid=exchange.msgid, reason=why)
        return exchange

    def _records(self) -> Records:
        if self.ground.insurance is None:
            raise Unreachable("JL-N314", "this process keeps no record of what is asked of a centre")
        return self.ground.insurance

    def _number(self, now_s: float) -> Any:
        """Our own number of a request: the appId's end, China's time, a serial."""
        at = time.strftime("%Y%m%d%H%M%S", time.gmtime(now_s + CHINA_S))
        tail = self.system[-_TAIL:]
        return lambda serial: f"{tail}{at}{serial:04d}"
