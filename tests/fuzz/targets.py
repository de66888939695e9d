"""What is fuzzed: each door's reader, what it may raise, and good input to begin from.

A target takes any bytes. It must return, or raise one of `refuses`: anything else that it raises is a bug, of ours or
of a library that we let a stranger's bytes into.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dicom_parts import picture
from sites import callers_with_tokens, check_channel

from config import registry
from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground
from endpoints.callers import signature
from endpoints.callers.tokens import TokenBook
from endpoints.fhir_r4.interactions import NotAsked, understood
from endpoints.fhir_r4.links import rewritten
from endpoints.fhir_r4.reading import question
from endpoints.hl7.answers import Answers, control_id, head
from endpoints.hl7.framing import Framer, framed
from endpoints.limits import Limit, Unpacked
from endpoints.webservice.address import Address
from endpoints.webservice.answer import result
from endpoints.webservice.envelope import NoEnvelope, write
from endpoints.wire.cuts import FramingText, framing_of
from schemas.choice import choose
from schemas.hl7.ack import read_ack
from schemas.hl7.batch import holds_several, unwrapped
from schemas.message import Message, Reply
from schemas.validation.kinds import kind_of
from transforms.library import SHIPPED_MAPS, Library

ROOT = Path(__file__).parents[2]
LIBRARY = Library([SHIPPED_MAPS], [ROOT / "schemas" / "tables"])
_DIGITS = FramingText(length=6, kind="digits")
MOST = 1_000_000  # bytes that a packed body may become here

HL7 = (
    "MSH|^~\\&|HIS|A|LIS|B|20260105080000||ORU^R01^ORU_R01|1|P|2.5\r"
    "PID|1||P0001^^^A^MR||张^三||19800101|F\r"
    "OBR|1|7|8|GLU^血糖\rOBX|1|NM|GLU||5.2|mmol/L|3.9-6.1|N|||F\r"
).encode()
BATCH = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + HL7 + HL7 + b"BTS|2\rFTS|1\r"
XML = (
    '<?xml version="1.0" encoding="UTF-8"?><Request xmlns="urn:his:1" id="1">'
    "<Name>张三</Name><Item><![CDATA[<a/>]]></Item></Request>"
).encode()
FHIR = (
    '{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient",'
    '"identifier":[{"system":"urn:oid:1.2","value":"P0001"}],"name":[{"family":"张"}],"birthDate":"1980-01-01"},'
    '"request":{"method":"PUT","url":"Patient?identifier=P0001"}}]}'
).encode()
JSON = '{"id":"P0001","amount":12.30,"items":[{"code":"GLU","name":"血糖"},null,true,-1e3]}'.encode()
ROWS = 'id,name,amount\r\nP0001,张三,12.30\r\nP0002,"李, 四",0\r\n'.encode()
RECORDS = "H20260105\r\nDP0001张三      0000012.30\r\n".encode("gb18030")
FORM = b"id=P0001&name=%E5%BC%A0%E4%B8%89&item=1&item=2"
PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\nP0001\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF\r\n"
    b"--x--\r\n"
)
_SOAP = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><R><CallResult>%s</CallResult></R>'
    b"</s:Body></s:Envelope>"
)
_INCLUDE = b'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:d"/>'
SOAP = (
    _SOAP % b"<![CDATA[<Response><ResultCode>0</ResultCode></Response>]]>",
    _SOAP % b'<a xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"/></a>',
    _SOAP.replace(b"R>", b"s:Fault>") % b"",
    b"--b\r\nContent-ID: <r>\r\n\r\n" + _SOAP % _INCLUDE + b"\r\n--b\r\nContent-ID: <d>\r\n\r\n1\r\n--b--",
)
SOAP_CALLS = (
    _SOAP.replace(b"R>", b"Call>").replace(b"CallResult>", b"xml>") % b"<![CDATA[<Request/>]]>",
    _SOAP.replace(b"R>", b"HIPMessageServer>").replace(b"CallResult>", b"message>") % b"&lt;a id='1'/&gt;",
)
FHIR_ANSWERS = (
    b'{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created"}}]}',
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","expression":["a[0].b"]}]}',
    b'{"resourceType":"Bundle","type":"searchset","total":0,"link":[{"relation":"self","url":"http://a/Patient"}]}',
)
LAYOUT = {"charset": "GB18030", "records": {"H": {"day": 8}, "D": {"id": 5, "name": 10, "amount": 10}}}
SPECS: dict[str, tuple[Any, tuple[bytes, ...]]] = {
    "hl7v2": ("hl7v2", (HL7,)),
    "json": ("json", (JSON, FHIR)),
    "xml": ({"xml": {"namespaces": {"h": "urn:his:1"}}}, (XML,)),
    "fhir": ("fhir", (FHIR,)),
    "delimited": ("delimited", (ROWS,)),
    "fixed": ({"fixed": LAYOUT}, (RECORDS,)),
    "form": ("form", (FORM, PARTS)),
    "dicom": (
        "dicom",
        (picture(), picture(RequestAttributesSequence=[{"RequestedProcedureDescription": "胸部"}])),
    ),
}
SIGNED = (
    b"app=kiosk, time=1767571200, nonce=9f2c51b0a4, digest="
    + b"0a" * 32
    + b', signature="'
    + b"1f" * 64
    + b'"'
)
TOKEN = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwiZXhwIjoxNzY3NTcxMjAwfQ.c2lnbmF0dXJl"
CHANNEL = b"""\
channel: adt
from: {mllp: {port: 2575, charset: GB18030}}
format: hl7v2
order: {by: $PID-3.1, lanes: 8}
when: {$MSH-9.1: ADT, any: [{$PV1-2: I}, {$PID-7: {before: 2008-01-01}}]}
to:
  lis:
    map: {make: {MSH: {9: $MSH-9}, PID: {each: $PID, make: {3: $-3.1 | upper}}}, start: $}
    send: {mllp: {host: 127.0.0.1, port: 2576}}
    retry: {first: 1s, factor: 2, max: 5m, for: 24h}
