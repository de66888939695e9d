"""The centre's door: HTTP on loopback, over kept connections; what comes in is answered as its behaviour says."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from deploy.sandbox.centre import (  # noqa: F401 - each module says what it serves
    audit,
    calling,
    catalogues,
    clearing,
    envelope,
    files,
    filings,
    inpatient,
    institutions,
    lists,
    outpatient,
    persons,
    pharmacy,
    prescriptions,
    queries,
    records,
    reversal,
    sessions,
    settled,
    statements,
    stock,
    wire,
)
from deploy.sandbox.centre.books import Account, Books
from deploy.sandbox.centre.catalogue import Catalogues
from deploy.sandbox.centre.desk import ALL, Desk, FileOut, No
from deploy.sandbox.centre.door import Door
from deploy.sandbox.centre.insured import Insured, insured
from deploy.sandbox.centre.misbehaviour import UNDONE, Act, Misbehaviour
from deploy.sandbox.centre.prepare import institution_of, prepare
from deploy.sandbox.centre.settings import Institution, Settings
from deploy.sandbox.centre.shelf import Shelf
from deploy.sandbox.centre.transports import Unlawful

_CHINA = timezone(timedelta(hours=8))
_INFNO = re.compile(r"\d{4}[A-Z]?")


def china() -> datetime:
    """Its clock: days and sign-ins are China's."""
    return datetime.now(_CHINA)


class Centre(Door):
    """`Centre(port=0, seed=0, settings=Settings(), now=china)`: a centre on loopback; its clock is China's.

    `await centre.start()`, then `centre.url` is the base address; `await centre.stop()`. `centre.books` is all it
    knows: `.persons`, `.accounts`, `.visits`, `.fees`, `.settlements`, `.msgids`, ... ; `centre.persons` are the
    insured in their order (insured.py says who is who). `centre.behave("2207", "mute", times=1)` tells it how to
    misbehave (misbehaviour.py), `centre.well()` ends that, `centre.expire()` ends sign-ins,
    `centre.catalogues.publish("1301")` makes a newer version.
    """

    def __init__(
        self,
        port: int = 0,
        seed: int = 0,
        settings: Settings | None = None,
        now: Callable[[], datetime] = china,
    ) -> None:
        super().__init__("centre", port, seed)
        self.settings = settings or Settings()
        self.persons: tuple[Insured, ...] = insured(seed)
        self.books = Books(
            {person.psn_no: person for person in self.persons},
            {person.psn_no: Account(person.balance_fen, person.family_fen) for person in self.persons},
        )
        self._now, self._passed = now, timedelta()
        self.misbehaviour = Misbehaviour(seed)
        self.catalogues = Catalogues(self.settings.catalogue_rows)
        self.desk = Desk(self.books, self.settings, self.catalogues)
        self._reception = envelope.Reception(self.desk)
        self._shelf = Shelf()
        self.hospital_url = ""  # where it tells of 7204 and 7206 by itself, where it is not ''

    def now(self) -> datetime:
        return self._now() + self._passed

    def prepare(self, name: str) -> Institution:
        """Puts the books so that the sample of a transaction (schemas.nhsa.sample) is answered; who sends it."""
        with self.books.lock:
            prepare(self.desk, name, self.now())
        return institution_of(self.desk, name)

    def let_pass(self, days: float = 0, seconds: float = 0) -> None:
        """Its clock goes forward, so that files and sign-ins are over."""
        self._passed += timedelta(days=days, seconds=seconds)

    async def stop(self) -> None:
        await super().stop()
        await asyncio.to_thread(self._shelf.clear)

    def behave(
        self,
        infno: str,
        kind: str,
        *,
        times: float = math.inf,
        skip: int = 0,
        share: float = 1,
        seconds: float = 0,
        code: str = "",
        text: str = "",
    ) -> None:
        """From now on, for messages of `infno` ('*': all). Raises ValueError for a kind that there is not."""
        lag = kind == "lag"
        until = self.now().timestamp() + seconds if lag and seconds else math.inf
        act = Act(kind, seconds, code, text, self.books.serial + 1 if lag else 0)
        self.misbehaviour.add(infno, act, times=times, skip=skip, share=share, until=until)

    def well(self) -> None:
        """Behaves from now on."""
        self.misbehaviour.well()

    def expire(self, opter: str = "") -> None:
        """Ends the sign-ins of an operator, or of all."""
        sessions.expire(self.books, opter)

    async def tell(
        self, url: str, infno: str, tree: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """Calls the hospital at its own address (6201, 6202, 7102, 7103): status and answer of it."""
        hospital = self.settings.institutions[0]
        return await calling.tell(url, infno, tree, hospital, self.now(), self.books.next(), headers or {})

    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        at = self.now()
        try:
            if asked.method != "POST":
                raise Unlawful("只支持POST")
            self.settings.transport.check(asked.headers, at.timestamp())
        except Unlawful as error:
            refusal = self._reception.refusal(at, str(error))
            return await wire.say(writer, envelope.written(refusal), status=401)
        try:
            head = envelope.read(asked.body)
        except No as no:
            return await wire.say(writer, envelope.written(self._reception.refusal(at, str(no))))
        infno = str(head.get("infno") or "")
        await self._acted(
            reader, writer, self.misbehaviour.next(infno, at.timestamp()), head, _of_path(asked.path)
        )

    async def _acted(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act, head: Any, path_infno: str
    ) -> None:
        if act.kind in UNDONE:
            return await self._undone(reader, writer, act, head)
        if act.kind == "delayed":
            await asyncio.sleep(act.seconds)
        answer = self._reception.answer(head, path_infno, self.now(), act.blind or ALL)
        if self.hospital_url and isinstance(answer, dict) and str(answer["infcode"]) == "0":
            self._passed_on(head)
        if act.kind == "repeat":
            answer = self._reception.answer(head, path_infno, self.now())
        if isinstance(answer, FileOut):
            path = await self._shelf.path(answer.file)
            return await wire.say_file(reader, writer, act, path)
        if act.kind == "null":
            answer["output"] = None
        await wire.say_as(reader, writer, act, envelope.written(answer))

    def _passed_on(self, head: Any) -> None:
        """Tells the hospital of what a pharmacy did with its prescription, beside the answer to the pharmacy."""
        infno = str(head["infno"])
        if infno not in ("7204", "7206"):
            return
        row = head["input"]["data"]
        found = self.books.prescriptions[str(row["hi_rxno"])]
        shop = self.desk.institution(str(head["fixmedins_code"]))
        told, tree = calling.of_pharmacy(infno, row, found, shop)
        self.tell_later(told, self.tell(self.hospital_url, told, tree))

    async def _undone(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act, head: Any
    ) -> None:
        if await self.silent(reader, writer, act):
            return
        text, code = act.text or "系统忙,请稍后再试", "-1"
        if act.kind == "expired":
            self.expire(str(head.get("opter") or ""))
            text = sessions.OVER
        elif act.kind == "code":
            code = act.code
        await wire.say(writer, envelope.written(self._reception.refusal(self.now(), text, code)))


def _of_path(path: str) -> str:
    """The transaction that an address names; '' where it names none."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if _INFNO.fullmatch(last) else ""
