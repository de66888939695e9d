"""A folder in S3, or in what speaks as S3 does: the keys that begin with a prefix. By boto3, in threads.

Imported where a channel first has such a folder: boto3 is an extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import errno
import functools
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    SSLError,
)

from endpoints.files.folder import MOST_NAMES, PIECE, Away, Choose, Entry, Folder
from endpoints.files.servers import S3Server

T = TypeVar("T")
_PART = 8_000_000  # bytes: a body over it goes in parts of this size, of which there can be 10,000
_CLAIM = ".taken."
_DONE = {"Key": "jingluo", "Value": "done"}
_WHO = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed")
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")
_MISSING = ("NoSuchKey", "404")
_NOT_ASKED = (ConnectTimeoutError, EndpointConnectionError)
_MAKING = threading.Lock()  # clients may be used in all threads, and made in one at a time


class S3Folder(Folder):
    """Nothing can be renamed here. A claim is an object beside the file, which only one can make (If-None-Match)."""

    def __init__(self, server: S3Server, site: Path, reclaim_s: float = 300.0, tags: bool = False) -> None:
        """With `tags`, what is tagged as done is left where it is, and not looked at again."""
        self.place = f"s3 {server.bucket}/{server.folder}".rstrip("/")
        self._server = server
        self._site = site
        self._reclaim_s = reclaim_s
        self._tags = tags
        self._made: Any = None
        self._claimed: set[str] = set()  # by us
        self._stale: dict[str, str] = {}  # claims that are over: of which file, ETag
        self._tagged: set[tuple[str, str]] = set()  # name and ETag of what is done

    async def look(self, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        return await self._do(lambda client: self._look(client, sub, choose))

    def _look(self, client: Any, sub: str, choose: Choose) -> tuple[list[Entry], list[str]]:
        above = f"{sub}/" if sub else ""
        files: dict[str, Entry] = {}
        claims: dict[str, tuple[str, float]] = {}
        folders: list[str] = []
        for page, now_s in self._pages(client, self._key(above)):
            folders += [one["Prefix"][len(page["Prefix"]) : -1] for one in page.get("CommonPrefixes", ())]
            for one in page.get("Contents", ()):
                name = one["Key"][len(page["Prefix"]) :]
                tag, changed_s = one.get("ETag", "").strip('"'), one["LastModified"].timestamp()
                if name.startswith(_CLAIM):
                    claims[name.removeprefix(_CLAIM)] = (tag, now_s - changed_s)
                elif name:  # else it stands for the folder itself
                    files[name] = Entry(above + name, one["Size"], round(changed_s * 1000) * 1_000_000, tag)
        self._respect(client, above, files, claims)
        chosen = [files[name] for name in choose(self._undone(files))]
        return [seen for seen in chosen if not self._is_done(client, seen)], folders

    def _pages(self, client: Any, prefix: str) -> Iterator[tuple[dict[str, Any], float]]:
        """Each with the server's own time, Unix seconds: claims are judged by it, and not by ours."""
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self._server.bucket, Prefix=prefix, Delimiter="/"
        )
        for number, page in enumerate(pages):
            if number == MOST_NAMES // 1000:
                if self._tags:  # what is done stays before what is new, which would never be seen
                    raise Away(
                        "JL-E320", f"more than {MOST_NAMES} objects in one folder, which tags leave there"
                    )
                return
            date = page["ResponseMetadata"]["HTTPHeaders"].get("date", "")
            now_s = email.utils.parsedate_to_datetime(date).timestamp() if date else 0.0
            yield page, now_s

    def _respect(
        self, client: Any, above: str, files: dict[str, Entry], claims: dict[str, tuple[str, float]]
    ) -> None:
        """Takes out what another engine has claimed; claims of which nothing came are remembered, or removed."""
        for name, (tag, age_s) in claims.items():
            if above + name in self._claimed:
                continue
            self._stale.pop(above + name, None)
            if age_s < self._reclaim_s:
                files.pop(name, None)
            elif name in files:
                self._stale[above + name] = tag
            else:
                client.delete_object(Bucket=self._server.bucket, Key=self._claim_key(above + name))

    def _undone(self, files: dict[str, Entry]) -> Iterable[str]:
        return [name for name, seen in files.items() if (seen.name, seen.tag) not in self._tagged]

    def _is_done(self, client: Any, seen: Entry) -> bool:
        """Asked once of each object: its tags cannot be listed."""
        if not self._tags or seen.name in self._claimed:
            return False
        tags = client.get_object_tagging(Bucket=self._server.bucket, Key=self._key(seen.name))["TagSet"]
        if _DONE in tags:
            self._tagged.add((seen.name, seen.tag))
        return _DONE in tags

    async def claim(self, entry: Entry, owner: str) -> Entry:
        if entry.name in self._claimed:
            return entry
        stale = self._stale.pop(entry.name, "")
        only = {"IfMatch": f'"{stale}"'} if stale else {"IfNoneMatch": "*"}

        def work(client: Any) -> None:
            key = self._claim_key(entry.name)
            client.put_object(Bucket=self._server.bucket, Key=key, Body=owner.encode(), **only)

        try:
            await self._do(work)
        except FileExistsError:
            raise FileNotFoundError(errno.ENOENT, "another engine has it") from None
        self._claimed.add(entry.name)
        if not await self.has(entry.name):  # it was put away while we looked, and its claim with it
            await self.release(entry)
            raise FileNotFoundError(errno.ENOENT, "another engine had it")
        return entry

    async def release(self, entry: Entry) -> None:
        if entry.name in self._claimed:
            await self._remove(self._claim_key(entry.name))
            self._claimed.discard(entry.name)

    async def mark(self, entry: Entry) -> None:
        """Tags it as done, where it is."""

        def work(client: Any) -> None:
            where = {"Bucket": self._server.bucket, "Key": self._key(entry.name)}
            tags = client.get_object_tagging(**where)["TagSet"]
            kept = [tag for tag in tags if tag["Key"] != _DONE["Key"]]
            client.put_object_tagging(**where, Tagging={"TagSet": [*kept, _DONE]})

        await self._do(work)
        self._tagged.add((entry.name, entry.tag))
        await self.release(entry)

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        same = {"IfMatch": f'"{entry.tag}"'} if entry.tag else {}
        key = self._key(entry.name)
        found = await self._do(lambda client: client.get_object(Bucket=self._server.bucket, Key=key, **same))
        body = found["Body"]
        try:
            while piece := await self._do(lambda client: body.read(PIECE)):
                yield piece
            if not found["ContentLength"]:
                yield b""
        finally:
            body.close()

    async def write(self, name: str, body: Iterable[bytes], aside: str, over: bool) -> None:
        only = {} if over else {"IfNoneMatch": "*"}
        where = {"Bucket": self._server.bucket, "Key": self._key(name)}

        def work(client: Any) -> None:
            parts = _parts(body)
            first, second = next(parts, b""), next(parts, b"")
            if second:
                _write_parts(
                    client, where, (part for some in ((first, second), parts) for part in some), only
                )
            else:
                client.put_object(**where, Body=first, **only)

        await self._do(work, maybe_done=True)

    async def has(self, name: str) -> bool:
        where = {"Bucket": self._server.bucket, "Key": self._key(name)}
        try:
            await self._do(lambda client: client.head_object(**where))
        except FileNotFoundError:
            return False
        return True

    async def move(self, name: str, to: str) -> None:
        """A copy, then the old one goes: a crash between them leaves both, and the old one is known again."""
        if await self.has(to):
            raise FileExistsError(errno.EEXIST, "there is one already")
        source = {"Bucket": self._server.bucket, "Key": self._key(name)}
        here = TransferConfig(use_threads=False)
        await self._do(
            lambda client: client.copy(source, self._server.bucket, self._key(to), Config=here),
            maybe_done=True,
        )
        await self.remove(name)

    async def remove(self, name: str) -> None:
        await self._remove(self._key(name))
        await self.release(Entry(name, 0, 0))

    async def _remove(self, key: str) -> None:
        await self._do(lambda client: client.delete_object(Bucket=self._server.bucket, Key=key))

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await asyncio.to_thread(made.close)

    def _key(self, name: str) -> str:
        folder = self._server.folder
        return f"{folder}/{name}" if folder else name

    def _claim_key(self, name: str) -> str:
        above, slash, last = self._key(name).rpartition("/")
        return f"{above}{slash}{_CLAIM}{last}"

    async def _do(self, work: Callable[[Any], T], maybe_done: bool = False) -> T:
        def asked() -> T:
            with _said(maybe_done):
                self._made = self._made or _client(self._server, self._site)
                return work(self._made)

        return await asyncio.to_thread(asked)


