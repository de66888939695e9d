"""Insured outpatients of the day, from 1101 to 2207: at the kiosks by REST, at the branch by SOAP.

They keep what each transaction was answered, and what each settlement came to, to the fen: the centre's books must say
the same. What has no good answer is sent again under the same number.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape, unescape
from random import Random
from typing import Any
from xml.etree import ElementTree

from deploy.sandbox.books import SentBook
from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.http import ask
from deploy.sandbox.signing import KeyPair, authorization

STEPS = ("1101", "2201", "2203A", "2204", "2206", "2207")
_SOAP = "/soap/insurance"
_TRIES = 20
_WAIT_S = 0.2
_AGREED = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")
_ITEMS = ("XTEST000000000000001", "XTEST000000000000002", "XTEST000000000000003", "STEST000000000000002")
_CALL = """<?xml version="1.0" encoding="GBK"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<Call xmlns="http://tempuri.org/"><tradeCode>{code}</tradeCode><xml>{xml}</xml></Call>
</soap:Body></soap:Envelope>"""
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of a settlement, fen."""

    total: int
    fund: int
    account: int
    cash: int


class Counter(ABC):
    """One place where they are settled. `sent` has each request, `msgids` and `settled` what the answers said."""

    def __init__(self, name: str, begins: str) -> None:
        self.name, self.begins = name, begins
        self.key = KeyPair.new()
        self.sent = SentBook()
        self.msgids: list[str] = []
        self.settled: dict[str, Amounts] = {}  # by setl_id

    async def serve(self, visits: range, centre: Centre, port: int, tell: Callable[[], object]) -> None:
        for number in visits:
            await self._visit(number, centre.persons[number % len(centre.persons)], port, tell)

    async def _visit(self, number: int, person: Insured, port: int, tell: Callable[[], object]) -> None:
        known: Tree = {"visit": f"{self.begins}{number:06d}", "at": datetime.now(), "insuplc_admdvs": ""}
        for code in STEPS:
            key = f"{known['visit']}-{code}"
            self.sent.answers[key] = ""
            output = await self._asked(
                code, key, input_of(code, person, known), known["insuplc_admdvs"], port
            )
            tell()
            if output is None:
                return
            _learn(code, output, known)
            if code == "2207":
                self.settled[output["setlinfo"]["setl_id"]] = amounts(output["setlinfo"])

    async def _asked(self, code: str, key: str, input: Tree, place: str, port: int) -> Any:
        """Its output where the centre did it, else None."""
        for attempt in range(_TRIES):
            self.sent.repeated += attempt > 0
            try:
                answer = await self.ask(port, code, key, input, place)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                answer = None
            if answer is None:
                await asyncio.sleep(_WAIT_S)
                continue
            self.sent.answers[key] = "200" if "outcome" in answer else "400"
            if "msgid" in answer:
                self.msgids.append(str(answer["msgid"]))
            return answer.get("output") or {} if answer.get("outcome") == "OK" else None
        return None

    @abstractmethod
    async def ask(self, port: int, code: str, key: str, input: Tree, place: str) -> Tree | None:
        """The answer; {} where it is refused, None where it is to be asked again."""


