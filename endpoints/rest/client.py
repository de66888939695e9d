"""The HTTP client: aiohttp, which does nothing of its own accord here: no redirects, no cookies, no proxy of the
environment, nothing unpacked that was not asked for.

A request costs it 0.12 ms of CPU, where httpx2 needs 0.65: on one core that is the difference between 600 deliveries
a second and 2,000. Importing it takes longer, so only who sends by HTTP does.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp

from config.errors import Unreachable
from config.tls import refusal
from endpoints.rest.sending import Answer, Take

_AT_ONCE = 1_000_000  # bytes of a body that are handed over in one piece

Body = bytes | AsyncIterator[bytes] | None


class Client:
    """Connections to one server. Times in seconds; `timeout` is for each wait for a piece of an answer."""

    def __init__(
        self,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None,
        *,
        timeout: float,
        connect_within: float,
        connections: int,
        max_answer: int,
        too_large: Callable[[int], Exception],
        afresh: bool = False,
    ) -> None:
        """An answer over `max_answer` bytes ends in `too_large(status)`."""
        self._max_answer = max_answer
        self._too_large = too_large
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(
                limit=connections, ssl=True if tls is None else tls, force_close=afresh
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_within, sock_read=timeout),
        )

    async def close(self) -> None:
        await self._session.close()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, take: Take | None = None
    ) -> Answer:
        """One request and its answer. What `take` takes of a success's body is not in the answer, nor in its limit.

        Raises Unreachable (JL-E220, E222, E227), what is said of too large an answer, what `take` raises, and
        TimeoutError.
        """
        if isinstance(body, bytes) and len(body) > _AT_ONCE:
            headers, body = {**headers, "content-length": str(len(body))}, _pieces(body)
        wrong: list[Exception] = []  # with the body, not with the server
        if body is not None and not isinstance(body, bytes):
            body = _watched(body, wrong)
        try:
            asked = self._session.request(method, url, headers=headers, data=body, allow_redirects=False)
            async with asked as response:
                good = 200 <= response.status < 300
                read = await self._read(response, take if good else None)
                known = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, response.reason or "", known, read)
        except aiohttp.ClientError as error:
            if wrong:
                raise wrong[0] from None
            raise self._trouble(error) from None
        except ValueError:  # a header that cannot be one
            raise Unreachable("JL-E222", "the request cannot be made") from None

    @staticmethod
    def _trouble(error: aiohttp.ClientError) -> Exception:
        """What is said of it. A TimeoutError stays one."""
        if isinstance(error, aiohttp.ClientSSLError):
            return Unreachable("JL-E227", f"TLS: {_tls_refusal(error)}")
        if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
            return Unreachable("JL-E220", f"no connection: {_why(error)}")
        if isinstance(error, TimeoutError):
            return error
        if isinstance(tls := error.__cause__ or error.__context__, ssl.SSLError):
            # After the handshake: a certificate of ours that is not taken, but also an answer that was cut.
            return Unreachable("JL-E227", f"TLS: {refusal(tls)}", maybe_done=True)
        return Unreachable("JL-E222", f"the exchange broke off: {type(error).__name__}", maybe_done=True)

    async def _read(self, response: aiohttp.ClientResponse, take: Take | None) -> bytes:
        parts, size = [], 0
        async for part in response.content.iter_any():
            if take is not None and await take(part):
                continue
            size += len(part)
            if size > self._max_answer:
                response.close()
                raise self._too_large(response.status)
            parts.append(part)
        return b"".join(parts)


async def _watched(body: AsyncIterator[bytes], wrong: list[Exception]) -> AsyncIterator[bytes]:
    try:
        async for piece in body:
            yield piece
    except Exception as error:
        wrong.append(error)
        raise


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), _AT_ONCE):
        yield body[at : at + _AT_ONCE]


def _why(error: Exception) -> str:
    """Without the address, which the site's files have."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _tls_refusal(error: aiohttp.ClientSSLError) -> str:
    """aiohttp's error holds what the handshake said, under two names."""
    return refusal(getattr(error, "certificate_error", None) or error.os_error)
