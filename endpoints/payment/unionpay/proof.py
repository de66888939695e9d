"""Whether an answer or a notice is UnionPay's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from endpoints.payment.unionpay.form import keyed_holds, verified
from endpoints.payment.unionpay.options import UnionPayAccount
from endpoints.payment.unionpay.trust import Trust


class Proof:
    """Raises ValueError where a certificate of `account` cannot be read."""

    def __init__(self, account: UnionPayAccount, now_ms: Callable[[], int]) -> None:
        self._account = account
        self._now_ms = now_ms
        self._trust = Trust(account.trusted, account.signer) if account.sign_method == "01" else None

    def holds(self, fields: Mapping[str, str]) -> bool:
        """By the contract's way of signing and no other, and to this merchant."""
        account = self._account
        if fields.get("signMethod") != account.sign_method or fields.get("merId", "") != account.mer_id:
            return False
        if self._trust is None:
            assert account.sign_method != "01", "that has its certificates"
            return keyed_holds(account.sign_method, account.secure_key, fields)
        key = self._trust.key_of(fields.get("signPubKeyCert", ""), self._now_ms())
        return key is not None and verified(key, fields)
