"""`python -m deploy.sandbox.alipay --port 9201 --pays-after 3 --misbehave 'alipay.trade.pay=mute*1'`."""

from __future__ import annotations

import sys
from datetime import timedelta

from deploy.sandbox.alipay.party import AlipaySandbox
from deploy.sandbox.paying_command import asked, merchant_key, run

APP_ID = "2021000000000001"


def main(said: list[str] | None = None) -> int:
    given = asked("alipay", 9201, said)
    key = merchant_key(given.keys)
    door = AlipaySandbox(APP_ID, key.public_key(), port=given.port, seed=given.seed, tells=True)

    def pay(after_s: float) -> None:
        until = door.now() - timedelta(seconds=after_s)
        for one in list(door.books.trades.values()):
            if one.paid is None and one.state in ("", "WAIT_BUYER_PAY") and one.made <= until < one.ends:
                door.pays(one.out_trade_no)

    told = f"支付宝 Alipay, app_id {APP_ID}, seller_id {door.seller}, url /gateway.do at"
    return run(door, given, {"alipay-public-key.pem": door.public_pem}, told, pay)


if __name__ == "__main__":
    sys.exit(main())