class ByRest(Counter):
    async def ask(self, port: int, code: str, key: str, input: Tree, place: str) -> Tree | None:
        path = f"/v1/insurance/{code}"
        said = {"input": input, "opter_type": "2"} | ({"insuplc_admdvs": place} if place else {})
        body = json.dumps(said, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        status, answer = await self._signed(port, "POST", path, headers, body)
        if status == 202:
            later = f"{path}/results/{json.loads(answer)['id']}?wait=30s"
            status, answer = await self._signed(port, "GET", later, {}, b"")
        if status == 200:
            told: Tree = json.loads(answer, parse_float=Decimal)
            return told
        return {} if 400 <= status < 500 and status != 409 else None

    async def _signed(
        self, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        signed = {"Authorization": authorization("kiosk", self.key, method, path, body)}
        return await ask(port, method, path, {**headers, **signed}, body, timeout_s=65)


class BySoap(Counter):
    async def ask(self, port: int, code: str, key: str, input: Tree, place: str) -> Tree | None:
        said = {"TradeCode": code, "HISTradeNo": key} | ({"insuplc_admdvs": place} if place else {})
        xml = f'<?xml version="1.0" encoding="gb2312"?><Request>{written(said | input)}</Request>'
        body = _CALL.format(code=code, xml=escape(xml, quote=False)).encode("gb18030")
        headers = {
            "Content-Type": "text/xml; charset=GBK",
            "SOAPAction": '"http://tempuri.org/Call"',
            "Authorization": authorization("branch", self.key, "POST", _SOAP, body),
        }
        status, answer = await ask(port, "POST", _SOAP, headers, body, timeout_s=65)
        text = answer.decode("gb18030", "replace")
        begin, end = text.find("&lt;Response"), text.rfind("&lt;/Response&gt;")
        if status != 200 or begin < 0:
            return None
        root = ElementTree.fromstring(unescape(text[begin:end]) + "</Response>")
        told = read(root)
        if "outcome" in told:
            return told
        return {} if told.get("ResultCode") == "9999" else None


def written(tree: Mapping[str, Any]) -> str:
    return "".join(_elements(tree))


def _elements(tree: Mapping[str, Any]) -> Iterator[str]:
    for name, value in tree.items():
        for one in value if isinstance(value, list) else [value]:
            inside = written(one) if isinstance(one, dict) else escape(str(one), quote=False)
            yield f"<{name}>{inside}</{name}>"


def read(element: ElementTree.Element) -> Tree:
    """What stands several times is a list."""
    made: Tree = {}
    for child in element:
        value = read(child) if len(child) else child.text or ""
        if child.tag in made:
            before = made[child.tag]
            made[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            made[child.tag] = value
    return made


def amounts(setlinfo: Mapping[str, Any]) -> Amounts:
    names = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay", "psn_cash_pay")
    return Amounts(*(int(Decimal(str(setlinfo[name])) * 100) for name in names))


def _learn(code: str, output: Any, known: Tree) -> None:
    """What later steps need of an answer."""
    if code == "1101":
        first = output["insuinfo"][0] if isinstance(output["insuinfo"], list) else output["insuinfo"]
        known |= {"insuplc_admdvs": first["insuplc_admdvs"], "insutype": first["insutype"]}
        known["psn_no"] = output["baseinfo"]["psn_no"]
    elif code == "2201":
        known["mdtrt_id"] = output["data"]["mdtrt_id"]
    elif code == "2206":
        known["agreed"] = {name: str(output["setlinfo"][name]) for name in _AGREED}


def input_of(code: str, person: Insured, known: Mapping[str, Any]) -> Tree:
    """As the interface's tables have it; who is insured shows an identity card (02)."""
    shown = {"mdtrt_cert_type": "02", "mdtrt_cert_no": person.certno}
    if code == "1101":
        return {"data": shown}
    at = f"{known['at']:%Y-%m-%d %H:%M:%S}"
    visit = {"psn_no": known["psn_no"], "mdtrt_id": known.get("mdtrt_id", "")}
    if code == "2201":
        place = {
            "atddr_no": "D0001",
            "dr_name": "示例医师",
            "dept_code": "D01",
            "dept_name": "内科",
            "caty": "A03",
        }
        visit = {"psn_no": known["psn_no"], "insutype": known["insutype"], "begntime": at}
        return {"data": {**visit, **shown, "ipt_otp_no": known["visit"], **place}}
    if code == "2203A":
        found = {"diag_type": "1", "maindiag_flag": "1", "diag_srt_no": 1, "diag_code": "J00.X00"}
        found |= {
            "diag_name": "急性鼻咽炎",
            "diag_dept": "D01",
            "dise_dor_no": "D0001",
            "dise_dor_name": "示例医师",
        }
        whole = {**found, "diag_time": at, "vali_flag": "1"}
        return {"mdtrtinfo": {**visit, "med_type": "11", "begntime": at}, "diseinfo": [whole]}
    lines = list(_lines(known["visit"], visit, at))
    if code == "2204":
        return {"feedetail": lines}
    total = sum(Decimal(line["det_item_fee_sumamt"]) for line in lines)
    bill = {**visit, **shown, "med_type": "11", "medfee_sumamt": str(total), "psn_setlway": "01"}
    bill |= {"chrg_bchno": known["visit"], "acct_used_flag": "1", "insutype": known["insutype"]}
    return {"data": bill | (known["agreed"] if code == "2207" else {})}


def _lines(visit: str, of: Mapping[str, Any], at: str) -> Iterator[Tree]:
    """What was prescribed: the same for the same visit."""
    chance = Random(visit)
    for number, code in enumerate(chance.sample(_ITEMS, chance.randint(1, len(_ITEMS))), 1):
        price, count = Decimal(chance.randrange(300, 9000)) / 100, chance.randint(1, 3)
        yield {
            **of,
            "feedetl_sn": f"{visit}F{number}",
            "chrg_bchno": visit,
            "rx_circ_flag": "0",
            "fee_ocur_time": at,
            "med_list_codg": code,
            "medins_list_codg": f"L{number}",
            "det_item_fee_sumamt": str((price * count).quantize(Decimal("0.01"))),
            "cnt": str(count),
            "pric": str(price),
            "bilg_dept_codg": "D01",
            "bilg_dept_name": "内科",
            "bilg_dr_codg": "D0001",
            "bilg_dr_name": "示例医师",
            "hosp_appr_flag": "1",
        }


class Outpatients:
    """Both places, and the centre that they ask."""

    def __init__(self, seed: int) -> None:
        self.centre = Centre(seed=seed)
        self.kiosks, self.branch = ByRest("insurance", "KV"), BySoap("insurance-soap", "BV")

    @property
    def counters(self) -> tuple[Counter, ...]:
        return self.kiosks, self.branch

    def serve(self, visits: int, port: int, tell: Callable[[], object]) -> list[Awaitable[None]]:
        """A quarter of them at the branch."""
        there = visits // 4
        return [
            self.kiosks.serve(range(visits - there), self.centre, port, tell),
            self.branch.serve(range(visits - there, visits), self.centre, port, tell),
        ]

    def received(self, counter: Counter) -> list[str]:
        """The msgids that the centre has got, of this place; those that nobody was told are the kiosks'."""
        others = {msgid for one in self.counters if one is not counter for msgid in one.msgids}
        came = [one for one in self.centre.books.msgids.values() if one.infno not in ("9001", "9002")]
        if counter is self.branch:
            return [one.msgid for one in came if one.msgid in set(counter.msgids) for _ in range(one.times)]
        return [one.msgid for one in came if one.msgid not in others for _ in range(one.times)]

    def differences(self) -> dict[str, tuple[Amounts | None, Amounts | None]]:
        """Settlements that callers and the centre do not know alike: told, booked; by setl_id."""
        told = {id: made for counter in self.counters for id, made in counter.settled.items()}
        booked = {
            id: Amounts(s.medfee, s.funds, s.own_acct + s.family_acct, s.psn_cash)
            for id, s in ((one.setl_id, one.split) for one in self.centre.books.settlements.values())
        }
        return {
            id: (told.get(id), booked.get(id))
            for id in sorted({*told, *booked})
            if told.get(id) != booked.get(id)
        }