reply: lis
keep: {body: 30d, rows: 400d}
"""


@dataclass(frozen=True)
class Target:
    """`reads` is given a stranger's bytes; `words` are what its language is made of, for mutations."""

    name: str
    reads: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    refuses: tuple[type[Exception], ...] = (BadMessage,)
    words: tuple[bytes, ...] = ()

    def run(self, data: bytes) -> None:
        """Raises what the target must not raise."""
        with suppress(*self.refuses):
            self.reads(data)


def _format(name: str) -> Target:
    """What a format reads, and can write, it reads again."""
    spec, seeds = SPECS[name]
    problems: list[Any] = []
    one = choose(spec, problems, ())
    assert one is not None, problems

    def reads(data: bytes) -> None:
        tree = one.decode(data)
        try:
            written = one.encode(tree)
        except BadMessage:  # a form with a file in it
            return
        one.decode(written)

    return Target(name, reads, (*seeds, *_of_maps(name)))


def _given(name: str) -> tuple[bytes, ...]:
    """The messages of a shipped map's own tests."""
    document = LIBRARY.document(name)
    assert document is not None
    tests = [test for test in document.data["tests"] if "error" not in test["expect"]]
    given = (test["given"] for test in tests)
    return tuple((one if isinstance(one, str) else json.dumps(one)).encode() for one in given)


@cache
def _of_maps(format: str) -> tuple[bytes, ...]:
    """One of each map that reads this format."""
    maps = [(name, LIBRARY.map(name, [])) for name in LIBRARY.map_names()]
    of_it = [name for name, made in maps if made is not None and made.source.name == format]
    return tuple(given for name in of_it for given in _given(name)[:1])


def _map(name: str) -> Target:
    """A shipped map. What it makes of good messages is valid (tests/corpus); of any message it makes something."""
    made = LIBRARY.map(name, [])
    assert made is not None
    return Target(f"map {name}", lambda data: made.run(made.source.decode(data)), _given(name))


