"""What all destinations have in common that send by HTTP: options, the client, and what an answer's status means."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from config.errors import Refused, Unreachable
from config.tls import ClientTls, client_context
from config.units import Seconds, Size
from endpoints.base import Ground, Options, pieces_of
from schemas.message import Blob

if TYPE_CHECKING:
    from endpoints.rest.client import Client

_BUSY = {408, 425, 429, 503}  # it did not take the request
_GATEWAY = {502, 504}  # nobody knows what happened behind it
_MAX_WAIT_S = 86_400.0


# Of the body of a success, piece by piece: whether it was taken, and need not be held.
Take = Callable[[bytes], Awaitable[bool]]


class Answer(NamedTuple):
    """Header names are in small letters."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Auth(BaseModel):
    """`{bearer: secret://token}` or `{user: ..., password: secret://...}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bearer: str = Field("", repr=False)
    user: str = ""
    password: str = Field("", repr=False)


class SendOptions(Options):
    """What every destination that sends by HTTP may be told."""

    headers: Mapping[str, str] = Field({}, description="sent with each message")
    auth: Auth | None = None
    tls: ClientTls = Field(ClientTls(), description="of an https url: whom we trust, and what we show")
    timeout: Seconds = Field(
        30.0,
        description="from the request to the end of its answer; of a large one, for each piece, and from the last",
    )
    connect_within: Seconds = 10.0
    connections: int = Field(16, ge=1, description="at once; further messages wait for one")
    max_answer: Size = Field(10_000_000, description="of an answer; a larger one is an error")


class Sending:
    """The way to one server. Its connections are made when there is something to send."""

    def __init__(self, options: SendOptions, ground: Ground, *, afresh: bool = False) -> None:
        """`afresh`: each request on a connection of its own. Of one that was kept, and found closed, nobody knows
        whether the other side had read it."""
        self._options = options
        self._ground = ground
        self._afresh = afresh
        self._client: Client | None = None

    async def prepare(self) -> None:
        """What makes connections is here before the first message."""
        import endpoints.rest.client  # noqa: F401

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        blob: Blob | None = None,
        take: Take | None = None,
    ) -> Answer:
        """One request with `body` or `blob`, and its answer whatever its status. Each piece that `take` is given has
        its own time.

        Raises Unreachable (JL-E220, E221, E222, E227), and Refused for too large an answer (JL-E225).
        """
        client = self._client = self._client or self._opened(url)
        content: bytes | AsyncIterator[bytes] | None = body or None
        try:
            async with asyncio.timeout(self._options.timeout + self._options.connect_within) as within:
                if blob is not None:
                    headers = {**headers, "content-length": str(blob.size)}
                    content = self._pieces(blob, within)
                if take is not None:
                    take = self._timed(take, within)
                return await client.send(method, url, headers, content, take)
        except TimeoutError:
            text = f"no answer within {self._options.timeout:g} s"
            raise Unreachable("JL-E221", text, maybe_done=True) from None

    def no(
        self, status: int, reason: str, headers: Mapping[str, str], answer: bytes
    ) -> Refused | Unreachable:
        """What an answer means whose status is no success. Header names are in small letters."""
        text = f"status {status} {reason}".strip()
        if status in _BUSY | _GATEWAY:
            after_s = self._retry_after(headers.get("retry-after", ""))
            return Unreachable("JL-E223", text, maybe_done=status in _GATEWAY, after_s=after_s)
        return Refused("JL-E224", text, retry=status >= 500, answer=answer)

    def too_large(self, status: int) -> Refused:
        return Refused("JL-E225", f"status {status}, an answer over {self._options.max_answer} bytes")

    def _opened(self, url: str) -> Client:
        from endpoints.rest.client import Client

        options = self._options
        return Client(
            self._fixed_headers(),
            self._tls() if url.startswith("https:") else None,
            timeout=options.timeout,
            connect_within=options.connect_within,
            connections=options.connections,
            max_answer=options.max_answer,
            too_large=self.too_large,
            afresh=self._afresh,
        )

    def _timed(self, take: Take, within: asyncio.Timeout) -> Take:
        async def taking(piece: bytes) -> bool:
            taken = await take(piece)
            if taken:
                within.reschedule(asyncio.get_running_loop().time() + self._options.timeout)
            return taken

        return taking

    async def _pieces(self, blob: Blob, within: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Each piece has its own time."""
        loop = asyncio.get_running_loop()
        async for piece in pieces_of(blob):
            within.reschedule(loop.time() + self._options.timeout)
            yield piece
        within.reschedule(loop.time() + self._options.timeout)

    def _fixed_headers(self) -> dict[str, str]:
        made = {"accept-encoding": "identity"}  # what is not packed cannot burst when unpacked
        auth = self._options.auth
        if auth and auth.bearer:
            made["authorization"] = f"Bearer {auth.bearer}"
        elif auth and auth.user:  # RFC 7617
            made["authorization"] = f"Basic {b64encode(f'{auth.user}:{auth.password}'.encode()).decode()}"
        return made | dict(self._options.headers)

    def _tls(self) -> ssl.SSLContext:
        try:
            return client_context(self._options.tls, self._ground.base_dir)
        except OSError as error:
            raise Unreachable("JL-E227", f"TLS: {error.strerror}") from None

    def _retry_after(self, header: str) -> float | None:
        """Seconds or a date, as seconds from now; None where the receiver has no wish we can read."""
        try:
            wait_s = float(header) if header.isdigit() else self._until(header)
        except ValueError:
            return None
        return min(max(wait_s, 0.0), _MAX_WAIT_S)

    def _until(self, date: str) -> float:
        return parsedate_to_datetime(date).timestamp() - self._ground.now()
