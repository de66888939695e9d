"""`python -m deploy.sandbox.centre --port 9100 --misbehave 2207=mute*1`: a centre on loopback until it is stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import ArgumentParser, Namespace

from deploy.sandbox.centre.catalogue import FILES
from deploy.sandbox.centre.misbehaviour import order
from deploy.sandbox.centre.party import Centre
from deploy.sandbox.centre.settings import Settings
from deploy.sandbox.centre.transports import ApiKey, Csb, Open, Transport, XTif


def main(said: list[str] | None = None) -> int:
    asked = _parser().parse_args(said)
    try:
        told = [order(word) for word in asked.misbehave]
        settings = _settings(asked)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    centre = Centre(asked.port, asked.seed, settings)
    for infno, act, times, share in told:
        centre.behave(infno, act.kind, times=times, share=share, seconds=act.seconds, code=act.code)
    return asyncio.run(_until_stopped(centre))


async def _until_stopped(centre: Centre) -> int:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await centre.start()
    first = centre.persons[0]
    hospital, shop = centre.settings.institutions[:2]
    print(f"医保中心 insurance centre: {centre.url}  机构 {hospital.code} (药店 {shop.code})")
    print(
        f"参保人 insured: psn_no {first.psn_no}, certno {first.certno}, 参保地 {first.insuplc_admdvs}",
        flush=True,
    )
    await stop.wait()
    await centre.stop()
    books = centre.books
    print(
        f"报文 messages {len(books.msgids)}, 就诊 visits {len(books.visits)}, 结算 settlements {len(books.settlements)}"
    )
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m deploy.sandbox.centre", description=__doc__)
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--misbehave", action="append", default=[], metavar="[INFNO=]KIND[:VALUE][@SHARE%][*COUNT]"
    )
    parser.add_argument("--apikey", default="", metavar="KEY")
    parser.add_argument("--x-tif", default="", metavar="ACCOUNT:SECRET")
    parser.add_argument("--csb", default="", metavar="ACCESSKEY:SECRET:SERVICE")
    parser.add_argument("--catalogue-rows", action="append", default=[], metavar="1301=1000000")
    parser.add_argument("--infcode-as-text", action="store_true")
    parser.add_argument("--fund-includes-account", action="store_true")
    parser.add_argument("--settle-first", action="store_true", help="2304 before 2402")
    return parser


def _settings(asked: Namespace) -> Settings:
    """Raises ValueError."""
    rows = {}
    for text in asked.catalogue_rows:
        kind, _, count = text.partition("=")
        if kind not in FILES or not count.isdigit():
            raise ValueError(f"{text!r}: write 1301=1000000, of {', '.join(FILES)}")
        rows[kind] = int(count)
    return Settings(
        transport=_transport(asked),
        infcode_as_text=asked.infcode_as_text,
        fund_includes_account=asked.fund_includes_account,
        discharge_first=not asked.settle_first,
        catalogue_rows=rows,
    )


def _transport(asked: Namespace) -> Transport:
    if asked.apikey:
        return ApiKey(asked.apikey)
    for text, parts in ((asked.x_tif, 2), (asked.csb, 3)):
        if text:
            given = text.split(":")
            if len(given) != parts:
                raise ValueError(f"{text!r}: write {parts} words with : between")
            return XTif(*given) if parts == 2 else Csb(*given)
    return Open()


if __name__ == "__main__":
    sys.exit(main())
