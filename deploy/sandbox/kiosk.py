"""The kiosks of the outpatient hall: patients report there, and each check-in is signed (SM2).

What has no good answer is sent again, under the same Idempotency-Key and with a signature of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from deploy.sandbox.books import SentBook
from deploy.sandbox.http import ask
from deploy.sandbox.signing import KeyPair, authorization

PATH = "/v1/checkins"
_TRIES = 20
_WAIT_S = 0.2


class Kiosks:
    """`sent` is their book. `key` is the pair whose public half the site knows."""

    def __init__(self) -> None:
        self.key = KeyPair.new()
        self.sent = SentBook()

    async def report(
        self, checkins: Sequence[tuple[str, str]], port: int, tell: Callable[[], object]
    ) -> None:
        """(number, patient) pairs, one after the other."""
        for number, patient in checkins:
            body = json.dumps({"number": number, "patient": patient, "at": "20260105080000"}).encode()
            self.sent.answers[number] = ""
            for attempt in range(_TRIES):
                try:
                    status, _ = await ask(port, "POST", PATH, self._headers(number, body), body)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    status = 0
                self.sent.answers[number] = str(status or "")
                self.sent.repeated += attempt > 0
                if 0 < status < 500:
                    break
                await asyncio.sleep(_WAIT_S)
            tell()

    def _headers(self, number: str, body: bytes) -> dict[str, str]:
        return {
            "Authorization": authorization("kiosk", self.key, "POST", PATH, body),
            "Content-Type": "application/json",
            "Idempotency-Key": number,
        }
