"""`python -m deploy.sandbox.billing`: the HIS' billing side by hand, with some bills and a stay."""

from __future__ import annotations

import argparse
import asyncio
import sys

from deploy.sandbox.billing.party import OWN, Billing
from deploy.sandbox.centre.misbehaviour import KINDS, order


async def _run(port: int, words: list[str]) -> None:
    his = Billing(port)
    for number in range(1, 21):
        his.books.bill(f"B{number}", number * 1010, f"P{(number + 1) // 2}")
    his.books.stay("ZY1", "P1", 5000, 2000)
    for word in words:
        name, act, times, share = order(word, (*KINDS, *OWN))
        his.acts.add(name, act, times=times, share=share)
    await his.start()
    print(
        f"{his.url}/soap {his.url}/gateway, signature key {his.secret!r}; bills B1 to B20 of P1 to P10, stay ZY1"
    )
    try:
        await asyncio.Event().wait()
    finally:
        await his.stop()


def main() -> int:
    said = argparse.ArgumentParser(prog="python -m deploy.sandbox.billing", description=__doc__)
    said.add_argument("--port", type=int, default=9200)
    said.add_argument("--misbehave", action="append", default=[], metavar="OPERATION=KIND")
    told = said.parse_args()
    try:
        asyncio.run(_run(told.port, told.misbehave))
    except KeyboardInterrupt:
        return 0
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
