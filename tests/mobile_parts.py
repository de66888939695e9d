"""A payment centre of the tests' own: orders by their state, sealed and signed by code that is not the engine's."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from hashlib import new
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from config.sm2_curve import SIGNER, A, B
from config.sm2_curve import G as BASE
from deploy.sandbox.centre import wire
from deploy.sandbox.centre.misbehaviour import WELL, Act
from deploy.sandbox.party import Party
from deploy.sandbox.signing import G, KeyPair, N, _bytes, _times

APP, SECRET = "TESTAPP000000000000000000000001A", "TESTSECRET0000000000000000000001"
Said = dict[str, Any]


def key_pair(private: int) -> KeyPair:
    return KeyPair(private, _times(private, G))


OURS, THEIRS = key_pair(N // 3), key_pair(N // 7)


def private_of(pair: KeyPair) -> str:
    return f"{pair.private:064x}"


def verified(pair: KeyPair, data: bytes, signature: bytes) -> bool:
    """By the formulas of GB/T 32918.2, 7.1, with whole numbers."""
    from deploy.sandbox.signing import _sum

    told = _sm3((len(SIGNER) * 8).to_bytes(2, "big") + SIGNER + _bytes(A, B) + BASE + _bytes(*pair.public))
    e = int.from_bytes(_sm3(told + data), "big")
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    t = (r + s) % N
    point = _sum(_times(s, G), _times(t, pair.public))
    return point is not None and (e + point[0]) % N == r


def _sm3(data: bytes) -> bytes:
    return new("sm3", data).digest()


def _key() -> bytes:
    return _ecb(APP[:16].encode(), SECRET.encode(), True).hex().upper()[:16].encode()


def _ecb(key: bytes, data: bytes, encrypt: bool) -> bytes:
    cipher = Cipher(algorithms.SM4(key), modes.ECB())
    if encrypt:
        pad = 16 - len(data) % 16
        return cipher.encryptor().update(data + bytes([pad]) * pad)
    plain = cipher.decryptor().update(data)
    return plain[: -plain[-1]]


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        made = {name: _pruned(inner) for name, inner in sorted(value.items())}
        return {name: inner for name, inner in made.items() if inner not in (None, "", {}, [])}
    return [_pruned(inner) for inner in value] if isinstance(value, list) else value


def told(body: Said) -> bytes:
    parts = []
    for name, value in _pruned(body).items():
        if name not in ("signData", "encData", "extra"):
            plain = (
                value
                if isinstance(value, str)
                else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            )
            parts.append(f"{name}={plain}")
    return "&".join((*parts, f"key={SECRET}")).encode()


def sealed(head: Said, data: Any, pair: KeyPair = THEIRS) -> bytes:
    made = {**head, "encType": "SM4", "signType": "SM2"}
    signature = b64encode(bytes.fromhex(pair.sign(told({**made, "data": data})))).decode()
    if data is not None:
        made["encData"] = _ecb(_key(), json.dumps(data, ensure_ascii=False).encode(), True).hex().upper()
    return json.dumps({**made, "signData": signature}, ensure_ascii=False).encode()


def unsealed(body: bytes, pair: KeyPair = OURS) -> Said:
    """What was sent, once its signature is found good."""
    from base64 import b64decode

    tree: Said = json.loads(body)
    if "encData" in tree:
        tree["data"] = json.loads(_ecb(_key(), bytes.fromhex(tree["encData"]), False))
    assert verified(pair, told(tree), b64decode(tree["signData"])), "our signature is not good"
    return tree


class PaymentCentre(Party):
    """`orders`: payOrdId to its ordStas. `acts` are misbehaviours of the next calls of a path's end."""

    def __init__(self) -> None:
        super().__init__("payment")
        self.orders: dict[str, str] = {}
        self.calls: list[tuple[str, Said]] = []  # path's end, what was sent in plain form
        self.acts: dict[str, list[Act]] = {}
        self.says: dict[str, Callable[[Said], bytes]] = {}  # in place of its own answer
        self.refunds = "SUCC"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Said]:
        return [said for path, said in self.calls if path == name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await wire.read(reader)
            name = asked.path.rpartition("/")[2]
            acts = self.acts.get(name, [])
            act = acts.pop(0) if acts else WELL
            if act.kind == "lose":
                raise ConnectionAbortedError("told to lose it")
            if act.kind == "status":
                await wire.say(writer, b"", status=int(act.code))
                continue
            said = unsealed(asked.body)
            self.calls.append((name, said))
            own = self.says.get(name)
            answer = (
                own(said) if own else sealed({"code": 0, "success": True}, self._done(name, said["data"]))
            )
            await wire.say_as(reader, writer, act, answer)

    def _done(self, name: str, data: Said) -> Any:
        order = data.get("payOrdId", "")
        if name == "uldFeeInfo":
            order = f"ORD{len(self.orders) + 1:04}"
            self.orders[order] = "1"
            return {"payOrdId": order, "payToken": f"TOKEN-{order}"}
        if name == "pay_order":
            self.orders[order] = "6"
            return {"payOrdId": order, "ordStas": "6", "feeSumamt": 36.5, "fundPay": 20.25}
        if name == "refund_Order":
            if self.refunds != "FAIL":
                self.orders[order] = "10"
            return {"refStatus": self.refunds}
        if name == "query_order_info":
            return {"payOrdId": order, "ordStas": self.orders.get(order, "0"), "feeSumamt": 36.5}
        if name == "revoke_order":
            self.orders[order] = "7"
            return None
        return {"rxTraceCode": "RX1", "hiRxno": "HI1"}


def read(answer: bytes) -> Said:
    made: Said = json.loads(answer, parse_float=Decimal)
    return made
