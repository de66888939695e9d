"""`python -m deploy.sandbox.alipay`, `python -m deploy.sandbox.unionpay`: a payment channel until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.sandbox.centre.misbehaviour import order
from deploy.sandbox.paying import PayDoor

# Pays what has waited so long (seconds), as a payer would.
Payer = Callable[[float], None]
_LOOK_S = 0.2


def asked(name: str, port: int, said: list[str] | None) -> Namespace:
    parser = ArgumentParser(prog=f"python -m deploy.sandbox.{name}")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keys", type=Path, default=Path("var") / name, help="where keys are kept, or made")
    parser.add_argument(
        "--pays-after", type=float, default=0, metavar="SECONDS", help="each code is paid then"
    )
    parser.add_argument(
        "--misbehave", action="append", default=[], metavar="[NAME=]KIND[:VALUE][@SHARE%][*COUNT]"
    )
    return parser.parse_args(said)


def merchant_key(folder: Path) -> RSAPrivateKey:
    """The merchant's, of `merchant-key.pem`; made where there is none."""
    path = folder / "merchant-key.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = generate_private_key(65537, 2048)
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        return made
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path}: no RSA key")
    return key


def run(door: PayDoor, given: Namespace, files: Mapping[str, str], told: str, payer: Payer) -> int:
    """Writes `files` (name to text) into the folder of keys, and serves. Exit code 2 where a word cannot be read."""
    try:
        orders = [order(word) for word in given.misbehave]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for name, text in files.items():
        (given.keys / name).write_text(text)
    for name, act, times, share in orders:
        door.behave(name, act.kind, times=times, share=share, seconds=act.seconds, code=act.code)
    return asyncio.run(_until_stopped(door, given, told, payer))


async def _until_stopped(door: PayDoor, given: Namespace, told: str, payer: Payer) -> int:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await door.start()
    print(f"{told} {door.url}  keys in {given.keys}", flush=True)
    while not stop.is_set():
        if given.pays_after:
            payer(given.pays_after)
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_S)
        except TimeoutError:
            continue
    await door.stop()
    return 0
