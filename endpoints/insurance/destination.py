"""The destination: each message is one transaction of an insurance centre, or one operation on an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from config.errors import Refused
from endpoints.base import Ground, Options
from endpoints.insurance import envelope
from endpoints.insurance.answer import Answer
from endpoints.insurance.batches import Batch
from endpoints.insurance.facts import LINKS, flat, objects
from endpoints.insurance.for_settlements import about, asks_about
from endpoints.insurance.input import Input
from endpoints.insurance.operations.base import Operation, body_of, operations, receipt
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.outcomes import Heard
from endpoints.insurance.party import Party, Request
from endpoints.insurance.records import Exchange
from schemas.json import Json
from schemas.message import Message, Receipt
from schemas.nhsa.sample import sample

_DEAD = {"REJECTED": "JL-N010", "UNKNOWN": "JL-N011"}


class InsuranceDestination:
    Options: ClassVar[type[Options]] = PartyOptions
    answers_in = "json"
    codes = frozenset(map(str, range(200, 600)))

    def __init__(self, options: PartyOptions, ground: Ground) -> None:
        self.options = options
        self.party = Party(options, ground)

    async def start(self) -> None:
        await self.party.start()

    async def stop(self) -> None:
        await self.party.stop()

    async def send(self, message: Message) -> Receipt:
        if asks_about(message.headers):
            return await about(self.party, message)
        name = self._asked_for(message)
        if name in operations.known():
            ask: Operation = operations.get(name)
            return await ask(self.party, message)
        request = self._request(message, name)
        if self.options.apart:
            return await self._apart(request)
        return self._told(await self.party.request(request))

    async def _apart(self, request: Request) -> Receipt:
        batch = Batch(self.party, request, self.options.apart)
        last = await batch.send()
        told = receipt(batch.outcome, batch.tree(last))
        self._dead(batch.outcome, f"{request.transaction.name} {batch.text}", told)
        return told

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        name = self._asked_for(message)
        if name in operations.known():
            if not code:
                return Receipt("OK", answer or b'{"outcome":"OK"}', "json")
            raise Refused("JL-N018", f"{name} has no answer of its own: it asks the records 需交易记录库")
        request = self._request(message, name)
        made = self.party.inputs.made(request.transaction, request.input, request.fields)
        at_ms = self.party.now_ms
        head, tail = self.party.inputs.written(made, "", at_ms)
        msgid = envelope.msgid_of(self.options.fixmedins_code, at_ms, 0)
        sent = head + msgid.encode() + tail
        exchange = Exchange(
            msgid, self.party.system, name, message.id, at_ms, made.who[0], "sent", request=sent
        )
        body = answer if code or answer else self._yes(made, msgid)
        told, found = self.party.answered(made, exchange, Heard(int(code or 200), headers, body))
        if told is None:
            raise Refused(found.code, found.text, retry=True)
        return self._told(told)

    def _yes(self, made: Input, msgid: str) -> bytes:
        """A centre's yes to this message, where a test says no more: the table's sample, about this patient."""
        told = flat(made.input)
        output = sample(made.transaction, self.party.profile, side="out")
        for one in objects(output):
            same = {name: told[name] for name in one if name in told and name in LINKS}
            cast(dict[str, Any], one).update(
                {**same, **({"medins_setl_id": msgid} if "medins_setl_id" in one else {})}
            )
        return Json().encode({"infcode": 0, "output": output})

    def _asked_for(self, message: Message) -> str:
        """A transaction or an operation. Raises Refused (JL-N002)."""
        name = self.options.transaction or message.headers.get("param.code", "")
        if not name:
            name = str(body_of(message, self.options.max_input).get("infno") or "")
        if not name:
            raise Refused(
                "JL-N002", "which transaction? `transaction`, or `infno` in the message 未指定交易编号"
            )
        return name

    def _request(self, message: Message, name: str) -> Request:
        transaction = self.party.named(name)
        tree = body_of(message, self.options.max_input)
        if "input" not in tree:  # beside the input itself, its number alone may stand
            tree = {key: value for key, value in tree.items() if key != "infno"}
        asked = envelope.asked(tree, self.options.more)
        key = message.headers.get("key") or message.id  # a settlement's own
        return Request(transaction, asked.input, key, asked.fields, message.parent)

    def _told(self, answer: Answer) -> Receipt:
        """Raises Refused where a `rejected` or `unknown` is to be a dead letter."""
        told = receipt(answer.outcome, answer.tree())
        text = f"{answer.exchange.infno} {answer.outcome} {answer.exchange.msgid}: {answer.text}"
        self._dead(answer.outcome, text, told)
        return told

    def _dead(self, outcome: str, text: str, told: Receipt) -> None:
        how: Any = {"REJECTED": self.options.rejected, "UNKNOWN": self.options.unknown}
        if how.get(outcome) == "dead":
            raise Refused(_DEAD[outcome], text, answer=told.answer)
