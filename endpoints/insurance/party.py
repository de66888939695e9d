"""An insurance centre as a party: one transaction asked of it, from the input to the outcome.

The order is what keeps money safe. First all that can be refused here is refused; then the request is on disk, under a
msgid that nobody else has; only then it leaves; and what became of it is on disk before the caller hears it. A
transaction that writes is never sent again under the same key, whatever happened to the process in between.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace

from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground
from endpoints.insurance import envelope, resolving
from endpoints.insurance.answer import Answer, answer_of
from endpoints.insurance.facts import links
from endpoints.insurance.files import Take
from endpoints.insurance.input import Input, Inputs
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.outcomes import Heard, Judged, Silence, judged
from endpoints.insurance.records import NOT_LEFT, Ask, Exchange, Records, Taken
from endpoints.insurance.resolving import Probed, Reversed
from endpoints.insurance.signing_in import SignIns, Who
from endpoints.insurance.wire import Wire
from schemas.json import Json
from schemas.message import NOTHING
from schemas.nhsa.catalogue import UnknownTransaction
from schemas.nhsa.model import Transaction
from schemas.nhsa.profile import profile
from schemas.validation.base import Fault

log = structlog.get_logger()

_JSON = Json()

_END_TRIES = 4  # of writing down an outcome, before the caller hears it without
_END_WAIT_S = 0.5
# Pages of catalogues and dictionaries: they lie in tables of their own, and a thousand of them are 80 MB.
_PUBLIC = frozenset(("1304", "1312", "1316", "1317", "1318", "1319", "1901"))
_OVER = ("REJECTED", "REVERSED")  # a replay may ask again for what has ended so
_LOOKS = 3  # at what is there under a key, while others begin there too


class Request(Struct, frozen=True):
    """What is to be asked. `key`: who asks once; the same key twice is one thing to do, without one it is new."""

    transaction: Transaction
    input: Any
    key: str
    fields: Mapping[str, str] = NOTHING
    parent: str = ""  # the key that this one repeats: a replay's
    take: Take | None = None  # is given the pieces of a file, which then is not in the answer


class Party:
    """One centre, for one destination. Concurrent use is meant; at most `connections` requests are under way."""

    def __init__(self, options: PartyOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self.system = options.fixmedins_code
        self.profile = profile(options.province, Path(ground.base_dir) / "profiles")
        self.inputs = Inputs(options, self.profile)
        self._wire = Wire(options, ground)
        self._slots = asyncio.Semaphore(options.connections)
        sign_in = options.sign_in
        self._over = re.compile("|".join(sign_in.expired)) if sign_in and sign_in.expired else None
        self._sign_ins = SignIns(sign_in, self.system, lambda: self.records) if sign_in else None

    def named(self, infno: str) -> Transaction:
        """The province's own among them. Raises Refused (JL-N002)."""
        try:
            found = self.profile.transaction(infno)
        except UnknownTransaction as error:
            raise Refused("JL-N002", f"{error} 无此交易") from None
        if found.centre != "institution" or found.inbound:
            raise Refused("JL-N002", f"{infno} is not asked of this centre 该交易不由本机构发起")
        return found

    async def start(self) -> None:
        await self._wire.prepare()

    async def stop(self) -> None:
        await self._wire.close()

    @property
    def records(self) -> Records:
        """Raises Unreachable (JL-N018)."""
        if self.ground.insurance is None:
            raise Unreachable("JL-N018", "there are no records here: nothing is sent 无交易记录库，不发送")
        return self.ground.insurance

    @property
    def now_ms(self) -> int:
        return int(self.ground.now() * 1000)

    async def ask(self, infno: str, input: Any, key: str, fields: Mapping[str, str] = NOTHING) -> Answer:
        """`infno` as people name it. Raises Refused where it is refused before anything leaves (JL-N002 ... N008),
        Unreachable where it may be asked again: nothing left, or a query had no answer.
        """
        return await self.request(Request(self.named(infno), input, key, fields))

    async def request(self, request: Request) -> Answer:
        """As `ask`."""
        if not request.key:
            request = replace(request, key=uuid.uuid4().hex)
        made = self.inputs.made(request.transaction, request.input, request.fields)
        self._wire.check(request.transaction)
        if not request.transaction.writes:
            return await self._signed_in(request, made, None)
        for _ in range(_LOOKS):
            before, known = await self._before(request, made)
            if before is not None:
                return before
            try:
                return await self._signed_in(request, made, known)
            except Taken:  # somebody began the same at this moment: what of it is there now
                continue
        raise Unreachable("JL-N022", "the same is asked by another process at this moment 同一请求正在处理")

    async def signed_out(self, who: Who, key: str) -> Answer | None:
        """9002. None where this operator has no sign-in today."""
        if self._sign_ins is None:
            return None
        known = await self._sign_ins.known(who, self.now_ms)
        if known is None:
            return None
        said = self.options.sign_in
        assert said
        node = {"sign_no": known.sign_no, "opter_no": who[0], "mac": said.mac, "ip": said.ip}
        fields = {"opter": who[0], "dev_no": who[1]}
        request = Request(self.named("9002"), {"signOut": node}, key, fields)
        made = self.inputs.made(request.transaction, request.input, fields)
        answer = await self._exchange(request, made, known.sign_no)
        if answer.outcome in ("OK", "REJECTED"):  # refused: it held no longer
            await self._sign_ins.sign_out(known)
        return answer

    async def signed_in(self, who: Who) -> str:
        """The sign_no that holds for an operator and device, made where there is none; '' where none is needed."""
        if self._sign_ins is None:
            return ""

        async def ask(input: Any) -> Answer:
            fields = {"opter": who[0], "dev_no": who[1]}
            request = Request(self.named("9001"), input, f"9001 {who[0]} {who[1]} {self.now_ms}", fields)
            return await self._exchange(request, self.inputs.made(request.transaction, input, fields), "")

        return (await self._sign_ins.get(who, self.now_ms, ask)).sign_no

    def who(self, said: Mapping[str, Any]) -> Who:
        """The operator and device that are meant; where none are named, the party's own."""
        return str(said.get("opter") or self.options.opter), str(said.get("dev_no") or self.options.dev_no)

    async def probe(self, exchange: Exchange) -> Probed:
        """Whether it was done. Raises Unreachable."""
        return await resolving.probe(self, exchange)

    async def reverse(self, exchange: Exchange, by: resolving.Way = "") -> Reversed:
        """Undoes it, or shows that there is nothing to undo. Raises Refused (JL-N024) and Unreachable."""
        return await resolving.reverse(self, exchange, by)

    def answered(
        self, made: Input, exchange: Exchange, heard: Heard | Silence
    ) -> tuple[Answer | None, Judged]:
        """What an answer comes to; no answer where it may be asked again."""
        found = judged(made.transaction, heard, exchange.msgid, made.input)
        if found.outcome is None:
            return None, found
        output, warnings = self.inputs.heard(made, found)
        return answer_of(exchange, found, output, warnings), found

    async def _before(self, request: Request, made: Input) -> tuple[Answer | None, frozenset[str]]:
        """What became of it, where it was asked before under this key, and what is known of there. Raises Refused
        (JL-N019)."""
        name = request.transaction.name
        mine = [one for one in await self.records.of_key(self.system, request.key) if one.infno == name]
        for one in reversed(mine):
            if not self._free(one):
                return _with_other_input(await self._again(one, made), made), frozenset()
        if request.parent and not request.transaction.undoing.repeatable:
            for one in await self.records.of_key(self.system, request.parent):
                if one.infno == request.transaction.name and not self._free(one) and one.state not in _OVER:
                    state = "UNKNOWN" if one.state == "sent" else one.state
                    text = (
                        f"the message that this repeats is {state} ({one.msgid}): probe or reverse it first"
                    )
                    raise Refused("JL-N019", f"{text} 原交易未了结，先查询或冲正")
        return None, frozenset(one.msgid for one in mine)

    def _free(self, one: Exchange) -> bool:
        """Whether it may be sent again after this one: it never left, or only its sign-in was refused."""
        if one.never_left:
            return True
        return one.state == "REJECTED" and self._sign_in_is_over(one.text)

    async def _again(self, one: Exchange, made: Input) -> Answer:
        """The stored answer; of one that has no end, that nobody knows."""
        if one.state == "sent":  # the process died in between
            text = "it had left, and the process ended before the answer 报文已发出，进程中断，结果未知"
            answer = answer_of(one, Judged("UNKNOWN", text=text, code="JL-N020"), None, [])
            told = await self._ended(made, answer, b"", text)
            answered = told.exchange.state in ("OK", "REJECTED", "REVERSED")  # meanwhile: it had not died
            return await self._again(told.exchange, made) if answered else told
        # Nothing of it is booked any more: who wants it sends it anew.
        if one.state == "REVERSED":
            text = f"it was reversed by {one.reversed_by} 已冲正或撤销"
            return replace(
                answer_of(one, Judged("REJECTED", text=text, code="JL-N026"), None, []), again=True
            )
        state: Any = one.state
        if not one.answer:
            found = Judged(state, text=one.text, code="JL-N020" if state == "UNKNOWN" else "")
            said = {"err_msg": one.text, "infcode": one.infcode, "again": True}
            return replace(answer_of(one, found, None, []), **said)
        found = judged(made.transaction, Heard(200, body=one.answer), one.msgid, made.input)
        output, warnings = self.inputs.heard(made, found)
        told = answer_of(one, replace(found, outcome=state), output, warnings)
        return replace(told, again=True)

    def _sign_in_is_over(self, text: str) -> bool:
        own = self._over is not None and self._over.search(text) is not None
        return self._sign_ins is not None and (own or self.profile.sign_in_is_over(text))

    async def _signed_in(self, request: Request, made: Input, known: frozenset[str] | None) -> Answer:
        """Signed in, and once more where only the sign-in was refused: under a new msgid, for nothing was booked."""
        if self._sign_ins is None or made.transaction.code == "9001":
            return await self._exchange(request, made, "", known)
        for last in (False, True):
            sign_no = await self.signed_in(made.who)
            answer = await self._exchange(request, made, sign_no, known)
            if answer.outcome != "REJECTED" or last or not self._sign_in_is_over(answer.err_msg):
                return answer
            await self._sign_ins.over(made.who, sign_no, self.now_ms)
            known = known if known is None else known | {answer.exchange.msgid}
        raise AssertionError

    async def _exchange(
        self, request: Request, made: Input, sign_no: str, known: frozenset[str] | None = None
    ) -> Answer:
        """One msgid: on disk, sent, answered, on disk."""
        async with self._slots:
            at_ms = self.now_ms
            head, tail = self.inputs.written(made, sign_no, at_ms)
            asked = Ask(
                self.system, made.transaction.name, request.key, at_ms, made.who[0], made.links, known
            )
            exchange = await self.records.begin(
                asked,
                lambda serial: envelope.msgid_of(self.system, at_ms, serial),
                lambda id: head + id.encode() + tail,
            )
            heard = await self._wire.ask(made.transaction, exchange.request, request.take)
        answer, found = self.answered(made, exchange, heard)
        if answer is not None:
            whole = not found.file and made.transaction.name not in _PUBLIC
            kept = heard.body if isinstance(heard, Heard) and whole else b""
            return await self._ended(made, answer, kept, answer.err_msg or found.text)
        # Nothing left, or nothing was changed: a row that says so, so that nobody takes it for unknown later.
        await self._write_down(exchange, "REJECTED", found.code or NOT_LEFT, found.text, b"", {})
        raise Unreachable(found.code or "JL-N013", found.text, maybe_done=found.left)

    async def _ended(self, made: Input, answer: Answer, body: bytes, text: str) -> Answer:
        found = links(made.input, answer.output) if answer.outcome == "OK" else {}
        exchange = await self._write_down(answer.exchange, answer.outcome, answer.infcode, text, body, found)
        if exchange is not None:
            return replace(answer, exchange=exchange)
        own = Fault("", "the outcome could not be written down 结果未能落库", "JL-N021")
        return replace(answer, warnings=(*answer.warnings, own))

    async def _write_down(
        self, exchange: Exchange, outcome: Any, infcode: str, text: str, body: bytes, found: Mapping[str, str]
    ) -> Exchange | None:
        """None where the database does not take it: the row says 'sent', so it will be UNKNOWN, and not sent again."""
        for left in reversed(range(_END_TRIES)):
            try:
                return await self.records.end(exchange, outcome, infcode, text, body, found)
            except Unreachable as error:
                log.warning("insurance.not_written", msgid=exchange.msgid, outcome=outcome, code=error.code)
                if left:
                    await asyncio.sleep(_END_WAIT_S)
        return None


def _with_other_input(answer: Answer, made: Input) -> Answer:
    """With a warning (JL-N027) where the key stood for something else before."""
    try:
        before = resolving.sent_of(answer.exchange).input
        if _JSON.encode(before) == _JSON.encode(made.wire):
            return answer
    except (Refused, BadMessage):
        return answer  # it cannot be read any more
    text = "the key was used before with another input: this is the answer to that 同一请求号的内容不同，应答属原请求"
    return replace(answer, warnings=(Fault("", text, "JL-N027"), *answer.warnings))