def _parts(body: Iterable[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for piece in body:
        part += piece
        if len(part) >= _PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _write_parts(client: Any, where: dict[str, str], parts: Iterator[bytes], only: dict[str, str]) -> None:
    """Nobody sees it before it is complete; what fails is given up, and nothing of it is kept and paid for."""
    upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
    try:
        done = []
        for number, part in enumerate(parts, 1):
            tag = client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]
            done.append({"PartNumber": number, "ETag": tag})
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done}, **only)
    except BaseException:
        with contextlib.suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**upload)
        raise


@functools.cache
def _session() -> Any:
    """Holds botocore's own description of S3, which takes a fifth of a second to read."""
    own = botocore.session.Session()
    for name in ("config_file", "credentials_file"):
        own.set_config_variable(name, os.devnull)
    return boto3.session.Session(botocore_session=own)


def _client(server: S3Server, site: Path) -> Any:
    """By what the channel says, and nothing of `~/.aws` or a proxy of the environment."""
    config = Config(
        connect_timeout=server.connect_within,
        read_timeout=server.timeout,
        # Not again by itself: what was written and not answered is "there already" then, and refused.
        retries={"total_max_attempts": 1, "mode": "standard"},
        signature_version="s3v4",
        s3={"addressing_style": server.style},
        proxies={},
        # Servers that are not Amazon's do not know the newer sums; content is proved by the ETag and by TLS.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    verify = str(site / server.ca) if server.ca else True
    with _MAKING:
        return _session().client(
            "s3",
            region_name=server.region,
            endpoint_url=server.url,
            verify=verify,
            aws_access_key_id=str(server.access_key),
            aws_secret_access_key=str(server.secret),
            config=config,
        )


@contextmanager
def _said(maybe_done: bool) -> Iterator[None]:
    """What boto3 raises, as OSError; in its texts stand keys."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise _of_code(
            code, error.response["ResponseMetadata"].get("HTTPStatusCode", 0), maybe_done
        ) from None
    except SSLError as error:
        why = re.search(r"certificate verify failed: ([\w -]+)", str(error))
        raise Away("JL-E321", f"TLS: {why[1].strip() if why else 'no connection that is safe'}") from None
    except (BotoCoreError, OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
            raise
        text = f"no answer ({type(error).__name__})"
        raise Away("JL-E320", text, maybe_done and not isinstance(error, _NOT_ASKED)) from None


def _of_code(code: str, status: int, maybe_done: bool) -> OSError:
    if code in _MISSING:
        return FileNotFoundError(errno.ENOENT, "no such object")
    if code in _EXISTS or status == 412:
        return FileExistsError(errno.EEXIST, "it is there, or another one by now")
    if code == "NoSuchBucket":
        return Away("JL-E320", "there is no such bucket")
    if code in _WHO:
        return Away("JL-E322", f"the key is not let in ({code})")
    if status >= 500 or status == 429:
        return Away("JL-E320", f"the server is in trouble ({code or status})", maybe_done)
    if status == 403:
        return PermissionError(errno.EACCES, f"the server does not allow it ({code or status})")
    return OSError(0, f"the server refuses ({code or status})")
