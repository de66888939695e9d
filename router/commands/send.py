"""`jingluo send`: messages to any door, the answers on the screen."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import typer

from config import registry
from config.errors import JingluoError, Refused
from endpoints.base import Ground
from router.clock import now_ms
from router.ids import new_id
from schemas.message import Message

_CONTENT = {".hl7": "hl7v2", ".json": "json", ".xml": "xml"}


async def send_files(url: str, files: list[Path]) -> int:
    """Sends one file after the other. 0 when all were accepted."""
    parts = urlsplit(url)
    if parts.scheme == "mllp" and parts.hostname and parts.port:
        kind, options = "mllp", {"host": parts.hostname, "port": parts.port}
    elif parts.scheme in ("http", "https"):
        kind, options = "http", {"url": url}
    else:
        typer.echo(f"{url}: write mllp://host:port or http://host:port/path", err=True)
        return 2
    made = registry.destinations.get(kind)
    failed = 0
    for file in files:
        format = _CONTENT.get(file.suffix, "hl7v2")
        destination = made(made.Options(**options), Ground(name="send", format=format))
        await destination.start()
        try:
            message = Message(body=file.read_bytes(), id=new_id(now_ms()), format=format)
            receipt = await destination.send(message)
            typer.echo(f"{file}: {receipt.code}")
            typer.echo(_readable(receipt.answer))
        except JingluoError as error:
            failed += 1
            typer.echo(f"{file}: {error}", err=True)
            if isinstance(error, Refused) and error.answer:
                typer.echo(_readable(error.answer), err=True)
        finally:
            await destination.stop()
    return 1 if failed else 0


def _readable(answer: bytes) -> str:
    return answer.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").rstrip()
