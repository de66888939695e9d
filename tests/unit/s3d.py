"""moto's server of S3, in a thread of the test's, on loopback."""

from __future__ import annotations

import atexit
import functools
import hashlib
import logging
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from folder_parts import Place
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


@functools.cache
def _server() -> str:
    """One for all tests of a process: it ends with it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@functools.cache
def _session() -> Any:
    return boto3.session.Session("id", "invented", region_name="us-east-1")


class S3Place(Place):
    """A bucket for each test."""

    kind = "s3"
    poll = "40ms"  # each look is a request to a server in this process

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.url = _server()
        self.client = _session().client(
            "s3", endpoint_url=self.url, config=Config(s3={"addressing_style": "path"}, proxies={})
        )
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def bucket(self) -> str:
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:32]

    def options(self) -> dict[str, Any]:
        return {"url": self.url, "bucket": self.bucket, "access_key": "id", "secret": "invented"}

    def put(self, name: str, body: bytes = b"x", at_s: float = 0) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"in/{name}", Body=body)

    def get(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read())

    def names(self, folder: str = "in") -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{folder}/").get("Contents", [])
        names = [one["Key"].removeprefix(f"{folder}/") for one in found]
        return sorted(name for name in names if name.split("/")[0] not in ("done", "failed"))

    async def close(self) -> None:
        await super().close()
        self.client.close()
