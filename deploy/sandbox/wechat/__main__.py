"""`python -m deploy.sandbox.wechat --port 9203 --pays-after 3 --misbehave 'codepay=mute*1'`."""

from __future__ import annotations

import sys
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.sandbox.paying_command import asked, merchant_key, run
from deploy.sandbox.wechat.party import WechatSandbox

MERCHANT, APP = "1900000001", "wx0000000000000001"
API_KEY = "0123456789abcdef0123456789ABCDEF"


def main(said: list[str] | None = None) -> int:
    given = asked("wechat", 9203, said)
    form = PublicFormat.SubjectPublicKeyInfo
    key = merchant_key(given.keys).public_key().public_bytes(Encoding.PEM, form).decode()
    door = WechatSandbox(MERCHANT, APP, key, API_KEY, port=given.port, seed=given.seed, tells=True)

    def pay(after_s: float) -> None:
        until = door.now() - timedelta(seconds=after_s)
        for one in list(door.books.orders.values()):
            if one.state in ("NOTPAY", "USERPAYING") and one.made <= until:
                door.pays(one.number)

    told = f"微信支付 WeChat Pay, mchid {MERCHANT}, appid {APP}, {door.serial}, APIv3 key {API_KEY}, at"
    return run(door, given, {f"{door.serial}.pem": door.keys[door.serial]}, told, pay)


if __name__ == "__main__":
    sys.exit(main())
