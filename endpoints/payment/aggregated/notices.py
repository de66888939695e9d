"""The door of an aggregator's notices (异步通知): signed as its answers, with the fields of its profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from pydantic import Field

from config.errors import BadMessage, Problem
from config.secrets import Secret
from endpoints.base import Ground, Options
from endpoints.payment.aggregated.options import Keys
from endpoints.payment.aggregated.words import fen_of, heard_of
from endpoints.payment.notices import NoticeDoor, NoticeOptions, Said, Unproved, notice
from endpoints.payment.times import ms_of
from schemas.json import Json

_JSON = Json()
_KINDS: Mapping[str, str] = {"PAID": "paid", "CLOSED": "closed", "REVERSED": "closed", "FAILED": "closed"}
_REFUNDS: Mapping[str, str] = {
    "SUCCESS": "refunded", "CLOSED": "refund_closed", "ABNORMAL": "refund_abnormal",
}  # fmt: skip


class AggregatedNoticeOptions(Keys, NoticeOptions):
    """`from: {system: joint, path: /notices/joint, callers: anybody}`."""

    of_system: ClassVar[frozenset[str] | None] = frozenset(
        ("name", "profile", "merchant", "sign_key", "private_key", "public_key")
    )

    profile: str = Field(description="as the system's")
    merchant: str = Field("", description="商户号: a notice of another's is refused")
    merchant_field: str = Field("mchId", description="where a notice names it")
    sign_key: Secret = Field(Secret(""), description="of MD5 and HMAC")
    private_key: Secret = Field(Secret(""), description="of RSA and SM2")
    public_key: str = Field("", description="of RSA and SM2: the aggregator's")

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        return self.looked_at(site, problems)


class AggregatedNotices(NoticeDoor):
    Options: ClassVar[type[Options]] = AggregatedNoticeOptions

    def __init__(self, options: AggregatedNoticeOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self._profile = options.known_profile(Path(ground.base_dir))
        self._signer = options.signer(self._profile)

    def understood(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        tree, profile = self._tree(body), self._profile
        if not self._signer.holds(tree):
            raise Unproved("JL-P342", "the signature does not hold 通知验签失败")
        ours, theirs = self.options.merchant, str(tree.get(self.options.merchant_field) or "")
        if ours and theirs != ours:
            raise Unproved("JL-P342", "another merchant's notice 通知商户号不符")
        heard = heard_of(tree, profile)
        of_refund = bool(heard.get("refund"))
        word = (
            profile.refund_state(heard.get("refund_state"))
            if of_refund
            else profile.state(heard.get("state"))
        )
        kind = (_REFUNDS if of_refund else _KINDS).get(word)
        if kind is None:
            return None  # it is under way: what it comes to is told again
        fen = fen_of(heard.fields.get("refund_amount" if of_refund else "amount", 0), profile)
        if fen < 0 or (kind in ("paid", "refunded") and not fen):
            raise Unproved("JL-P342", "an amount that is none 通知金额无效")
        number, refund = heard.get("number"), heard.get("refund")
        id = str(tree.get(profile.notice.id) or "") if profile.notice.id else ""
        return notice(
            id or f"{number} {refund} {word}",
            kind,
            number,
            0 if kind == "closed" else fen,
            refund=refund,
            state=heard.get("refund_state" if of_refund else "state"),
            channel_no=heard.get("refund_no" if of_refund else "channel_no"),
            at_ms=ms_of(heard.get("paid_at"), profile.time),
            merchant=theirs,
            trade_no=heard.get("trade_no"),
        )

    def yes(self) -> Said:
        return Said(200, self._profile.notice.yes.encode(), "text/plain; charset=utf-8")

    def _tree(self, body: bytes) -> dict[str, Any]:
        try:
            if self._profile.notice.form == "form":
                return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))
            tree = _JSON.decode(body)
        except (BadMessage, UnicodeDecodeError):
            tree = None
        if not isinstance(tree, dict):
            raise Unproved("JL-P342", "no notice that can be read 通知无法识别")
        return tree
