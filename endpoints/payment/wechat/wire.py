"""Signed requests to WeChat Pay, and answers whose signature is good: what cannot be proved to be one is none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground
from endpoints.payment.wechat.options import WechatOptions
from endpoints.payment.wechat.signing import Signing, Unsigned
from endpoints.rest.sending import Answer, Sending
from schemas.json import Json
from schemas.message import NOTHING

log = structlog.get_logger()
_JSON = Json()


class Heard(NamedTuple):
    """An answer whose signature is good. `status` 0: none that can be believed, it may have been done."""

    status: int
    tree: Mapping[str, Any] = NOTHING

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return 400 <= self.status < 500 and self.status not in (408, 425, 429)

    @property
    def code(self) -> str:
        return str(self.tree.get("code") or ("" if self.done else f"http-{self.status}"))

    @property
    def text(self) -> str:
        return str(self.tree.get("message") or "")[:200]


class WechatWire:
    def __init__(self, options: WechatOptions, ground: Ground) -> None:
        self._options = options
        self._now = ground.now
        self._sending = Sending(options, ground, afresh=True)
        self.signing = Signing(
            options.crypto,
            options.api_key,
            options.wechat_keys,
            options.clock,
            options.merchant,
            options.serial,
            options.private_key,
        )

    async def prepare(self) -> None:
        await self._sending.prepare()

    async def close(self) -> None:
        await self._sending.close()

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, serial: str = ""
    ) -> Heard:
        """`path` with its query, and nothing in it that a URL would change. `serial` is of the key that a field of the
        body was sealed for. Raises Unreachable where it never left."""
        content = _JSON.encode(dict(body)) if body is not None else b""
        more = {"wechatpay-serial": serial} if serial else {}
        try:
            answer = await self._sent(method, path, content, more)
        except Unreachable as error:
            if not error.maybe_done:
                raise
            return Heard(0, {"code": error.code, "message": error.text})
        except Refused as error:  # an answer that is too large
            return Heard(0, {"code": error.code, "message": error.text})
        return self._heard(path, answer)

    def _heard(self, path: str, answer: Answer) -> Heard:
        try:
            self.signing.verify(answer.headers, answer.body, self._now())
            tree = _JSON.decode(answer.body) if answer.body else {}
        except (Unsigned, BadMessage) as error:
            log.warning(
                "wechat.no_answer", path=path.partition("?")[0], status=answer.status, code=error.code
            )
            return Heard(0, {"code": error.code, "message": f"status {answer.status}: {error.text}"})
        if not isinstance(tree, dict):
            return Heard(0, {"code": "JL-P104", "message": "an answer that is no object 应答格式错误"})
        return Heard(answer.status, tree)

    async def download(self, path: str) -> bytes | None:
        """What a bill's address gives: it is signed for, and its hash proves it. None where there was no 200."""
        answer = await self._sent("GET", path, b"", {})
        return answer.body if answer.status == 200 else None

    async def _sent(self, method: str, path: str, content: bytes, more: Mapping[str, str]) -> Answer:
        """By the reserve host where nothing left by the first."""
        from yarl import URL

        for base in (self._options.url, self._options.reserve):
            nonce = secrets.token_hex(16)
            url = URL(base + path)  # as the client writes it: that is what is signed
            signed = self.signing.authorization(method, url.raw_path_qs, content, self._now(), nonce)
            headers = {
                "authorization": signed,
                "accept": "application/json",
                "user-agent": "jingluo",
                "connection": "close",
                **({"content-type": "application/json"} if content else {}),
                **more,
            }
            try:
                return await self._sending.ask(method, str(url), headers, content)
            except Unreachable as error:
                if error.maybe_done or base == self._options.reserve or not self._options.reserve:
                    raise
                log.warning("wechat.reserve_host", code=error.code)
        raise AssertionError
