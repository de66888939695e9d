"""One request to a centre and what was heard of it: an HTTP answer, or silence and whether anything had left."""

from __future__ import annotations

import secrets

import structlog

from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.insurance.files import Take
from endpoints.insurance.options import PartyOptions
from endpoints.insurance.outcomes import Heard, Silence
from endpoints.insurance.transports.base import Call, opened
from endpoints.rest.sending import Sending
from schemas.nhsa.model import Transaction

log = structlog.get_logger()


class _Zip:
    """Passes on what begins as a zip does. `head` is its beginning, '' of anything else."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.head = b""
        self._other = False

    async def __call__(self, piece: bytes) -> bool:
        if not self.head and not self._other:
            self._other = not piece.startswith(b"PK")
            self.head = b"" if self._other else piece[:4]
        if not self._other:
            await self._take(piece)
        return not self._other


class Wire:
    """A connection for each request: on one that is kept, nobody knows whether a request that found it closed had
    been read, and for a settlement that would be an UNKNOWN for nothing.
    """

    def __init__(self, options: PartyOptions, ground: Ground) -> None:
        self._transport = opened(options.transport, options.url)
        self._way = Sending(options, ground, afresh=True)
        self._now = ground.now
        charset = "GBK" if options.charset == "GBK" else "utf-8"
        self._headers = {"content-type": f"application/json; charset={charset}", "connection": "close"}

    async def prepare(self) -> None:
        await self._way.prepare()

    async def close(self) -> None:
        await self._way.close()

    def check(self, transaction: Transaction) -> None:
        """Raises Refused (JL-N390) where the transaction has no address here."""
        self._call(transaction, b"")

    async def ask(self, transaction: Transaction, body: bytes, take: Take | None = None) -> Heard | Silence:
        """`take` is given the pieces of a zip; then the first of its bytes are the body.

        Never raises but CancelledError: what leaves has been written down, and so must be what became of it.
        """
        left = False
        try:
            call = self._call(transaction, body)
            left = True
            zip = _Zip(take) if take is not None else None
            headers = {**self._headers, **call.headers}
            heard = await self._way.ask("POST", call.url, headers, body, take=zip)
        except Unreachable as error:
            return Silence(error.maybe_done, error.code, error.text)
        except Refused as error:  # an answer that is too large; or a request that could not be made
            return Silence(left, error.code, error.text)
        except Exception as error:
            log.exception("insurance.bug", infno=transaction.name)
            return Silence(left, "JL-N013", f"internal error: {type(error).__name__}")
        return Heard(heard.status, heard.headers, zip.head if zip and zip.head else heard.body)

    def _call(self, transaction: Transaction, body: bytes) -> Call:
        nonce = secrets.token_hex(16)
        return self._transport.request(transaction.code, transaction.path, body, self._now(), nonce)
