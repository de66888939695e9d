"""The parties of settlements, each with books of its own, and the site that asks them: the example hospital's."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from config.settings import ROOT
from deploy.sandbox.aggregator import Aggregator, Signing
from deploy.sandbox.billing import Billing
from deploy.sandbox.centre import Centre
from deploy.sandbox.einvoice import Platform

PIPELINE = "outpatient-insured"
ITEMS = (
    ("XTEST000000000000001", "25.00", "2"),
    ("XTEST000000000000002", "30.00", "1"),
    ("XTEST000000000000003", "6.50", "1"),
)
TOTAL = "86.50"
CODE = "134567890123456789"  # the payer's code, and its payer always has the money
_CHANNELS = (
    "calls-of-insurance",
    "calls-of-his",
    "calls-of-payment",
    "calls-of-einvoice",
    "settlements",
    "settlements-show",
)
_SYSTEMS = """\
systems:
  insurance:
    kind: nhsa
    url: http://127.0.0.1:${CENTRE_PORT}
    fixmedins_code: H99999900001
    fixmedins_name: 示例医院
    mdtrtarea_admvs: "999900"
    recer_sys_code: MBS
    opter: "100017"
    opter_name: 示例操作员
    query_lag: 1s
    timeout: 20s
  billing:
    kind: his
    profile: json-gateway
    url: http://127.0.0.1:${BILLING_PORT}
    settings: {hospital: H1, terminal: JL01, user: "100017"}
    sign_key: sandbox
  joint:
    kind: aggregated
    profile: example
    url: http://127.0.0.1:${JOINT_PORT}
    merchant: M000001
    sign_key: sandbox
  einvoice:
    kind: einvoice
    url: http://127.0.0.1:${EINVOICE_PORT}/api/medical
    appid: SANDBOX
    key: sandbox
    place_code: P01