def _frames(data: bytes) -> None:
    """An MLLP connection: however its bytes are cut, every message is answered."""
    answers, framer = Answers("", lambda: 1767571200.0), Framer(100_000, piece=50_000)
    for at in range(0, len(data), 97):
        for frame in framer.feed(data[at : at + 97]):
            control_id(frame.body, "GB18030")
            for reply in (Reply("accepted"), Reply("refused", code="JL-M001", text="PID-3: 没有")):
                assert framed(answers.write(head(frame.body), reply))


def _cuts(data: bytes) -> None:
    """Plain TCP, by each kind of framing."""
    for text in (FramingText(end="\n"), FramingText(begin="\2", end="\3"), FramingText(length=2), _DIGITS):
        framer = framing_of(text).framer(1000)
        for at in range(0, len(data), 31):
            assert all(len(frame.body) <= 1000 for frame in framer.feed(data[at : at + 31]))


def _unpacked(data: bytes) -> None:
    """A body with `Content-Encoding: gzip`, which comes in two pieces."""

    async def all_of_it() -> int:
        pieces = [data[: len(data) // 2], data[len(data) // 2 :]]
        events = [{"type": "http.request", "body": p, "more_body": n == 0} for n, p in enumerate(pieces)]

        async def receive() -> Any:
            return events.pop(0)

        unpack, size = Unpacked(receive, MOST), 0
        while (event := await unpack())["body"] or event["more_body"]:
            size += len(event["body"])
        return size

    assert asyncio.run(all_of_it()) <= MOST


def _validated(data: bytes) -> None:
    tree = registry.formats.get("hl7v2").decode(data)
    kind_of("hl7v2", ROOT / "schemas").validator(tree)


def _validated_fhir(data: bytes) -> None:
    tree = registry.formats.get("fhir").decode(data)
    kind_of("fhir/r4", ROOT / "schemas").validator(tree)


def _signed(data: bytes) -> None:
    scheme, _, rest = data.decode("latin-1").partition(" ")
    if signed := signature.read(scheme.lower(), rest):
        signature.text("POST", b"/v1/orders?a=1", signed)


def _token(data: bytes) -> None:
    assert TokenBook(callers_with_tokens()).find(data.decode("latin-1"), 1767571200.0) is None


@cache
def _service(convention: str) -> Any:
    """A destination that calls a web service."""
    kind = registry.destinations.get("soap")
    options = kind.Options(convention=convention, url="http://127.0.0.1:1/")
    return kind(options, Ground("fuzz", "xml"))


def _soap_answer(data: bytes) -> None:
    """An envelope, or a package with one in it, as a web service answers."""
    for kind in ("text/xml; charset=gbk", 'multipart/related; boundary="b"; start="<r>"'):
        for convention in ("hip", "call"):
            with suppress(Refused, Unreachable):
                _service(convention).receipt(200, "", {"content-type": kind}, data)


@cache
def _address(convention: str) -> Address:
    """Where a web service is called."""
    kind = registry.sources.get("soap")
    options = kind.Options(convention=convention)
    return Address(kind(options, Ground("fuzz", "xml")), options.contract(ROOT))


def _soap_call(data: bytes) -> None:
    """An envelope, or a package with one in it; what is understood is answered."""
    for kind in ("text/xml", 'multipart/related; boundary="b"'):
        for convention in ("hip", "call"):
            with suppress(NoEnvelope):
                called = _address(convention).understood(data, "gbk", kind)
                reply = Reply("refused", code="JL-M030", text=called.action)
                said = _address(convention).options.made.answer(called.asked, reply, 0.0)
                write(called.version, result(called.operation, said.text))


def _fhir_request(data: bytes) -> None:
    """What asks, after a blank the path: what is understood is understood as the same again."""
    method, _, target = data.decode("latin-1").partition(" ")
    path, _, query = target.partition("?")
    asked = understood(method, path, query)
    if asked.interaction != "bundle":
        path, _, query = asked.url.partition("?")
        assert understood("PUT" if asked.interaction == "update" else "GET", path, query).url == asked.url


def _fhir_answer(data: bytes) -> None:
    """To each kind of request that a FHIR server is sent."""
    kind = registry.destinations.get("fhir")
    one = kind(kind.Options(url="http://127.0.0.1:1/r4"), Ground("fuzz", "fhir"))
    for body in (FHIR, b'{"resourceType":"Patient"}', question("Patient/17")):
        headers = {"fhir.interaction": "read"} if b"GET" in body else {}
        for code in ("200", "404"):
            with suppress(Refused, Unreachable):
                one.heard(Message(body, headers=headers), code, data, {})
    rewritten(data, "http://a", "http://b")


def _batch(data: bytes) -> None:
    assert isinstance(holds_several(data), bool)
    for message in unwrapped([data[:50], data[50:]]):
        head(message)


def targets() -> list[Target]:
    """All of them, by name."""
    segments = (
        b"MSH",
        b"PID",
        b"OBX",
        b"OBR",
        b"PV1",
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\r",
        b"\\X0D\\",
        b"\x1b",
    )
    frame = (b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|^~\\&|")
    marks = (
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<![CDATA[",
        b"<!DOCTYPE a [",
        b"<!ENTITY x 'y'>",
        b"&x;",
        b"xmlns=''",
        b"</",
    )
    braces = (
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"1e999",
        b"NaN",
        b"\\ud800",
        b"null",
        b"\xef\xbb\xbf",
    )
    fields = (b"%", b"&", b"=", b"--x", b"\r\n")
    words = {"hl7v2": segments, "xml": marks, "json": braces, "fhir": braces, "form": fields}
    formats = [_format(name) for name in SPECS]
    plain = [Target(t.name, t.reads, t.seeds, t.refuses, words.get(t.name, ())) for t in formats]
    maps = [_map(name) for name in ("adt-to-fhir-full", "oru-to-fhir", "order-to-fhir", "checkin-to-adt")]
    given = _of_maps("hl7v2")
    return [
        *plain,
        *[Target(t.name, t.reads, t.seeds, t.refuses, segments) for t in maps],
        Target("mllp", _frames, (framed(HL7), framed(HL7) * 2), (), frame),
        Target(
            "tcp", _cuts, (b"a\nb\n", b"\2a\3\2b\3", b"\0\2ab", b"000002ab"), (), (b"\n", b"\2", b"\3", b"0")
        ),
        Target("hl7 batch", _batch, (BATCH, HL7), words=(*segments, b"FHS|", b"BHS|", b"BTS|", b"FTS|")),
        Target("hl7 answer", read_ack, (b"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|1\r", HL7), (), segments),
        Target(
            "soap answer",
            _soap_answer,
            SOAP,
            (),
            (*marks, b"--b", b"cid:", b"\r\n", b"Fault", b"xop:Include"),
        ),
        Target("soap call", _soap_call, SOAP_CALLS, (), (*marks, b"--b", b"Body", b"tradeCode", b"message")),
        Target(
            "fhir request",
            _fhir_request,
            (b"GET Patient/17/_history/3?_count=5", b"PUT Patient?identifier=a|1", b"POST Patient"),
            (NotAsked,),
            (b"/", b"?", b"&", b"=", b"%", b"..", b"_history", b"_search"),
        ),
        Target("fhir answer", _fhir_answer, FHIR_ANSWERS, words=(*braces, b"issue", b"entry", b"response")),
        Target("gzip", _unpacked, _packed(), (Limit,), (b"\x1f\x8b\x08",)),
        Target("validate hl7v2", _validated, given, words=segments),
        Target("validate fhir", _validated_fhir, (FHIR,), words=braces),
        Target("signature", _signed, (b"JINGLUO-SM2 " + SIGNED, b"JINGLUO-HMAC-SM3 " + SIGNED), ()),
        Target("token", _token, (TOKEN,), (), (b".", b"=", b"e30", b"eyJhbGciOiJub25lIn0")),
        Target(
            "channel file",
            check_channel,
            (CHANNEL,),
            (),
            (b": ", b"{", b"}", b"- ", b"$", b"&a ", b"*a", b"|\n"),
        ),
    ]


def _packed() -> tuple[bytes, ...]:
    import gzip

    return gzip.compress(HL7, mtime=0), gzip.compress(b" " * 500_000, mtime=0)
