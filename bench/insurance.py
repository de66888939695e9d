"""Insurance: what SM2 costs by back-end, and what a call costs before it leaves and when its answer is read.

A 2204 with fifty fee lines for the institution's interface: read, held against the tables, put into its envelope,
signed. An MP-6201 with fifty lines for the payment centre: the same, and sealed; and the answer to it, opened and
verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from bench import insurance_records
from bench.table import Table
from bench.timing import fastest
from config import sm2
from config.sm2_curve import SAMPLE_PRIVATE
from endpoints.insurance.envelope import asked
from endpoints.insurance.input import Inputs
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.sm_envelope import Envelope, EnvelopeOptions
from schemas.json import Json
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.profile import national
from schemas.nhsa.sample import sample

LINES = 50
TARGET = 300.0  # of issue 6: a 2204 with fifty lines, per second of one core
_AT_S = 1705285800.0
_DATA = bytes(500)
_JSON = Json()
_HEAD = {
    "infno": "2204", "msgid": "H99999900001202401151030000007", "mdtrtarea_admvs": "999900",
    "insuplc_admdvs": "999901", "recer_sys_code": "MBS", "dev_no": "", "dev_safe_info": "", "cainfo": "",
    "signtype": "SM2", "infver": "V1.0", "opter_type": "1", "opter": "0001", "opter_name": "测试",
    "inf_time": "2024-01-15 10:30:00", "fixmedins_code": "H99999900001", "fixmedins_name": "测试医院",
    "sign_no": "999900S0000000000001",
}  # fmt: skip


def run() -> Iterator[Table]:
    yield _signatures()
    yield _calls()
    yield insurance_records.table()


def _signatures() -> Table:
    table = Table(
        f"SM2 with SM3 over {len(_DATA)} bytes, per second of one core",
        ["back-end", "sign", "ms", "verify", "ms"],
    )
    for backend in sm2.backends():
        pair = backend.key_pair(SAMPLE_PRIVATE)
        made = pair.sign(_DATA)
        rates = fastest(
            {
                "sign": lambda pair=pair: pair.sign(_DATA),  # type: ignore[misc]
                "verify": lambda by=backend, of=pair.point, made=made: by.verify(of, _DATA, made),  # type: ignore[misc]
            }
        )
        sign, verify = rates["sign"], rates["verify"]
        table.add(backend.name, sign, 1000 / sign, verify, 1000 / verify)
    return table


def _calls() -> Table:
    table = Table(
        f"Calls with {LINES} fee lines, per second of one core, by {sm2.backend().name}",
        ["call", "bytes", "per s", "ms", "target"],
    )
    made = {
        "2204: read, checked, enveloped, signed": _fees("2204", "feedetail", _institution),
        "2204 by the gateway: also its links, amounts and GBK": _by_gateway(),
        "MP-6201: read, checked, signed, sealed": _fees("MP-6201", "feedetailList", _mobile),
        "an answer of the payment centre: opened, verified": _answer(),
    }
    rates = fastest({name: call for name, (_, call) in made.items()})
    for n, (name, (size, _)) in enumerate(made.items()):
        goal = table.target(f"insurance {name}", rates[name], TARGET) if n == 0 else None
        table.add(name, size, rates[name], 1000 / rates[name], goal)
    table.notes.append("bytes: of the message as it comes; of an answer as it stands on the wire")
    return table


Call = Callable[[], object]


def _fees(name: str, node: str, way: Callable[[str], Callable[[Any], object]]) -> tuple[int, Call]:
    held, tree = checker(transaction(name)), sample(transaction(name), whole=True)
    holder = tree if node in tree else tree["data"]
    lines = [deepcopy(holder[node][0]) for _ in range(LINES)]
    for n, line in enumerate(lines):
        line[next(field for field in line if field.lower().startswith("feedetl"))] = f"F{n:04}"
    holder[node] = lines
    body, sent = _JSON.encode(tree), way(name)

    def call() -> object:
        read = _JSON.decode(body)
        if faults := held.request(read):
            raise RuntimeError(f"the sample of {name} is not valid: {faults[0]}")
        return sent(held.normalized(read))

    return len(body), call


def _by_gateway() -> tuple[int, Call]:
    """As kind `nhsa` does it, up to what is written down and sent."""
    said = {
        "url": "http://127.0.0.1:1",
        "fixmedins_code": _HEAD["fixmedins_code"],
        "fixmedins_name": "测试医院",
    }
    options = PartyOptions.model_validate(
        {**said, "mdtrtarea_admvs": "999900", "recer_sys_code": "MBS", "charset": "GBK"}
    )
    inputs, fees, pair = Inputs(options, national()), transaction("2204"), sm2.key_pair(SAMPLE_PRIVATE)
    sent: list[Any] = []
    size, read = _fees("2204", "feedetail", lambda name: sent.append)
    read()
    body = _JSON.encode({"input": sent[0], "insuplc_admdvs": "999901"})

    def call() -> object:
        given = asked(_JSON.decode(body))
        made = inputs.made(fees, given.input, given.fields)
        head, tail = inputs.written(made, "999900S0000000000001", int(_AT_S * 1000))
        return pair.sign(head + _HEAD["msgid"].encode() + tail)

    return size, call


def _institution(name: str) -> Callable[[Any], object]:
    pair = sm2.key_pair(SAMPLE_PRIVATE)
    return lambda made: pair.sign(_JSON.encode({**_HEAD, "input": made}))


def _mobile(name: str) -> Callable[[Any], object]:
    ours = _envelope()
    return lambda made: ours.request(made["data"], _AT_S)


def _answer() -> tuple[int, Call]:
    ours = _envelope()
    answer = ours.answer({"payOrdId": "ORD0001", "ordStas": "6", "feeSumamt": 36.5}, _AT_S).wire
    return len(answer), lambda: ours.opened(answer)


def _envelope() -> Envelope:
    """Whose platform is itself."""
    said = {"app_id": "TESTAPP000000000000000000000001A", "app_secret": "TESTSECRET0000000000000000000001"}
    point = sm2.key_pair(SAMPLE_PRIVATE).point.hex()
    return Envelope(
        EnvelopeOptions.model_validate({**said, "private_key": SAMPLE_PRIVATE.hex(), "platform_key": point})
    )
