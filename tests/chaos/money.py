"""`make money`: settlements of a whole hospital while its engine is killed, its broker restarted, its lines cut.

    python tests/chaos/money.py [--settlements 500] [--seed 1] [--at-once 24]

Two processes of the engine stand on one RabbitMQ and one PostgreSQL, behind relays that can cut. Insurance centre,
HIS, payment channel and invoice platform keep books of their own, and lose some of what is asked of them. At the end
all books are compared with each other and with the ledger, to the fen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

import children
import httpx2
import psycopg
from ports import quiet_port
from processes import Engine, Process
from proxy import Proxy
from servers import Postgres, Servers

from deploy.sandbox.town import PIPELINE, Town, write_site

# So often each, of all faults.
FAULTS = {
    "kill": 8,
    "kill both": 3,
    "stop": 1,
    "cut": 5,
    "database cut": 3,
    "broker restart": 1,
    "broker killed": 1,
}
_EVERY_S = (2.0, 8.0)  # between two faults
_SHARE = 8  # settlements to a fault
_DONE = ("done", "nothing")


class Worker(Process):
    """A process of the engine, with a door at `port` for those who settle."""

    def __init__(
        self, site: Path, name: str, broker: str, database: str, port: int, env: Mapping[str, str]
    ) -> None:
        super().__init__(site, name, "", broker, database)
        self._env |= {**env, "JINGLUO_HTTP_PORT": str(port)}


class Trial:
    """`results` are the last words that the kiosks heard, `states` those of the settlements that have an end."""

    def __init__(self, seed: int, settlements: int, at_once: int) -> None:
        self.chance = Random(seed)
        self.count = settlements
        self._turns = asyncio.Semaphore(at_once)
        self.town = Town(seed)
        self.faults: Counter[str] = Counter()
        self.results: dict[str, str] = {}
        self.states: Counter[str] = Counter()
        self.doors = [quiet_port(), quiet_port()]

    async def run(self, servers: Servers, folder: Path) -> list[str]:
        """What was wrong, a line each."""
        async with contextlib.AsyncExitStack() as held:
            await self.town.start()
            held.push_async_callback(self.town.stop)
            self.rabbit, self.postgres = await servers.rabbit(), await servers.postgres()
            self.postgres.make("money")
            self.amqp, self.sql = Proxy(self.rabbit.port, amqp=True), Proxy(self.postgres.port)
            for relay in (self.amqp, self.sql):
                await relay.open()
                held.push_async_callback(relay.close)
            write_site(folder)
            self.engine = self._engine(folder)
            held.callback(self.engine.kill)
            self.engine.start()
            await self.engine.until_open()
            client = httpx2.AsyncClient(timeout=60)
            held.push_async_callback(client.aclose)
            await self._played(client)
            return self._judged()

    def _engine(self, folder: Path) -> Engine:
        broker = _by(self.rabbit.url, self.amqp.port)
        database = _by(self.postgres.url("money"), self.sql.port)
        made = [
            Worker(folder, f"engine{n}", broker, database, door, self.town.env())
            for n, door in enumerate(self.doors)
        ]
        return Engine(made, self.doors)

    async def _played(self, client: httpx2.AsyncClient) -> None:
        bills = [self.town.bill(number, self.chance) for number in range(self.count)]
        asking = [asyncio.create_task(self._settled(client, bill)) for bill in bills]
        faults = asyncio.create_task(self._harm(asking))
        began = time.monotonic()
        try:
            while not all(one.done() for one in asking):
                await asyncio.sleep(5)
                ended = sum(one.done() for one in asking)
                print(
                    f"{time.monotonic() - began:5.0f} s: {ended} of {self.count} ended, faults {dict(self.faults)}",
                    flush=True,
                )
        finally:
            faults.cancel()
            await asyncio.gather(faults, return_exceptions=True)
            for one in asking:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _settled(self, client: httpx2.AsyncClient, bill: dict[str, object]) -> None:
        """As a kiosk does: the same request again until it is taken, then a question until there is an end."""
        number = str(bill["settle_no"])
        async with self._turns:
            while True:
                door = self.chance.choice(self.doors)
                path = (
                    f"/v1/settlements/{number}" if number in self.results else f"/v1/settlements/{PIPELINE}"
                )
                try:
                    if number in self.results:
                        answer = await client.get(f"http://127.0.0.1:{door}{path}")
                    else:
                        answer = await client.post(f"http://127.0.0.1:{door}{path}", json=bill)
                    told = answer.json()
                except (httpx2.HTTPError, ValueError):
                    await asyncio.sleep(0.2)
                    continue
                if "result" not in told:
                    await asyncio.sleep(0.2)
                    continue
                self.results[number] = str(told["result"])
                if told["result"] in _DONE or told.get("state") == "SUSPENDED":
                    self.states[str(told["state"])] += 1
                    return
                await asyncio.sleep(0.5)

    async def _harm(self, asking: Sequence[asyncio.Task[None]]) -> None:
        """One fault after the other, each once the one before is over; until there were enough, or most have an end.
        Then all is well."""
        most = max(self.count // _SHARE, 3)
        while self.faults.total() < most and sum(one.done() for one in asking) < 0.8 * len(asking):
            await asyncio.sleep(self.chance.uniform(*_EVERY_S))
            (name,) = self.chance.choices(list(FAULTS), list(FAULTS.values()))
            self.town.misbehave(self.chance)
            await self._fault(name)
            self.faults[name] += 1
            await self.engine.until_open()
        self.town.well()

    async def _fault(self, name: str) -> None:
        one = self.chance.choice(self.engine.processes)
        match name:
            case "kill" | "stop":
                await asyncio.to_thread(one.kill if name == "kill" else one.stop)
                one.start()
            case "kill both":
                self.engine.kill()
                self.engine.start()
            case "cut":
                self.amqp.hang_up()
            case "database cut":
                with self.sql.refusing():
                    await asyncio.sleep(self.chance.uniform(0.1, 3))
            case "broker restart" | "broker killed":
                await asyncio.to_thread(self.rabbit.stop if name == "broker restart" else self.rabbit.kill)
                await asyncio.to_thread(self.rabbit.start)

    def _judged(self) -> list[str]:
        books, ledger = self.town.books(), _ledger(self.postgres)
        completed = self.states["COMPLETED"]
        income = -ledger.get("income:his", 0)
        pairs = (
            ("settled at the centre", completed),
            ("fund, fen", ledger.get("receivable:fund", 0)),
            ("account, fen", ledger.get("receivable:account", 0)),
            ("paid, fen", ledger.get("clearing:wechat", 0)),
            ("posted in the HIS", completed),
            ("posted, fen", income),
            ("posted twice", 0),
            ("bills held", 0),
            ("invoices", completed),
            ("invoiced, fen", income),
        )
        print(f"\n{'':24}{'the party':>14}{'the ledger':>14}")
        for name, wanted in pairs:
            print(f"{name:24}{books[name]:14}{wanted:14}")
        wrong = [f"{name}: {books[name]}, not {wanted}" for name, wanted in pairs if books[name] != wanted]
        transit = {name: fen for name, fen in ledger.items() if name.startswith("transit:") and fen}
        wrong += [f"{name} has {fen} fen" for name, fen in transit.items()]
        if len(self.results) < self.count or sum(self.states.values()) < self.count:
            wrong.append(f"{self.count - sum(self.states.values())} have no end")
        print(f"states {dict(self.states)}, faults {dict(self.faults)}")
        return wrong


def _ledger(postgres: Postgres) -> dict[str, int]:
    """By account, in fen."""
    with psycopg.connect(postgres.url("money")) as connection:
        rows = connection.execute("SELECT account, sum(fen) FROM ledger_entry GROUP BY account").fetchall()
    return {name: int(fen) for name, fen in rows}


def _by(url: str, port: int) -> str:
    """The same by way of another port of loopback."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}"))


def main() -> int:
    asked = argparse.ArgumentParser(prog="python tests/chaos/money.py")
    asked.add_argument("--settlements", type=int, default=500)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--at-once", type=int, default=24)
    said = asked.parse_args()
    print(f"seed {said.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="jingluo-money-") as folder,
        children.none_left(),
        Servers() as servers,
    ):
        trial = Trial(said.seed, said.settlements, said.at_once)
        wrong = asyncio.run(trial.run(servers, Path(folder)))
    print(*(f"WRONG: {line}" for line in wrong), sep="\n")
    print(f"money: {said.settlements} settlements, {len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
