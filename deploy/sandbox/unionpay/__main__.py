"""`python -m deploy.sandbox.unionpay --port 9202 --pays-after 3 --misbehave 'purchase=cut*1'`."""

from __future__ import annotations

import sys
from datetime import timedelta

from deploy.sandbox.paying_command import asked, merchant_key, run
from deploy.sandbox.unionpay.keys import certificate
from deploy.sandbox.unionpay.party import UnionPaySandbox

MERCHANT = "777290000000001"


def main(said: list[str] | None = None) -> int:
    given = asked("unionpay", 9202, said)
    key = merchant_key(given.keys)
    mine = certificate(f"merchant {MERCHANT}", key.public_key(), "Example CA", key, 68759585097)
    door = UnionPaySandbox(MERCHANT, mine, port=given.port, seed=given.seed, tells=True)

    def pay(after_s: float) -> None:
        until = door.now() - timedelta(seconds=after_s)
        for one in list(door.books.trades.values()):
            over = one.ends is not None and door.now() >= one.ends
            if one.end in ("", "05") and one.at <= until and not over:
                door.pays(one.order_id)

    told = f"银联 UnionPay, mer_id {MERCHANT}, url /gateway/api, file_url /files at"
    return run(door, given, {"merchant.pem": mine, "trusted.pem": door.trusted}, told, pay)


if __name__ == "__main__":
    sys.exit(main())