"""
_WAYS = ("lose", "mute", "cut")  # not done and not answered; done and not answered; half an answer
_PAYS_S = 0.3


class Town:
    """`misbehave` loses some of what is asked, `well` ends that."""

    def __init__(self, seed: int) -> None:
        self.centre = Centre(seed=seed)
        self.his = Billing(seed=seed)
        self.pays = Aggregator("M000001", Signing("sandbox"))
        self.invoices = Platform(seed=seed)
        self.pays.codes[CODE] = "SUCCESS"
        self._parties = (self.centre, self.his, self.pays, self.invoices)

    async def start(self) -> None:
        for party in self._parties:
            await party.start()
        self._payer = asyncio.create_task(self._pay())

    async def stop(self) -> None:
        self._payer.cancel()
        await asyncio.gather(self._payer, return_exceptions=True)
        for party in self._parties:
            await party.stop()

    async def _pay(self) -> None:
        """Who is shown a code pays, sooner or later; nobody is told of it."""
        while True:
            await asyncio.sleep(_PAYS_S)
            for number in [one.number for one in self.pays.trades.values() if one.state == "NOTPAY"]:
                self.pays.pays(number)

    def misbehave(self, chance: Random) -> None:
        """One party for the next few requests, in one of three ways."""
        kind, times = chance.choice(_WAYS), chance.randrange(1, 4)
        chance.choice(self._parties[1:]).behave("*", kind, times=times)
        self.centre.behave(
            chance.choice(("2201", "2204", "2207")), chance.choice(_WAYS), times=chance.randrange(3)
        )

    def well(self) -> None:
        for party in self._parties:
            party.well()

    def env(self) -> Mapping[str, str]:
        ports = {
            "CENTRE_PORT": self.centre,
            "BILLING_PORT": self.his,
            "JOINT_PORT": self.pays,
            "EINVOICE_PORT": self.invoices,
        }
        return {name: str(party.port) for name, party in ports.items()}

    def bill(self, number: int, chance: Random, method: str = "") -> dict[str, Any]:
        """A visit with one bill, and what a kiosk sends for it. `method`: code (the payer's), or native (ours)."""
        self.his.books.bill(f"B{number}", int(Decimal(TOTAL) * 100), f"P{number}")
        patient = self.centre.persons[number % len(self.centre.persons)]
        doctor = {"department": "D01", "department_name": "内科", "doctor": "D0001", "doctor_name": "示例"}
        time = f"{self.centre.now():%Y-%m-%d %H:%M:%S}"
        items = [
            {
                "number": f"F{number}-{n}",
                "national": national,
                "own": "L1",
                "price": price,
                "count": count,
                "amount": str(Decimal(price) * Decimal(count)),
                "prescription": "RX1",
                "time": time,
                **doctor,
            }
            for n, (national, price, count) in enumerate(ITEMS)
        ]
        diagnosis = {"main": "1", "code": "J00.X00", "name": "急性鼻咽炎", "time": time, **doctor}
        visit = {"begntime": time, "number": f"O{number}", "caty": "A03", "med_type": "11", **doctor}
        method = method or chance.choice(("code", "native"))
        return {
            "settle_no": f"S{number}",
            "channel": "wechat",
            "method": method,
            **({"auth_code": CODE} if method == "code" else {}),
            "total": TOTAL,
            "account": "1",
            "patient": {
                "patient_no": f"P{number}",
                "name": "测试患者",
                "psn_no": patient.psn_no,
                "insutype": patient.insutype,
                "insuplc_admdvs": patient.insuplc_admdvs,
                "mdtrt_cert_type": "02",
                "mdtrt_cert_no": patient.certno,
            },
            "visit": {**visit, "diagnoses": [diagnosis]},
            "bills": [{"bill_no": f"B{number}", "amount": TOTAL, "items": items}],
        }

    def books(self) -> dict[str, int]:
        """What each party has at the end, in fen; and how often each has it."""
        settled = [
            one
            for one in self.centre.books.settlements.values()
            if one.state == "valid" and one.refd_setl_flag == "0"
        ]
        posts = self.his.books.live("post")
        doubled = [number for number, times in Counter(one.settlement for one in posts).items() if times > 1]
        return {
            "settled at the centre": len(settled),
            "fund, fen": sum(one.split.funds for one in settled),
            "account, fen": sum(one.split.own_acct + one.split.family_acct for one in settled),
            "paid, fen": self.pays.balance(),
            "posted in the HIS": len(posts),
            "posted, fen": sum(one.fen for one in posts),
            "posted twice": len(doubled),
            "bills held": sum(bool(one.held_by) and not one.paid for one in self.his.books.bills.values()),
            "invoices": len(self.invoices.desk.live()),
            "invoiced, fen": sum(one.fen for one in self.invoices.desk.live()),
        }


def write_site(folder: Path) -> None:
    """The example hospital's settlements of insured outpatients, and nothing else of it. Anybody may ask."""
    (folder / "channels" / "settlements").mkdir(parents=True)
    pipeline = (ROOT / "channels" / "settlements" / f"{PIPELINE}.yaml").read_text(encoding="utf-8")
    (folder / "channels" / "settlements" / f"{PIPELINE}.yaml").write_text(
        pipeline.partition("\ntests:")[0] + "\n"
    )
    for name in _CHANNELS:
        text = (ROOT / "channels" / f"{name}.yaml").read_text(encoding="utf-8").partition("\ntests:")[
            0
        ] + "\n"
        text = text.replace("scope: settlements", "callers: anybody")
        with contextlib.suppress(ValueError):
            start, end = text.index("        only:\n"), text.index("    index: {settled")
            text = f"{text[:start]}        only: [{PIPELINE}]\n{text[end:]}"
        (folder / "channels" / f"{name}.yaml").write_text(text)
    (folder / "systems.yaml").write_text(_SYSTEMS, encoding="utf-8")
    (folder / "jingluo.yaml").write_text("log: {level: info, format: json}\n")
