"""What is fuzzed: each door's reader, and what it may raise. `seeds.py` has good input to begin from.

A target takes any bytes. It must return, or raise one of `refuses`: anything else that it raises is a bug, of ours or
of a library that we let a stranger's bytes into.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import insurance
import platform_files
from seeds import (
    BATCH,
    BRACES,
    CHANNEL,
    FHIR,
    FHIR_ANSWERS,
    FIELDS,
    FRAME,
    HL7,
    MARKS,
    PACKED,
    SEGMENTS,
    SIGNED,
    SOAP,
    SOAP_CALLS,
    SPECS,
    TOKEN,
)
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
    return [
        *_of_formats(),
        *_of_doors(),
        *_of_parties(),
        *_of_files(),
        *_of_validation(),
        *_of_callers(),
    ]


def _of_formats() -> list[Target]:
    words = {"hl7v2": SEGMENTS, "xml": MARKS, "json": BRACES, "fhir": BRACES, "form": FIELDS}
    maps = ("adt-to-fhir-full", "oru-to-fhir", "order-to-fhir", "checkin-to-adt")
    made = [
        *((_format(name), words.get(name, ())) for name in SPECS),
        *((_map(name), SEGMENTS) for name in maps),
    ]
    return [replace(target, words=said) for target, said in made]


def _of_doors() -> list[Target]:
    """What a sender's connection, request or call is read with."""
    lines, fhir = (
        (b"a\nb\n", b"\2a\3\2b\3", b"\0\2ab", b"000002ab"),
        (b"/", b"?", b"&", b"=", b"%", b"..", b"_search"),
    )
    asked = (b"GET Patient/17/_history/3?_count=5", b"PUT Patient?identifier=a|1", b"POST Patient")
    return [
        Target("mllp", _frames, (framed(HL7), framed(HL7) * 2), (), FRAME),
        Target("tcp", _cuts, lines, (), (b"\n", b"\2", b"\3", b"0")),
        Target("hl7 batch", _batch, (BATCH, HL7), words=(*SEGMENTS, b"FHS|", b"BHS|", b"BTS|", b"FTS|")),
        Target("soap call", _soap_call, SOAP_CALLS, (), (*MARKS, b"--b", b"Body", b"tradeCode", b"message")),
        Target("fhir request", _fhir_request, asked, (NotAsked,), (*fhir, b"_history")),
        Target("insurance call", insurance.called, insurance.CALLS, (), BRACES),
        Target(
            "insurance envelope",
            insurance.mobile,
            insurance.ENVELOPES,
            (),
            (*BRACES, b"encData", b"signData"),
        ),
        Target("gzip", _unpacked, PACKED, (Limit,), (b"\x1f\x8b\x08",)),
    ]


def _of_parties() -> list[Target]:
    """What a receiver's answer is read with."""
    said = (b"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|1\r", HL7)
    return [
        Target("hl7 answer", read_ack, said, (), SEGMENTS),
        Target(
            "soap answer",
            _soap_answer,
            SOAP,
            (),
            (*MARKS, b"--b", b"cid:", b"\r\n", b"Fault", b"xop:Include"),
        ),
        Target("fhir answer", _fhir_answer, FHIR_ANSWERS, words=(*BRACES, b"issue", b"entry", b"response")),
    ]


def _of_files() -> list[Target]:
    """What the insurance platform, and a hospital by hand, give as files."""
    return [
        Target("platform file", platform_files.table, platform_files.ZIPS, words=platform_files.ZIP_WORDS),
        Target("item list", platform_files.items, platform_files.LISTS, words=platform_files.LIST_WORDS),
        Target("statement", platform_files.statement, platform_files.RESULTS, words=platform_files.AMOUNTS),
        Target(
            "settlement list",
            platform_files.settlements,
            platform_files.SETTLEMENTS,
            words=platform_files.AMOUNTS,
        ),
    ]


def _of_validation() -> list[Target]:
    return [
        Target("validate hl7v2", _validated, _of_maps("hl7v2"), words=SEGMENTS),
        Target("validate fhir", _validated_fhir, (FHIR,), words=BRACES),
        Target("validate insurance", insurance.checked, insurance.REQUESTS, words=BRACES),
    ]


def _of_callers() -> list[Target]:
    """What shows who somebody is, and what an integrator writes."""
    schemes, yaml = (
        (b"JINGLUO-SM2 ", b"JINGLUO-HMAC-SM3 "),
        (b": ", b"{", b"}", b"- ", b"$", b"&a ", b"*a", b"|\n"),
    )
    return [
        Target("signature", _signed, tuple(scheme + SIGNED for scheme in schemes), ()),
        Target("token", _token, (TOKEN,), (), (b".", b"=", b"e30", b"eyJhbGciOiJub25lIn0")),
        Target("channel file", check_channel, (CHANNEL,), (), yaml),
    ]
